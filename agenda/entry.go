package agenda

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// WIB is the zone of the books: serials and numbers turn at its midnight. It
// is a fixed offset, not a lookup in the machine's zone files, because
// Asia/Jakarta has had no other offset since 1964 and a desk must number alike
// on every machine.
var WIB = time.FixedZone("WIB", 7*60*60)

// BookName is the stored word of an agenda book.
type BookName string

// The two books of the service standards, and the register of reports that
// leave by e-mail: it shares their rules and is none of them. It is on no
// printed page, has no deadline and counts in no statistics.
const (
	Kriptogram BookName = "kriptogram"
	Surat      BookName = "surat"
	Laporan    BookName = "laporan"
)

// allBooks are those whose serials have no gap.
var allBooks = []BookName{Kriptogram, Surat, Laporan}

// Letter returns the initial that entry names of the book begin with, or ""
// for an unknown book.
func (b BookName) Letter() string {
	switch b {
	case Kriptogram:
		return "K"
	case Surat:
		return "S"
	case Laporan:
		return "L"
	}
	return ""
}

// Class is the stored word of a classification.
type Class string

// The four classifications.
const (
	ClassBiasa         Class = "biasa"
	ClassTerbatas      Class = "terbatas"
	ClassRahasia       Class = "rahasia"
	ClassSangatRahasia Class = "sangat-rahasia"
)

// Urgency is the stored word of a degree of urgency.
type Urgency string

// The three degrees of urgency.
const (
	UrgencyBiasa        Urgency = "biasa"
	UrgencySegera       Urgency = "segera"
	UrgencySangatSegera Urgency = "sangat-segera"
)

var classWords = map[string]Class{
	"biasa": ClassBiasa, "b": ClassBiasa, "terbuka": ClassBiasa,
	"terbatas": ClassTerbatas, "t": ClassTerbatas, "konfidensial": ClassTerbatas, "k": ClassTerbatas,
	"rahasia": ClassRahasia, "r": ClassRahasia, "rh": ClassRahasia, "rhs": ClassRahasia,
	"sangat-rahasia": ClassSangatRahasia, "sr": ClassSangatRahasia, "srhs": ClassSangatRahasia, "srh": ClassSangatRahasia,
}

var urgencyWords = map[string]Urgency{
	"biasa": UrgencyBiasa, "b": UrgencyBiasa,
	"segera": UrgencySegera, "s": UrgencySegera,
	"sangat-segera": UrgencySangatSegera, "amat-segera": UrgencySangatSegera, "kilat": UrgencySangatSegera,
	"ss": UrgencySangatSegera, "as": UrgencySangatSegera,
}

// word folds what a clerk types to the form of the stored words.
func word(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r == ' ' || r == '-' || r == '_' || r == '\t'
	}), "-")
}

// ParseClass accepts the stored word, the office's codes (SR, R, T, B) and the
// older vocabularies (konfidensial, RHS, SRhs), in any case.
func ParseClass(s string) (Class, error) {
	if c, ok := classWords[word(s)]; ok {
		return c, nil
	}
	return "", invalid("class", s)
}

// ParseUrgency accepts the stored word and its synonyms (kilat, amat segera).
func ParseUrgency(s string) (Urgency, error) {
	if u, ok := urgencyWords[word(s)]; ok {
		return u, nil
	}
	return "", invalid("urgency", s)
}

// BookFor returns the only book that may hold letters of class c.
func BookFor(c Class) BookName {
	if c == ClassBiasa {
		return Surat
	}
	return Kriptogram
}

// Name is the name of an entry: book, serial (nomor agenda) and calendar year
// in [WIB].
type Name struct {
	Book         BookName
	Serial, Year int
}

// String returns the short form, such as "K12".
func (n Name) String() string { return n.Book.Letter() + strconv.Itoa(n.Serial) }

// Long returns the full form, such as "K12/2026".
func (n Name) Long() string { return n.String() + "/" + strconv.Itoa(n.Year) }

// In returns the name as it is written in a year: short within its own.
func (n Name) In(year int) string {
	if n.Year == year {
		return n.String()
	}
	return n.Long()
}

const (
	maxSerial = 9_999_999
	maxNames  = 100_000
)

// ParseName reads "K12", "k12" or "K12/2025"; a name without a year is of the
// given year.
func ParseName(s string, year int) (Name, error) {
	rest, tail, dated := strings.Cut(strings.TrimSpace(s), "/")
	if len(rest) < 2 {
		return Name{}, invalid("entry", s)
	}
	n := Name{Year: year}
	switch rest[0] {
	case 'K', 'k':
		n.Book = Kriptogram
	case 'S', 's':
		n.Book = Surat
	case 'L', 'l':
		n.Book = Laporan
	default:
		return Name{}, invalid("entry", s)
	}
	var ok bool
	if n.Serial, ok = decimal(rest[1:], maxSerial); !ok || n.Serial == 0 {
		return Name{}, invalid("entry", s)
	}
	if dated {
		if n.Year, ok = decimal(tail, 9999); !ok || n.Year < 1000 {
			return Name{}, invalid("entry", s)
		}
	}
	return n, nil
}

