package extract

import (
	"fmt"
	"io"
	"strings"
)

// monoText is the type of a text that is set in columns: 80 of them are as
// wide as the text of a page.
var monoText = style{size: 9.4, mono: true}

// Covers writes the cover sheets of an entry as they went out with its copies,
// each on a sheet of its own. The text stands letter for letter in its own
// columns; only a line that is wider than the paper is broken.
func Covers(w io.Writer, p Page, covers []Cover) error {
	f, err := p.portrait("Lembar pengantar")
	if err != nil {
		return err
	}
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	small := style{size: 9}
	for _, c := range covers {
		s.running = joined(", ", "LEMBAR PENGANTAR", c.mark())
		s.opens = true
		s.addPage()
		s.letterhead(1)
		s.para(s.left, s.textWidth(), "L", joined(", ", c.mark(), c.Sent), small)
		s.y += 1
		s.rule(s.left, s.y, s.left+s.textWidth(), s.y, 0.1)
		s.y += 3
		for line := range strings.SplitSeq(strings.TrimSuffix(c.Text, "\n"), "\n") {
			s.columns(line)
		}
	}
	_, err = s.finish(w)
	return err
}

// columns draws one line in letters of equal width. Its blanks stay, since
// they align it.
func (s *sheet) columns(line string) {
	line = boxed(drawable(line), mono())
	indent := len(line) - len(strings.TrimLeft(line, " "))
	lines := []string{line}
	if monoText.measure(line) > s.textWidth() {
		lead := strings.Repeat(" ", min(indent, 20))
		lines = wrap(line[len(lead):], s.textWidth()-monoText.measure(lead), monoText.measure)
		for i := range lines {
			lines[i] = lead + lines[i]
		}
	}
	for _, text := range lines {
		s.need(monoText.lead())
		s.text(s.left, s.y+monoText.rise(), text, monoText)
		s.y += monoText.lead()
	}
}

// mark names the copy that a cover went with.
func (c Cover) mark() string {
	return fmt.Sprintf("Agenda %s, salinan %d dari %d", c.Entry, c.Copy, c.Of)
}

// CoversText writes the cover sheets as text, a rule between them. The lines
// are those of the message, with what cannot be seen made visible.
func CoversText(w io.Writer, covers []Cover) error {
	t := newText(w)
	for i, c := range covers {
		if i > 0 {
			t.rule("=")
		}
		t.indented("", joined(", ", c.mark(), c.Sent))
		t.line("")
		for line := range strings.SplitSeq(strings.TrimSuffix(c.Text, "\n"), "\n") {
			t.line(visible(line))
		}
	}
	return t.w.Flush()
}
