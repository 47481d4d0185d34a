package extract

import (
	"iter"
	"time"
)

// Paper is the size of the sheets.
type Paper string

// Paper sizes. The empty Paper is F4. [Label] is one slip of 95 x 60 mm and
// serves [Slips] alone.
const (
	F4    Paper = "F4" // 215 x 330 mm
	A4    Paper = "A4" // 210 x 297 mm
	Label Paper = "label"
)

// Office is the letterhead (kop) and where the office stands.
type Office struct {
	Lines   []string // "PEMERINTAH KOTA PEKALONGAN", "DINAS KOMUNIKASI DAN INFORMATIKA"; the last one larger
	Address string
	Contact string // telephone, website, e-mail, in one line
	Emblem  []byte // PNG or JPEG, optional
	City    string // "Pekalongan"
}

// Page is what all sheets have in common.
type Page struct {
	Paper      Paper
	Office     Office
	PrintedAt  time.Time     // decides every date in the file; never the clock of the machine
	Checkpoint string        // the signed checkpoint note, for sheets that stay in the office; "" for all others
	PageCodes  bool          // print a page code on the foot of every page
	FirstSheet int           // number of the first page in a bound book; 0 prints none
	Done       func(Printed) // called once after the file was written without error; may be nil
}

// Printed tells what was written. Codes holds the page code of every page in
// order, as printed, and is nil without [Page.PageCodes].
type Printed struct {
	Pages int
	Codes []string
}

// Signature is one block for a wet signature. Title carries "Plh." or "Plt."
// when the official acts for another; a line break in it begins a new line.
type Signature struct {
	Heading string // "Mengetahui," or "Pekalongan, 30 November 2026"
	Title   string
	Name    string
	Rank    string // pangkat
	NIP     string
}

// Column is one column of a book. Width is in millimetres for F4 and is
// scaled to the paper. A soft hyphen in Head marks where a narrow column may
// break the word.
type Column struct {
	Head  string
	Width float64
	Key   string // of Row.Cells and SubRow.Cells
	Align string // "L" (also ""), "C" or "R"
}

// Cell is what stands in one column of a row. A line break begins a new line.
// Struck is the value before a correction: it stays readable, struck through,
// above Text.
type Cell struct {
	Text   string
	Struck string
}

// Row is one entry of a book. Cells holds the columns that the entry has once,
// Sub one item per addressee. When a column occurs in both, the value of the
// entry stands below those of the addressees, and at the top where the only
// addressee has none.
type Row struct {
	Cells   map[string]Cell
	Sub     []SubRow
	Void    bool // struck through, except the column keterangan, which says why
	Numbers int  // kriptogram numbers given in this row, for the totals
	Again   bool // stands on earlier sheets already: printed for what changed, not counted
}

// SubRow is what a book says about one addressee of an entry.
type SubRow struct {
	Cells  map[string]Cell
	Struck bool // the addressee was removed by a correction: struck through
}

// Count is a running total of a book.
type Count struct{ Entries, Numbers int }

// BookSheet is an extract of a book. Rows is read once, in order, and never
// held as a whole; an error in it ends the sheet without output.
type BookSheet struct {
	Page
	Heads          []string // title lines; the first is printed larger
	Columns        []Column
	Rows           iter.Seq2[Row, error]
	Classification string // highest class shown; "" prints none
	Carried        Count  // what stands in the book before the first row
	Words          func(Count) string
	Left, Right    Signature
	Legend         string // explains the codes, once, under the table
}

// Slip is what the back of an ordinary letter says about its sending.
type Slip struct {
	Entry        string // "S208"
	LetterNumber string
	LetterDate   string // "20 November 2026"
	Sender       string // title of who sent it and puts the paraf, "Operator Transmisi Sandi"
	Lines        []SlipLine
}

// SlipLine is one addressee of a [Slip].
type SlipLine struct {
	Destination string
	SentAt      string // "23 November 2026, 10.07 WIB"
	Proof       string // what the server answered with, or whose word it is
	Route       string // "" for e-mail Sanapati, else "webmail"
}

