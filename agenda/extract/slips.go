package extract

import (
	"fmt"
	"io"
	"strings"
)

// The size of a slip, in millimetres.
const (
	slipWidth  = 95.0
	slipHeight = 60.0
)

const (
	slipPad   = 4.0
	slipTop   = 8.5  // the heading and the number of the entry
	slipFoot  = 11.0 // the place of the paraf
	slipLabel = 23.0
	slipRoom  = slipHeight - 2*slipPad - slipTop - slipFoot
)

// slipPart is what stands on one slip: a letter with many addressees goes on
// over further slips.
type slipPart struct {
	Slip
	lines       []slipLine
	part, parts int
}

// A slipLine is one line as drawn, gap millimetres below the one before.
type slipLine struct {
	slipField
	gap float64
}

// A slipField is one line of a slip; without a label it takes the whole width.
type slipField struct{ label, text string }

// fields are what a slip says below the number of the entry: three lines for
// an only addressee, one item each for several.
func (s Slip) fields() []slipField {
	out := []slipField{{"Nomor surat", s.LetterNumber}, {"Tanggal surat", s.LetterDate}}
	if len(s.Lines) == 1 {
		l := s.Lines[0]
		out = append(out, slipField{"Tujuan", l.Destination}, slipField{"Waktu kirim", l.SentAt})
		if l.Proof != "" {
			out = append(out, slipField{"Bukti", l.Proof})
		}
		return out
	}
	mixed := s.heading() == mixedHeading
	for i, l := range s.Lines {
		way := ""
		if mixed {
			way = "melalui " + titled(l.Route, "email")
		}
		out = append(out, slipField{text: fmt.Sprintf("%d. %s", i+1, joined(", ", l.Destination, l.SentAt, way, l.Proof))})
	}
	return out
}

var slipStyle = style{size: 8.5}

func (f slipField) width() float64 {
	if f.label == "" {
		return slipWidth - 2*slipPad
	}
	return slipWidth - 2*slipPad - slipLabel
}

// lines are the lines of a field, the label at the first.
func (f slipField) lines() []slipLine {
	var out []slipLine
	for i, text := range wrap(drawable(f.text), f.width(), slipStyle.measure) {
		line := slipLine{slipField: slipField{f.label, text}}
		if i > 0 && f.label != "" {
			line.label = " "
		}
		if i == 0 && (f.label == "" || f.label == "Tujuan") {
			line.gap = 1
		}
		out = append(out, line)
	}
	return out
}

// parts deals the lines of a slip out to as many slips as they need. A field
// stays in one piece where it can.
func (s Slip) parts() []slipPart {
	out := []slipPart{{Slip: s}}
	used := 0.0
	begin := func() {
		out = append(out, slipPart{Slip: s})
		used = 0
	}
	for _, f := range s.fields() {
		lines := f.lines()
		if h := float64(len(lines))*slipStyle.lead() + 1; used > 0 && used+h > slipRoom && h <= slipRoom {
			begin()
		}
		for _, l := range lines {
			h := slipStyle.lead() + l.gap
			if used+h > slipRoom {
				begin()
			}
			last := &out[len(out)-1]
			last.lines = append(last.lines, l)
			used += h
		}
	}
	for i := range out {
		out[i].part, out[i].parts = i+1, len(out)
	}
	return out
}

const mixedHeading = "DIKIRIM MELALUI SANAPATI"

// heading tells the way: one word when all copies took the same.
func (s Slip) heading() string {
	route := ""
	for i, l := range s.Lines {
		if i > 0 && l.Route != route {
			return mixedHeading
		}
		route = l.Route
	}
	if route == "webmail" {
		return "DIKIRIM MELALUI WEBMAIL SANAPATI"
	}
	return "DIKIRIM MELALUI EMAIL SANAPATI"
}

// Slips writes the slips for the back of the letters, 95 x 60 mm each with
// lines to cut along: ten on F4, eight on A4, one on [Label]. A letter with
// more addressees than fit takes several slips. The pages have neither
// letterhead nor foot, since they are cut: page codes go to [Page.Done] only.
func Slips(w io.Writer, p Page, slips []Slip) error {
	f := form{title: "Lembar belakang", width: slipWidth, height: slipHeight, plain: true}
	columns, rows := 1, 1
	if p.Paper != Label {
		whole, err := p.portrait(f.title)
		if err != nil {
			return err
		}
		f.width, f.height = whole.width, whole.height
		columns, rows = int(f.width/slipWidth), int(f.height/slipHeight)
	}
	left, top := (f.width-float64(columns)*slipWidth)/2, (f.height-float64(rows)*slipHeight)/2
	p.Office.Emblem, p.Checkpoint = nil, ""
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	n := 0
	for _, slip := range slips {
		for _, part := range slip.parts() {
			place := n % (columns * rows)
			if place == 0 {
				s.addPage()
				s.cuts(left, top, columns, rows)
			}
			s.slip(left+float64(place%columns)*slipWidth, top+float64(place/columns)*slipHeight, part)
			n++
		}
	}
	if n == 0 {
		s.addPage()
	}
	_, err = s.finish(w)
	return err
}

// cuts draws the lines to cut along; a label needs none.
func (s *sheet) cuts(left, top float64, columns, rows int) {
	if columns*rows == 1 {
		return
	}
	s.dash(1.5)
	right, bottom := left+float64(columns)*slipWidth, top+float64(rows)*slipHeight
	for i := range columns + 1 {
		x := left + float64(i)*slipWidth
		s.rule(x, top, x, bottom, 0.1)
	}
	for i := range rows + 1 {
		y := top + float64(i)*slipHeight
		s.rule(left, y, right, y, 0.1)
	}
	s.dash(0)
}

func (s *sheet) slip(x, y float64, p slipPart) {
	inner := slipWidth - 2*slipPad
	x += slipPad
	s.y = y + slipPad
	heading := p.heading()
	if p.parts > 1 {
		heading += fmt.Sprintf(" (%d dari %d)", p.part, p.parts)
	}
	s.para(x, inner, "L", heading, style{size: 9, bold: true})
	s.y += 0.8
	s.text(x, s.y+slipStyle.rise(), "Nomor agenda", slipStyle)
	s.text(x+slipLabel, s.y+slipStyle.rise(), p.Entry, slipStyle)
	s.y = y + slipPad + slipTop
	for _, l := range p.lines {
		s.y += l.gap
		s.text(x, s.y+slipStyle.rise(), strings.TrimSpace(l.label), slipStyle)
		s.text(x+inner-l.width(), s.y+slipStyle.rise(), l.text, slipStyle)
		s.y += slipStyle.lead()
	}
	foot := y + slipHeight - slipPad
	s.box(x+inner-26, foot-slipFoot+2, 26, slipFoot-2)
	s.y = foot - slipFoot + 3
	paraf, st := "Paraf "+titled(p.Sender, "Petugas"), style{size: 8}
	for st.size > 4 && float64(len(wrap(drawable(paraf), inner-28, st.measure)))*st.lead() > slipFoot-3 {
		st.size -= 0.5
	}
	s.para(x, inner-28, "R", paraf, st)
}