// ParseNames reads names, comma lists and ranges ("K3,K5-K9", "K3-9"), keeps
// their order and drops repetitions. It refuses more than 100,000 names, a
// range across books or years, and a range that runs backwards.
func ParseNames(args []string, year int) ([]Name, error) {
	var out []Name
	seen := map[Name]bool{}
	add := func(n Name, arg string) error {
		if seen[n] {
			return nil
		}
		if len(out) >= maxNames {
			return invalid("entry", arg)
		}
		seen[n] = true
		out = append(out, n)
		return nil
	}
	for _, arg := range args {
		for part := range strings.SplitSeq(arg, ",") {
			from, to, isRange := strings.Cut(part, "-")
			first, err := ParseName(from, year)
			if err != nil {
				return nil, invalid("entry", part)
			}
			if !isRange {
				if err := add(first, part); err != nil {
					return nil, err
				}
				continue
			}
			to = strings.TrimSpace(to)
			if to != "" && to[0] >= '0' && to[0] <= '9' {
				to = first.Book.Letter() + to
			}
			last, err := ParseName(to, first.Year)
			if err != nil {
				return nil, invalid("entry", part)
			}
			// "K3-K9/2025" dates the whole range by its end.
			if !strings.Contains(from, "/") {
				first.Year = last.Year
			}
			if last.Book != first.Book || last.Year != first.Year || last.Serial < first.Serial ||
				last.Serial-first.Serial >= maxNames {
				return nil, invalid("entry", part)
			}
			for n := first; n.Serial <= last.Serial; n.Serial++ {
				if err := add(n, part); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// decimal reads a plain decimal without sign or leading zero, up to limit.
func decimal(s string, limit int) (int, bool) {
	if s == "" || len(s) > 9 || (len(s) > 1 && s[0] == '0') {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= limit
}

// Hash is a SHA-256 digest. Its text form is lower-case hex.
type Hash [32]byte

// String returns the 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero tells whether the digest is absent.
func (h Hash) IsZero() bool { return h == Hash{} }

// ParseHash reads exactly what [Hash.String] writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 64 || strings.ToLower(s) != s {
		return h, invalid("sha256", s)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, invalid("sha256", s)
	}
	return h, nil
}

// Object is a stored file named by its digest. Data nil means that the bytes
// lie in the vault; otherwise they are kept in the book (at most
// [MaxObject] octets). A zero Object stands for an absent one.
//
// Media is a hint for people; no digest covers it.
type Object struct {
	SHA256 Hash
	Size   int64
	Media  string
	Data   []byte
}

// MaxObject is the most octets that the book itself keeps for one object.
const MaxObject = 1 << 20

// IsZero tells whether the object is absent.
func (o Object) IsZero() bool { return o.SHA256.IsZero() }

// sound refuses octets that are not those of the digest: what is kept in the
// book is worth no more than what the log says of it.
func (o Object) sound() error {
	if o.Data != nil && (int64(len(o.Data)) != o.Size || sha256.Sum256(o.Data) != o.SHA256) {
		return tampered("object " + o.SHA256.String())
	}
	return nil
}

// Letter is the image of a letter as it stands in the book: the fields of
// entry.registered. Dates are ISO strings ("2026-11-20"), instants are UTC.
type Letter struct {
	Class        Class
	Urgency      Urgency
	Applicant    string // unit as valid at the entry
	Request      string // number of the application
	RequestDate  string
	Received     time.Time // zero: not recorded
	Number, Date string    // number and date of the letter itself
	Origin       string    // asal surat
	Subject      string    // perihal
	To, Cc       []string  // correspondents' handles; book surat also names as typed
	Pages        int
	Enclosures   string
	ArchiveClass string
	Place        string
	Excluded     bool // dikecualikan
	Note         string
	Refers       string // long name of another entry
	Retracts     string // why the entry of Refers is withdrawn or corrected by this one; "" = it is not
}

// Registration asks for one new entry.
type Registration struct {
	Book   BookName // "" = the book of the class
	Once   string   // token of a script: the same token gives the same entry
	Letter Letter
}

// Registered answers a [Registration].
type Registered struct {
	Entry   Name
	ID      int64
	At      time.Time
	Existed bool // the token was known: nothing was written
}

// Entry is a line of a book with all that happened to it.
type Entry struct {
	ID                               int64 // sequence of its entry.registered
	Name                             Name
	Letter                           Letter
	State                            State
	Draft                            int    // number of the latest draft, 0 = none
	Number                           string // nomor kriptogram, "" before release
	NumberSeq, NumberYear            int
	RegisteredAt, ReleasedAt, SentAt time.Time
	Last                             int64 // sequence of its latest event; the value to compare and swap on
	Ordered                          bool
	Corrected                        bool // the letter is not as it was registered
	Copies                           []Copy
	Mailed                           *Mailed // of book laporan

	// Filled by [Book.Entry], [Book.EntryByID], [Book.Named], [Book.Entries] and
	// [Book.Refresh] only.
	RegisteredBy string
	Drafted      *DraftRecord     // the latest draft
	Signed       *SignatureRecord // of the latest draft
	Returned     *ReturnRecord    // of the latest draft
	Read         *ReadRecord      // of the latest draft
	Attachments  []Attachment
	Archived     *ArchiveRecord
	Reports      []ReportRecord
	Voided       *VoidRecord
	Orders       []Order
	Corrections  []Correction
}

// Order is one link of the chain of orders, as given on paper. At is the time
// of the order; the others are filled on reading.
type Order struct {
	From, To string // roles
	At       time.Time
	Text     string

	RecordedAt time.Time
	Actor      string
	Seq        int64
}

// Attachment is one scan of an ordinary letter.
type Attachment struct {
	Object Object // in the vault
	Pages  int

	At    time.Time
	Actor string
	Seq   int64
}

// Correction keeps what an entry said before it was corrected.
type Correction struct {
	Was    Letter
	At     time.Time
	Reason string
	Actor  string
	Seq    int64
}

// DraftRecord records one encryption: the draft kriptogram and its parts.
type DraftRecord struct {
	Draft         int  // latest draft of the entry + 1
	Manifest      Hash // digest of Text
	Text, Paraf   Object
	Kriptogram    Object // in the vault
	Isi           Hash
	ParafKey      string // fingerprint
	Policy        string // name, one word
	PolicyDigest  string
	Format        string
	Reason        string // of a repeated encryption
	Documents     string
	Content       string // content record
	ArchivePacket []byte
	Review        []byte // the head's key packet; kept as work, nil in wet mode; not filled on reading

	At    time.Time
	Actor string
	Seq   int64
}

// ReadRecord records that the head read the plaintext of a draft.
type ReadRecord struct {
	Draft int
	Via   string

	At    time.Time
	Actor string
	Seq   int64
}

// ReturnRecord records that the head sent a draft back.
type ReturnRecord struct {
	Draft           int
	Text, Signature Object // absent in wet mode
	Reason          string

	At    time.Time
	Actor string
	Seq   int64
}

// SignatureRecord records the head's signature. Zero objects are absent.
type SignatureRecord struct {
	Mode            string // key, wet, both
	Manifest        Hash
	Signature, Scan Object
	Key, Via        string
	Reviewed        bool

	At    time.Time
	Actor string
	Seq   int64
}

// ArchivedCopy tells where the frozen message of a copy lies in the box.
type ArchivedCopy struct {
	Copy           int
	Offset, Length int64
}

// ArchiveRecord records the filing of an entry.
type ArchiveRecord struct {
	Box, Place string
	Copies     []ArchivedCopy

	At    time.Time
	Actor string
	Seq   int64
}

// ReportRecord records a report of the result.
type ReportRecord struct {
	Kind, To string
	Object   Object
	By       int64 // the entry of book laporan that brought it; 0: handed over

	At    time.Time
	Actor string
	Seq   int64
}

// VoidRecord records why and by whose authority an entry was voided.
type VoidRecord struct {
	Reason, Authority string
	From              State

	At    time.Time
	Actor string
	Seq   int64
}

// PrintRecord records one printed extract. Filter is kept in clear: it must
// hold no text of a letter.
type PrintRecord struct {
	Kind, Filter string
	Rows         int
	Size         int64
	Root         Hash
	Pages        []string // page codes
	// Of a print to be bound; Sheet zero is none.
	Book                      BookName
	Year, Last, Sheet, Volume int
}

// OpenedRecord records a received kriptogram that was opened here.
type OpenedRecord struct {
	Manifest, Kriptogram Hash
	Copy                 int
	Sender, Number       string
	Verdicts             string
}

// dateOK tells whether s is an ISO calendar date.
func dateOK(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Format(time.DateOnly) == s
}

const stampLayout = "2006-01-02T15:04:05.000Z"

func formatStamp(t time.Time) string { return t.UTC().Format(stampLayout) }

func parseStamp(s string) (time.Time, error) {
	t, err := time.Parse(stampLayout, s)
	if err != nil || formatStamp(t) != s {
		return time.Time{}, fmt.Errorf("instant: %w", invalid("time", s))
	}
	return t.UTC(), nil
}