// Cover is the cover sheet that went out with one copy of an entry.
type Cover struct {
	Entry    string
	Copy, Of int
	Sent     string // "diterima server 23 November 2026, 14.47 WIB"
	Text     string // as it stands in the message, with LF line ends
}

// DraftSheet is the draft of a kriptogram as the head of section signs it.
type DraftSheet struct {
	Classification string
	Urgency        string
	Draft          int
	Replaces       string // "23-11-2026 pukul 09.12"; "" for a first draft
	Entry          string // "43/2026"
	From           string
	To             []DraftRecipient
	LetterNumber   string
	LetterDate     string
	Applicant      string
	Pages, Files   int
	Cipher         string // "OpenPGP, AES-256, ukuran 318 KB"
	CheckWords     string // six words of the kriptogram
	Opening        []byte // first octets of the kriptogram; 188 fill the six lines
	ParafAt        string // "23-11-2026, 09.12 WIB"; "" leaves the place open
	Sandiman       Signature
	Head           Signature
}

// DraftRecipient is one addressee of a [DraftSheet].
type DraftRecipient struct {
	Copy     int
	Unit     string
	KeyWords string // check words of the key
}

// ResultSheet is the report to the head of the office on what was sent.
type ResultSheet struct {
	Classification string
	Reader         string // "Kepala Dinas Komunikasi dan Informatika"
	Date           string // "Senin, 23 November 2026"
	Counts         ResultCounts
	Ordinary       []OrdinaryResult
	Excluded       []ExcludedResult
	Notes          []string
	Initials       []string // titles beside the boxes for paraf; nil: Kepala Bidang, Kepala Seksi
	Reporter       string   // "Operator Transmisi Sandi / Sandiman"
}

// ResultCounts stand in the first line of a [ResultSheet].
// Withdrawn is told only when there is any.
type ResultCounts struct{ Letters, Copies, Sent, Unsent, Late, Uncertain, Withdrawn int }

// OrdinaryResult is one letter of section A.
type OrdinaryResult struct {
	Entry, Applicant, LetterNumber string
	Received                       string // "14.20" or with its day
	Copies                         []ResultCopy
}

// ExcludedResult is one kriptogram of section B. It has no place for the
// subject.
type ExcludedResult struct {
	Entry, Number string
	Signed        string
	Copies        []ResultCopy
}

// ResultCopy is the sending to one addressee. Confirmed is printed in section
// B alone.
type ResultCopy struct{ Destination, Sent, Confirmed string }

// Notice tells one applicant what became of his letters.
type Notice struct {
	Applicant string
	Date      string // "Senin, 23 November 2026"
	Officer   string // title of who hands it over
	Items     []NoticeItem
}

// NoticeItem is one letter of a [Notice]. For a kriptogram Copies is nil,
// unless the profile allows the names, and Addressees, SentAt and Remark say
// what may be said.
type NoticeItem struct {
	Entry        string
	Request      string // number of the request
	LetterNumber string
	LetterDate   string
	Copies       []NoticeCopy
	Addressees   int
	SentAt       string
	Remark       string
}

// NoticeCopy is one addressee of a [NoticeItem].
type NoticeCopy struct{ Destination, SentAt, Remark string }

// ReceiptSheet is the receipt for a request, handed to the applicant.
type ReceiptSheet struct {
	Entry       string
	Request     string
	RequestDate string
	Applicant   string
	Received    string // "Jumat, 20 November 2026, 10.50 WIB"
	Service     string
	Due         string
	Cost        string // "" prints "Gratis"
	Complaint   string // where to complain, from the profile
	Officer     string // title of who received it
}

// WaitingSheet lists the kriptograms that wait for a signature. Nothing on it
// is secret.
type WaitingSheet struct {
	Reader string // "Kepala Seksi Persandian dan Keamanan Informasi"
	Date   string // "Senin, 23 November 2026, 09.30 WIB"
	Items  []WaitingItem
	Right  Signature
}

// WaitingItem is one row of a [WaitingSheet].
type WaitingItem struct {
	Entry      string
	Urgency    string
	Draft      int
	ParafAt    string // "09.12" or with its day
	Addressees int
	Pages      int
	Due        string
	CheckWords string
}
