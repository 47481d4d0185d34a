package extract

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// textColumns is the width of the text forms, in characters.
const textColumns = 80

// textWriter writes lines of at most textColumns characters and keeps the
// first error.
type textWriter struct{ w *bufio.Writer }

func newText(w io.Writer) textWriter { return textWriter{bufio.NewWriter(w)} }

func (t textWriter) line(s string) {
	t.w.WriteString(s)
	t.w.WriteByte('\n')
}

func (t textWriter) rule(mark string) { t.line(strings.Repeat(mark, textColumns)) }

// indented wraps text after a lead that stands once, at the first line.
func (t textWriter) indented(lead, text string) {
	column := utf8.RuneCountInString(lead)
	for _, line := range wrapText(text, max(textColumns-column, 20)) {
		t.line(strings.TrimRight(lead+line, " "))
		lead = strings.Repeat(" ", column)
	}
}

func (t textWriter) centered(text string) {
	for _, line := range wrapText(text, textColumns) {
		t.line(strings.Repeat(" ", (textColumns-utf8.RuneCountInString(line))/2) + line)
	}
}

func (t textWriter) field(label, value string, width int) {
	if label == "" {
		t.indented(strings.Repeat(" ", width+3), value)
		return
	}
	t.indented(fmt.Sprintf("%-*s : ", width, label), value)
}

func wrapText(text string, width int) []string {
	return wrap(visible(text), float64(width), func(s string) float64 { return float64(utf8.RuneCountInString(s)) })
}

// table writes rows of fixed columns, wrapped inside them.
func (t textWriter) table(heads []string, widths []int, rows [][]string) {
	t.cells(heads, widths)
	t.rule("-")
	if len(rows) == 0 {
		t.centered("Nihil")
	}
	for _, row := range rows {
		t.cells(row, widths)
	}
}

func (t textWriter) cells(row []string, widths []int) {
	wrapped := make([][]string, len(row))
	height := 1
	for i, cell := range row {
		wrapped[i] = wrapText(cell, widths[i])
		height = max(height, len(wrapped[i]))
	}
	for n := range height {
		var b strings.Builder
		for i, lines := range wrapped {
			text := ""
			if n < len(lines) {
				text = lines[n]
			}
			b.WriteString(text)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+1))
		}
		t.line(strings.TrimRight(b.String(), " "))
	}
}

var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ")

// plain is a cell in one line; the value before a correction is named.
func (c Cell) plain() string {
	text := oneLine.Replace(c.Text)
	if c.Struck != "" {
		text = joined(" ", text, "(semula: "+oneLine.Replace(c.Struck)+")")
	}
	return text
}

// end writes who signs, below each other, and the time of printing.
func (t textWriter) end(printed time.Time, blocks ...Signature) error {
	for _, b := range blocks {
		if b == (Signature{}) {
			continue
		}
		t.line("")
		for _, text := range []string{b.Heading, b.Title, b.Name, b.Rank, prefixed("NIP ", b.NIP)} {
			if text != "" {
				t.indented("", text)
			}
		}
	}
	if !printed.IsZero() {
		t.line("")
		t.line("Dicetak " + DateTime(printed))
	}
	return t.w.Flush()
}

// BookText writes a book as text: the columns of an entry one below the other,
// its addressees as a list.
func BookText(w io.Writer, s BookSheet) error {
	t := newText(w)
	for _, head := range s.Heads {
		t.centered(head)
	}
	if s.Classification != "" {
		t.centered(s.Classification)
	}
	width := 0
	for _, c := range s.Columns {
		width = max(width, utf8.RuneCountInString(visible(unhyphenated(c.Head))))
	}
	width = min(width, 30)
	total, none := s.Carried, true
	t.rule("=")
	for r, err := range s.Rows {
		if err != nil {
			return err
		}
		none = false
		if !r.Again {
			total.Entries++
			total.Numbers += r.Numbers
		}
		if r.Void {
			t.line("DIBATALKAN")
		}
		for _, c := range s.Columns {
			if text := r.Cells[c.Key].plain(); text != "" {
				t.field(visible(unhyphenated(c.Head)), text, width)
			}
		}
		for _, sub := range r.Sub {
			var parts []string
			for _, c := range s.Columns {
				if text := sub.Cells[c.Key].plain(); text != "" {
					parts = append(parts, unhyphenated(c.Head)+": "+text)
				}
			}
			lead := "  - "
			if sub.Struck {
				lead = "  - (dihapus) "
			}
			t.indented(lead, strings.Join(parts, "; "))
		}
		t.rule("-")
	}
	if none {
		t.centered("Nihil")
		t.rule("-")
	}
	here := Count{total.Entries - s.Carried.Entries, total.Numbers - s.Carried.Numbers}
	t.indented("Jumlah pindahan: ", s.words(s.Carried))
	t.indented("Jumlah kutipan ini: ", s.words(here))
	t.indented("Jumlah dipindahkan: ", s.words(total))
	if s.Legend != "" {
		t.indented("", s.Legend)
	}
	return t.end(s.PrintedAt, s.Left, s.Right)
}

