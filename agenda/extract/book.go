package extract

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Keys of the shipped columns.
const (
	KeySerial         = "no"
	KeyTime           = "waktu"
	KeyOrigin         = "asal"
	KeyLetter         = "surat"
	KeySubject        = "perihal"
	KeyClassification = "kelas"
	KeyUrgency        = "derajat"
	KeyDestination    = "tujuan"
	KeyNumber         = "nomor"
	KeySent           = "kirim"
	KeyPages          = "halaman"
	KeyParaf          = "paraf"
	KeyRemark         = "keterangan"
)

// centred are the columns of figures, dates and codes.
var centred = []string{KeySerial, KeyTime, KeyClassification, KeyUrgency, KeySent, KeyPages}

// BookColumn is a column of a book with the alignment that its values want.
func BookColumn(key, head string, width float64) Column {
	c := Column{Key: key, Head: head, Width: width}
	if slices.Contains(centred, key) {
		c.Align = "C"
	}
	return c
}

// words is the total in words; numbers are named only in a book that has them.
func (s BookSheet) words(c Count) string {
	if s.Words != nil {
		return s.Words(c)
	}
	if slices.ContainsFunc(s.Columns, func(col Column) bool { return col.Key == KeyNumber }) {
		return fmt.Sprintf("%d agenda, %d nomor", c.Entries, c.Numbers)
	}
	return fmt.Sprintf("%d agenda", c.Entries)
}

// Book writes an extract of a book as PDF, across the paper: heads and column
// numbers on every page, totals carried from page to page, the signatures on
// the page of the last row. The first error of s.Rows is returned and nothing
// is written.
func Book(w io.Writer, s BookSheet) (Printed, error) {
	title := "Kutipan buku agenda"
	if len(s.Heads) > 0 {
		title = s.Heads[0]
	}
	f, err := s.landscape(title)
	if err != nil {
		return Printed{}, err
	}
	f.classification, f.running = s.Classification, strings.Join(s.Heads[:min(2, len(s.Heads))], ", ")
	sh, err := newSheet(s.Page, f)
	if err != nil {
		return Printed{}, err
	}
	t, err := newTable(sh, s.Columns, 8.5)
	if err != nil {
		return Printed{}, err
	}
	t.numbered = true
	for i, c := range s.Columns {
		t.ruled[i] = c.Key == KeyDestination || c.Key == KeyNumber || c.Key == KeySent || c.Key == KeyRemark
	}
	total := style{size: 8.5, bold: true}
	t.reserve = total.lead() + 2*padY + 0.5

	before, here := s.Carried, Count{}
	totals := func() {
		after := Count{before.Entries + here.Entries, before.Numbers + here.Numbers}
		width := sh.textWidth()
		base := sh.y + padY + total.rise() + 0.3
		sh.align(sh.left+padX, width-2*padX, base, "L", "Jumlah pindahan: "+s.words(before), total)
		sh.align(sh.left+padX, width-2*padX, base, "C", "Jumlah halaman ini: "+s.words(here), total)
		sh.align(sh.left+padX, width-2*padX, base, "R", "Jumlah dipindahkan: "+s.words(after), total)
		sh.box(sh.left, sh.y, width, t.reserve-0.3)
		sh.y += t.reserve
		before, here = after, Count{}
	}
	t.onBreak = func() {
		totals()
		sh.addPage()
	}

	sh.addPage()
	sh.letterhead(1)
	for i, head := range s.Heads {
		st := style{size: 10.5}
		if i == 0 {
			st = style{size: 13, bold: true}
		}
		sh.para(sh.left, sh.textWidth(), "C", head, st)
	}
	sh.y += 2.5
	t.begin()

	signed := style{size: 10}
	small := style{size: 7.5}
	legend := wrap(drawable(s.Legend), sh.textWidth(), small.measure)
	tail := sh.signatureSpace(signed, s.Left, s.Right)
	if tail > 0 {
		tail += 4
	}
	if s.Legend != "" {
		tail += float64(len(legend))*small.lead() + 1.5
	}

	// The last row is not known before the end; each row waits for the next
	// one, so that the signatures never stand alone.
	var waiting *Row
	put := func(r Row, tail float64) {
		b := t.bookRow(r)
		b.grow()
		// A row counts for the page on which it begins.
		t.settle(b.lines, tail)
		if !r.Again {
			here.Entries++
			here.Numbers += r.Numbers
		}
		t.row(b, tail)
	}
	for r, err := range s.Rows {
		if err != nil {
			return Printed{}, err
		}
		if waiting != nil {
			put(*waiting, 0)
		}
		waiting = &r
	}
	if waiting == nil {
		t.nothing()
	} else {
		put(*waiting, tail)
		t.close()
	}
	totals()
	if s.Legend != "" {
		sh.y += 1
		sh.para(sh.left, sh.textWidth(), "L", s.Legend, small)
	}
	if space := sh.signatureSpace(signed, s.Left, s.Right); space > 0 {
		if sh.y+space+2 > sh.limit() {
			sh.addPage()
		}
		sh.y += 3
		sh.signatures(s.Left, s.Right, signed)
	}
	return sh.finish(w)
}

// bookRow makes the block of a row: the columns of the entry from the top, the
// addressees one below the other.
func (t *table) bookRow(r Row) block {
	b := newBlock(len(t.columns))
	perSub := make([]bool, len(t.columns))
	at := 0
	for n, sub := range r.Sub {
		if n > 0 {
			b.cuts = append(b.cuts, at)
		}
		lines := 1
		for i, c := range t.columns {
			cell, ok := sub.Cells[c.Key]
			if !ok {
				continue
			}
			// One addressee without a word of his own leaves the place to the entry's.
			perSub[i] = perSub[i] || len(r.Sub) > 1 || cell != Cell{}
			p := t.pieces(i, cell, r.Void && c.Key != KeyRemark || sub.Struck)
			b.place(i, at, p)
			lines = max(lines, len(p))
		}
		at += lines
	}
	for i, c := range t.columns {
		cell, ok := r.Cells[c.Key]
		if !ok {
			continue
		}
		p := t.pieces(i, cell, r.Void && c.Key != KeyRemark)
		if perSub[i] {
			b.place(i, at, p)
		} else {
			b.place(i, 0, p)
		}
	}
	if at == 0 {
		b.lines = 1
	}
	b.lines = max(b.lines, at)
	return b
}
