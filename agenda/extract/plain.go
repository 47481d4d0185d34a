package extract

import (
	"encoding/csv"
	"io"
	"unicode/utf8"

	"github.com/boombuler/barcode/qr"
)

// PlainSheet is a sheet of headed sections: the quarterly evaluation, the
// closing sheet of a day, the dispatch book, a key sheet, the page about the
// service. What stands in it is the caller's; how it is set is the same for
// all.
type PlainSheet struct {
	Page
	Title          string
	Subtitles      []string
	Classification string
	Reader         string // "Kepala Dinas …"; "" prints no line
	Sections       []Section
	Signatures     []Signature // two side by side, a third below them in the middle
}

// Section is one part of a [PlainSheet]: each part that is set is drawn, in
// the order of the fields below.
type Section struct {
	Heading string
	Remark  string      // beside the heading, small
	Text    []string    // paragraphs
	Fields  [][2]string // label and value
	Code    string      // drawn as QR beside the fields
	Columns []Column    // of the table; Width in millimetres, Key is not used
	Rows    [][]string  // none prints "Nihil"
	Bars    []Bar       // beside nothing: every figure stands in a table too
	Room    float64     // an empty ruled box, millimetres
	Fresh   bool        // begins a new page
}

// Bar is one bar of a chart in black and white. Part is the share drawn solid,
// the rest is outlined.
type Bar struct {
	Label string
	Value int
	Part  int
	Note  string // beside the bar: the figures in words
}

// Plain writes a sheet of sections as PDF.
func Plain(w io.Writer, p PlainSheet) (Printed, error) {
	f, err := p.portrait(p.Title)
	if err != nil {
		return Printed{}, err
	}
	f.classification = p.Classification
	f.running = joined(", ", append([]string{p.Title}, p.Subtitles[:min(1, len(p.Subtitles))]...)...)
	s, err := newSheet(p.Page, f)
	if err != nil {
		return Printed{}, err
	}
	s.addPage()
	s.letterhead(1)
	s.title(p.Title, 14)
	for _, line := range p.Subtitles {
		s.para(s.left, s.textWidth(), "C", line, style{size: 11})
	}
	s.y += 4
	if p.Reader != "" {
		s.para(s.left, s.textWidth(), "L", "Yth. "+p.Reader, style{size: 11})
		s.y += 1.5
	}
	signed := style{size: 10.5}
	tail := 0.0
	if len(p.Signatures) > 0 {
		tail = s.signatureRows(p.Signatures, signed) + 6
	}
	for i, section := range p.Sections {
		below := 0.0
		if i == len(p.Sections)-1 {
			below = tail
		}
		if err := s.part(section, below); err != nil {
			return Printed{}, err
		}
	}
	if tail > 0 {
		s.need(tail)
		s.y += 5
		s.signAll(p.Signatures, signed)
	}
	return s.finish(w)
}

// signatureRows is the height of the blocks of a sheet.
func (s *sheet) signatureRows(all []Signature, st style) float64 {
	height := 0.0
	for i := 0; i < len(all); i += 2 {
		height += s.signatureSpace(st, all[i:min(i+2, len(all))]...) + 2
	}
	return height
}

// signAll draws two blocks a row; a single one stands at the right, the last
// of three in the middle.
func (s *sheet) signAll(all []Signature, st style) {
	if len(all) == 1 {
		s.signatures(Signature{}, all[0], st)
		return
	}
	for i := 0; i < len(all); i += 2 {
		if i+1 < len(all) {
			s.signatures(all[i], all[i+1], st)
		} else {
			s.signaturesAt(st, []float64{s.left + (s.textWidth()-s.signatureWidth())/2}, all[i])
		}
		s.y += 2
	}
}

var plainBody = style{size: 10}

// underTable is the room between a table and what follows it.
const underTable = 1.5