// BookCSV writes a book for a spreadsheet: UTF-8 with a byte order mark,
// semicolons, CRLF, one line per addressee with the columns of the entry
// repeated, and a last column that says whether the entry is void. No cell can
// begin a formula (see [SafeCell]).
func BookCSV(w io.Writer, s BookSheet) error {
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return err
	}
	c := csv.NewWriter(w)
	c.Comma, c.UseCRLF = ';', true
	var record []string
	for _, col := range s.Columns {
		record = append(record, SafeCell(unhyphenated(col.Head)))
	}
	if err := c.Write(append(record, "Dibatalkan")); err != nil {
		return err
	}
	for r, err := range s.Rows {
		if err != nil {
			return err
		}
		subs := r.Sub
		if len(subs) == 0 {
			subs = []SubRow{{}}
		}
		for _, sub := range subs {
			record = record[:0]
			for _, col := range s.Columns {
				text := sub.Cells[col.Key].plain()
				if sub.Struck && text != "" {
					text = "(dihapus) " + text
				}
				record = append(record, SafeCell(joined("; ", text, r.Cells[col.Key].plain())))
			}
			void := ""
			if r.Void {
				void = "ya"
			}
			if err := c.Write(append(record, void)); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

// SafeCell makes text safe for a spreadsheet: controls are made visible, and
// what a program could take for a formula gets an apostrophe before it.
func SafeCell(s string) string {
	out := visible(oneLine.Replace(s))
	if strings.IndexFunc(s, isFormulaStart) == 0 || strings.IndexFunc(strings.TrimLeft(out, " \u00A0\u3000"), isFormulaStart) == 0 {
		return "'" + out
	}
	return out
}

func isFormulaStart(r rune) bool {
	return strings.ContainsRune("=+-@\t\r\n＝＋－＠", r)
}

// SlipsText writes the slips as text.
func SlipsText(w io.Writer, slips []Slip) error {
	t := newText(w)
	for i, s := range slips {
		if i > 0 {
			t.rule("-")
		}
		t.line(s.heading())
		t.field("Nomor agenda", s.Entry, 14)
		for _, f := range s.fields() {
			if f.label == "" {
				t.indented("  ", f.text)
			} else {
				t.field(f.label, f.text, 14)
			}
		}
		t.field("Paraf "+titled(visible(s.Sender), "Petugas"), "[              ]", 14)
	}
	return t.w.Flush()
}

// DraftText writes the draft of a kriptogram as text, without the boxes.
func DraftText(w io.Writer, d DraftSheet) error {
	t := newText(w)
	for _, mark := range []string{d.Classification, d.Urgency} {
		if mark != "" {
			t.indented("", mark)
		}
	}
	t.centered("DRAF KRIPTOGRAM")
	t.centered(d.state())
	for _, f := range d.fields() {
		t.field(f[0], f[1], 24)
	}
	t.line("Teks sandi (awal)")
	for _, line := range Groups(d.Opening) {
		t.line("  " + strings.Join(line, " "))
	}
	t.line("  ... selengkapnya dalam berkas elektronik")
	return t.w.Flush()
}

// ResultText writes the Laporan Hasil Pengiriman as text.
func ResultText(w io.Writer, r ResultSheet) error {
	t := newText(w)
	if r.Classification != "" {
		t.centered(r.Classification)
	}
	t.centered("LAPORAN HASIL PENGIRIMAN")
	t.centered(r.Date)
	t.indented("", "Yth. "+r.Reader)
	t.indented("", r.summary())
	t.line("")
	t.line(fmt.Sprintf(ordinaryHeading, len(r.Ordinary)))
	var rows [][]string
	for i, o := range r.Ordinary {
		rows = append(rows, copyRows(o.Copies, func(c ResultCopy, first bool) []string {
			if !first {
				return []string{"", "", "", "", c.Destination, "", c.Sent}
			}
			return []string{strconv.Itoa(i + 1), o.Entry, o.Applicant, o.LetterNumber, c.Destination, o.Received, c.Sent}
		})...)
	}
	t.table([]string{"No.", "Agenda", "Pemohon", "Nomor Surat", "Tujuan", "Diterima", "Terkirim"}, []int{3, 6, 18, 12, 19, 8, 8}, rows)
	t.line("")
	t.line(fmt.Sprintf(excludedHeading, len(r.Excluded)) + ", " + excludedRemark)
	rows = nil
	for i, e := range r.Excluded {
		rows = append(rows, copyRows(e.Copies, func(c ResultCopy, first bool) []string {
			if !first {
				return []string{"", "", "", c.Destination, "", c.Sent, c.Confirmed}
			}
			return []string{strconv.Itoa(i + 1), e.Entry, e.Number, c.Destination, e.Signed, c.Sent, c.Confirmed}
		})...)
	}
	t.table([]string{"No.", "Agenda", "Nomor Kriptogram", "Tujuan", "Ditandatangani", "Terkirim", "Konfirmasi"}, []int{3, 6, 16, 17, 14, 8, 10}, rows)
	t.line("")
	t.line("C. Catatan")
	if len(r.Notes) == 0 {
		t.line("Nihil")
	}
	for _, n := range r.Notes {
		t.indented("", n)
	}
	t.line("")
	for _, title := range r.initials() {
		t.indented("Paraf "+visible(title)+" ", "[        ]")
	}
	t.indented("Pelapor: ", r.Reporter)
	return t.w.Flush()
}

// copyRows makes a row per addressee; an entry without any has one row.
func copyRows(copies []ResultCopy, row func(c ResultCopy, first bool) []string) [][]string {
	if len(copies) == 0 {
		copies = []ResultCopy{{}}
	}
	var out [][]string
	for i, c := range copies {
		out = append(out, row(c, i == 0))
	}
	return out
}

// NoticesText writes the notices as text, a form feed between them.
func NoticesText(w io.Writer, notices []Notice) error {
	t := newText(w)
	for i, n := range notices {
		if i > 0 {
			t.line("\f")
		}
		t.centered(noticeTitle)
		t.centered(n.Date)
		t.indented("", "Yth. "+n.Applicant)
		for _, item := range n.Items {
			t.rule("-")
			for _, f := range item.fields() {
				t.field(f[0], f[1], 14)
			}
		}
		t.rule("-")
		t.indented(titled(visible(n.Officer), "Petugas")+" (paraf): ", "[        ]")
		t.line("Tanda terima pemohon (tanggal, tanda tangan): [        ]")
	}
	return t.w.Flush()
}

// ReceiptText writes the receipt as text.
func ReceiptText(w io.Writer, r ReceiptSheet) error {
	t := newText(w)
	t.centered(receiptTitle)
	for _, f := range r.fields() {
		t.field(f[0], f[1], 22)
	}
	t.indented(titled(visible(r.Officer), "Petugas")+" (paraf): ", "[        ]")
	t.line("Pemohon (tanda tangan): [        ]")
	return t.w.Flush()
}

// WaitingText writes the list of waiting kriptograms as text.
func WaitingText(w io.Writer, l WaitingSheet) error {
	t := newText(w)
	t.centered("DAFTAR KRIPTOGRAM MENUNGGU TANDA TANGAN")
	t.centered(l.Date)
	t.indented("", "Yth. "+l.Reader)
	t.line("")
	var rows [][]string
	for i, k := range l.Items {
		rows = append(rows, []string{
			strconv.Itoa(i + 1), k.Entry, k.Urgency, strconv.Itoa(k.Draft), k.ParafAt,
			strconv.Itoa(k.Addressees), strconv.Itoa(k.Pages), k.Due, k.CheckWords,
		})
	}
	t.table([]string{"No.", "Agenda", "Derajat", "Draf", "Paraf", "Tujuan", "Hlm.", "Batas Waktu", "Kata Periksa"},
		[]int{3, 6, 9, 4, 6, 6, 4, 12, 22}, rows)
	t.line("")
	t.line(l.count())
	return t.w.Flush()
}