// part draws one section; below is room that its last row keeps.
func (s *sheet) part(c Section, below float64) error {
	var t *table
	if len(c.Columns) > 0 {
		var err error
		if t, err = newTable(s, c.Columns, 8.5); err != nil {
			return err
		}
		if below > 0 {
			below += underTable
		}
	}
	switch {
	case c.Fresh:
		s.addPage()
	case c.Room > 0 && len(c.Columns) == 0 && len(c.Bars) == 0:
		// A box stands with its heading, and with the signatures below it.
		s.need(12 + c.Room + below)
	case t != nil && len(c.Rows) < 2 && below > 0 && len(c.Text)+len(c.Fields) == 0:
		// The only row, or the word that there is none, is the last as well:
		// heading, heads and row stand with the signatures.
		if height := 12 + t.headSpace() + t.space(t.firstLines(c.Rows)) + below; height <= s.limit()-s.top {
			s.need(height)
		}
	}
	if c.Heading != "" {
		s.section(c.Heading, c.Remark)
	}
	for _, text := range c.Text {
		s.flow(s.left, s.textWidth(), "L", text, plainBody)
		s.y += 0.8
	}
	if err := s.fieldsAndCode(c); err != nil {
		return err
	}
	if t != nil {
		if len(c.Bars) > 0 || c.Room > 0 {
			below = 0
		}
		s.need(t.headSpace() + t.space(t.firstLines(c.Rows)))
		t.list(len(c.Rows), below, func(i int) block { return t.plainRow(c.Rows[i]...) })
		s.y += underTable
	}
	s.bars(c.Bars)
	if c.Room > 0 {
		s.need(c.Room)
		s.box(s.left, s.y, s.textWidth(), c.Room)
		for y := 8.0; y < c.Room-2; y += 8 {
			s.rule(s.left+3, s.y+y, s.left+s.textWidth()-3, s.y+y, 0.1)
		}
		s.y += c.Room + 1
	}
	return nil
}

// firstLines is how many lines stand under the heads at the least: those of the
// first row unless it is very high, or those of the word that there is none.
func (t *table) firstLines(rows [][]string) int {
	if len(rows) == 0 {
		return 3
	}
	b := t.plainRow(rows[0]...)
	b.grow()
	return min(b.lines, 12)
}

// fieldsAndCode draws the fields, and a QR code at their right.
func (s *sheet) fieldsAndCode(c Section) error {
	labels := 0.0
	for _, f := range c.Fields {
		labels = max(labels, plainBody.measure(drawable(f[0])))
	}
	labels = min(labels+3, 60)
	top, page := s.y, 0
	const side = 36.0
	if c.Code != "" {
		s.need(side + 2)
		top = s.y
		code, err := qr.Encode(c.Code, qr.M, qr.Unicode)
		if err != nil {
			return &Error{code: CodeNote, Field: "QR code too long"}
		}
		name := "code " + c.Code
		pdf, err := s.base()
		if err != nil {
			return err
		}
		if pdf.GetImageInfo(name) == nil {
			if err := register(pdf, name, quiet(code)); err != nil {
				return err
			}
		}
		s.picture(name, s.width-s.right-side, top, side, side)
		s.record("code ", c.Code)
		s.taken, page = side+3, s.pages()
	}
	for _, f := range c.Fields {
		s.field(f[0], f[1], labels, plainBody)
	}
	s.taken = 0
	if c.Code != "" && s.pages() == page {
		s.y = max(s.y, top+side+1)
	}
	return nil
}

// bars draws a chart that a copier keeps: solid and outlined, figures beside.
func (s *sheet) bars(bars []Bar) {
	if len(bars) == 0 {
		return
	}
	most := 1
	for _, b := range bars {
		most = max(most, b.Value)
	}
	st := style{size: 8.5}
	const label, height = 50.0, 4.6
	note := 34.0
	for _, b := range bars {
		note = max(note, min(st.measure(drawable(b.Note))+2, 70))
	}
	room := s.textWidth() - label - note
	s.need(float64(len(bars))*(height+1.5) + 2)
	s.y += 1
	for _, b := range bars {
		base := s.y + height/2 + 0.36*st.size*mmPerPoint
		s.text(s.left, base, wrap(drawable(b.Label), label-1, st.measure)[0], st)
		x, whole := s.left+label, room*float64(b.Value)/float64(most)
		solid := room * float64(min(b.Part, b.Value)) / float64(most)
		if solid > 0 {
			s.path()
			s.colour(".35 g")
			s.canvas.box(x, s.y, solid, height, 0)
		}
		s.canvas.box(x, s.y, max(whole, 0.2), height, 0.2)
		s.text(x+whole+1.5, base, wrap(drawable(b.Note), note-1.5, st.measure)[0], st)
		s.y += height + 1.5
	}
	s.y += 1
}

// PlainText writes a sheet of sections as text of 80 columns.
func PlainText(w io.Writer, p PlainSheet) error {
	t := newText(w)
	if p.Classification != "" {
		t.centered(p.Classification)
	}
	t.centered(p.Title)
	for _, line := range p.Subtitles {
		t.centered(line)
	}
	if p.Reader != "" {
		t.indented("", "Yth. "+p.Reader)
	}
	for _, c := range p.Sections {
		t.line("")
		if c.Heading != "" {
			t.indented("", joined(", ", c.Heading, c.Remark))
		}
		for _, text := range c.Text {
			t.indented("", text)
		}
		labels := 0
		for _, f := range c.Fields {
			labels = max(labels, utf8.RuneCountInString(visible(f[0])))
		}
		for _, f := range c.Fields {
			t.field(visible(f[0]), f[1], min(labels, 30))
		}
		if len(c.Columns) > 0 {
			heads := make([]string, len(c.Columns))
			for i, col := range c.Columns {
				heads[i] = unhyphenated(col.Head)
			}
			t.table(heads, textWidths(c.Columns), c.Rows)
		}
		for _, b := range c.Bars {
			t.indented("  ", joined(": ", b.Label, b.Note))
		}
	}
	return t.end(p.PrintedAt, p.Signatures...)
}

// textWidths shares the columns of a text line as the paper shares its width.
func textWidths(columns []Column) []int {
	sum := 0.0
	for _, c := range columns {
		sum += c.Width
	}
	room := textColumns - len(columns)
	out := make([]int, len(columns))
	used := 0
	for i, c := range columns {
		out[i] = max(3, int(c.Width/sum*float64(room)))
		used += out[i]
	}
	for used > room { // the least widths took too much
		widest := 0
		for i := range out {
			if out[i] > out[widest] {
				widest = i
			}
		}
		out[widest]--
		used--
	}
	return out
}

// PlainCSV writes the tables of a sheet for a spreadsheet, each below its
// heading, as safe as [BookCSV].
func PlainCSV(w io.Writer, p PlainSheet) error {
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return err
	}
	c := csv.NewWriter(w)
	c.Comma, c.UseCRLF = ';', true
	put := func(cells ...string) {
		record := make([]string, len(cells))
		for i, cell := range cells {
			record[i] = SafeCell(cell)
		}
		_ = c.Write(record) // kept by the writer
	}
	put(p.Title)
	for _, line := range p.Subtitles {
		put(line)
	}
	for _, s := range p.Sections {
		put("")
		if s.Heading != "" {
			put(joined(", ", s.Heading, s.Remark))
		}
		for _, text := range s.Text {
			put(text)
		}
		for _, f := range s.Fields {
			put(f[0], f[1])
		}
		if len(s.Columns) > 0 {
			heads := make([]string, len(s.Columns))
			for i, col := range s.Columns {
				heads[i] = unhyphenated(col.Head)
			}
			put(heads...)
		}
		for _, row := range s.Rows {
			put(row...)
		}
	}
	c.Flush()
	return c.Error()
}
