package extract

import (
	"fmt"
	"slices"
	"strings"
)

// A piece is one line of one column.
type piece struct {
	text   string
	struck bool
}

// A block is one row made ready for paper: its columns as pieces on a grid of
// equal lines, and the lines at which a sub-row begins.
type block struct {
	cols  [][]piece
	cuts  []int
	lines int
}

func newBlock(columns int) block { return block{cols: make([][]piece, columns)} }

// grow makes the block as high as its highest column.
func (b *block) grow() {
	for _, col := range b.cols {
		b.lines = max(b.lines, len(col))
	}
}

// table draws rows below repeating heads. What happens at the end of a page is
// the caller's: onBreak draws what closes the page and begins the next one.
type table struct {
	s        *sheet
	columns  []Column // widths as drawn
	heads    [][]string
	sizes    []style   // of the heads: a narrow column may need a smaller one
	xs       []float64 // left edges, and the right edge of the last column
	body     style
	head     style
	numbered bool    // a row (1) (2) (3) below the heads, as official tables have
	reserve  float64 // room kept free at the foot of every page
	ruled    []bool  // columns that sub-row rules cross
	top      float64 // of the part on this page
	onBreak  func()
	fresh    float64 // room for rows on a page after the first, 0 unknown
	begun    bool    // heads stand on this page
	empty    bool    // no row stands on this page yet
}

const (
	padX    = 1.0 // left and right of a cell
	padY    = 0.7 // above and below
	headPad = 0.5 // left and right of a column head
)

func newTable(s *sheet, columns []Column, size float64) (*table, error) {
	t := &table{s: s, body: style{size: size}, head: style{size: size, bold: true}, ruled: make([]bool, len(columns))}
	sum := 0.0
	for _, c := range columns {
		if c.Width <= 0 {
			return nil, &Error{code: CodeColumns, Field: "width of column", Value: c.Head}
		}
		sum += c.Width
	}
	if len(columns) == 0 {
		return nil, &Error{code: CodeColumns, Field: "no columns"}
	}
	// The widths of the papers fill F4; other sets and papers are scaled.
	scale := s.textWidth() / sum
	x := s.left
	for _, c := range columns {
		c.Width *= scale
		t.columns = append(t.columns, c)
		t.xs = append(t.xs, x)
		st, lines := headLines(c.Head, c.Width-2*headPad, t.head)
		t.sizes = append(t.sizes, st)
		t.heads = append(t.heads, lines)
		x += c.Width
	}
	t.xs = append(t.xs, x)
	return t, nil
}

// headLines wraps a column head, in a smaller type when a word of it would be
// broken otherwise.
func headLines(head string, width float64, st style) (style, []string) {
	fits := func(st style) bool {
		for _, word := range words(hyphenate(head, width, st.measure)) {
			for part := range strings.SplitAfterSeq(word, "-") {
				if st.measure(part) > width {
					return false
				}
			}
		}
		return true
	}
	least := st.size * 0.7
	for !fits(st) && st.size-0.25 >= least {
		st.size -= 0.25
	}
	return st, wrap(hyphenate(head, width, st.measure), width, st.measure)
}

func (t *table) limit() float64 { return t.s.limit() - t.reserve }

func (t *table) headSpace() float64 {
	lines := 0
	for _, head := range t.heads {
		lines = max(lines, len(head))
	}
	h := float64(lines)*t.head.lead() + 2*padY + 0.6
	if t.numbered {
		h += t.numberStyle().lead() + 0.6
	}
	return h
}

func (t *table) numberStyle() style { return style{size: t.body.size - 1.5} }

// begin draws the heads at the place of the next line.
func (t *table) begin() {
	t.top = t.s.y
	t.begun, t.empty = true, true
	lines := 0
	for _, head := range t.heads {
		lines = max(lines, len(head))
	}
	height := float64(lines)*t.head.lead() + 2*padY + 0.6
	t.s.rule(t.xs[0], t.top, t.xs[len(t.xs)-1], t.top, 0.3)
	for i, head := range t.heads {
		y := t.top + (height-float64(len(head))*t.head.lead())/2
		for n, line := range head {
			t.s.align(t.xs[i], t.columns[i].Width, y+float64(n)*t.head.lead()+t.head.rise(), "C", line, t.sizes[i])
		}
	}
	t.s.y += height
	if t.numbered {
		st := t.numberStyle()
		t.s.rule(t.xs[0], t.s.y, t.xs[len(t.xs)-1], t.s.y, 0.2)
		for i := range t.columns {
			t.s.align(t.xs[i], t.columns[i].Width, t.s.y+0.3+st.rise(), "C", fmt.Sprintf("(%d)", i+1), st)
		}
		t.s.y += st.lead() + 0.6
	}
	t.s.rule(t.xs[0], t.s.y, t.xs[len(t.xs)-1], t.s.y, 0.3)
}

// close draws the upright rules of the part on this page.
func (t *table) close() {
	if !t.begun {
		return
	}
	t.begun = false
	for _, x := range t.xs {
		t.s.rule(x, t.top, x, t.s.y, 0.2)
	}
}

// nothing draws "Nihil" across the table instead of rows, and closes it.
func (t *table) nothing() {
	foot := t.s.y
	for _, x := range t.xs[1 : len(t.xs)-1] {
		t.s.rule(x, t.top, x, foot, 0.2)
	}
	height := 3 * t.body.lead()
	t.s.align(t.xs[0], t.xs[len(t.xs)-1]-t.xs[0], foot+height/2+0.35*t.body.size*mmPerPoint, "C", "Nihil", style{size: t.body.size + 1})
	t.s.y += height
	t.s.rule(t.xs[0], t.s.y, t.xs[len(t.xs)-1], t.s.y, 0.3)
	t.s.rule(t.xs[0], t.top, t.xs[0], t.s.y, 0.2)
	t.s.rule(t.xs[len(t.xs)-1], t.top, t.xs[len(t.xs)-1], t.s.y, 0.2)
	t.begun = false
}

func (t *table) space(lines int) float64 { return float64(lines)*t.body.lead() + 2*padY }

func (t *table) breakPage() {
	t.close()
	t.onBreak()
	t.begin()
	t.fresh = t.limit() - t.s.y
}

// freshRoom is the room for rows on a new page: exact once one was begun.
func (t *table) freshRoom() float64 {
	if t.fresh > 0 {
		return t.fresh
	}
	return t.limit() - t.s.top - t.headSpace()
}

// settle goes to a new page when the block and its tail do not fit here but fit
// there, or when too little of a block higher than a page would stand here.
func (t *table) settle(lines int, tail float64) {
	if t.empty && t.fresh > 0 {
		return // nothing is better than this page
	}
	room := t.limit() - t.s.y
	if t.space(lines)+tail <= room {
		return
	}
	if t.space(lines)+tail <= t.freshRoom() || t.space(min(lines, 3)) > room {
		t.breakPage()
	}
}

// row draws a block, followed by room for tail millimetres on the same page.
// The block stays whole unless it is higher than a page; then it is cut, at a
// sub-row when one is near, and its last part keeps the tail.
func (t *table) row(b block, tail float64) {
	b.grow()
	if tail > t.freshRoom()-t.space(4) {
		tail = 0 // cannot stand together on any page
	}
	for {
		t.settle(b.lines, tail)
		room := t.limit() - t.s.y
		if t.space(b.lines)+tail <= room || b.lines == 1 {
			t.draw(b)
			return
		}
		n := max(1, min(int((room-2*padY)/t.body.lead()), b.lines-1))
		if i, _ := slices.BinarySearch(b.cuts, n+1); i > 0 && b.cuts[i-1] > n/2 {
			n = b.cuts[i-1]
		}
		part, rest := b.split(n)
		t.draw(part)
		t.breakPage()
		b = rest
	}
}

// split cuts a block after n lines. The second part names the row again.
func (b block) split(n int) (block, block) {
	head, rest := newBlock(len(b.cols)), newBlock(len(b.cols))
	for i, col := range b.cols {
		cut := min(n, len(col))
		head.cols[i], rest.cols[i] = col[:cut], col[cut:]
	}
	for _, cut := range b.cuts {
		if cut < n {
			head.cuts = append(head.cuts, cut)
		} else if cut > n {
			rest.cuts = append(rest.cuts, cut-n)
		}
	}
	head.lines, rest.lines = n, b.lines-n
	if len(b.cols[0]) > 0 && len(rest.cols[0]) == 0 {
		rest.cols[0] = []piece{b.cols[0][0]}
		if rest.lines > 1 {
			rest.cols[0] = append(rest.cols[0], piece{text: "lanj."})
		}
	}
	return head, rest
}

func (t *table) draw(b block) {
	s := t.s
	top := s.y
	lead, rise := t.body.lead(), t.body.rise()
	for i, col := range b.cols {
		x, width := t.xs[i]+padX, t.columns[i].Width-2*padX
		for n, p := range col {
			base := top + padY + float64(n)*lead + rise
			if p.struck {
				s.struck(x+indent(t.columns[i].Align, width, t.body.measure(drawable(p.text))), base, p.text, t.body)
			} else {
				s.align(x, width, base, t.columns[i].Align, p.text, t.body)
			}
		}
	}
	for _, cut := range b.cuts {
		y := top + padY + float64(cut)*lead - 0.1
		for i, on := range t.ruled {
			if on {
				s.rule(t.xs[i], y, t.xs[i+1], y, 0.1)
			}
		}
	}
	s.y = top + t.space(b.lines)
	s.rule(t.xs[0], s.y, t.xs[len(t.xs)-1], s.y, 0.2)
	t.empty = false
}

// pieces wraps a cell into the width of a column: the old value struck
// through, the new one below.
func (t *table) pieces(column int, c Cell, struck bool) []piece {
	width := t.columns[column].Width - 2*padX
	var out []piece
	if c.Struck != "" {
		for _, line := range wrap(drawable(c.Struck), width, t.body.measure) {
			out = append(out, piece{line, true})
		}
	}
	if c.Text != "" {
		for _, line := range wrap(drawable(c.Text), width, t.body.measure) {
			out = append(out, piece{line, struck})
		}
	}
	return out
}

// plainRow is the block of a row without sub-rows.
func (t *table) plainRow(cells ...string) block {
	b := newBlock(len(t.columns))
	for i, text := range cells {
		b.cols[i] = t.pieces(i, Cell{Text: text}, false)
	}
	return b
}

// nested is the block of a row that repeats the columns from first on, one
// item per addressee.
func (t *table) nested(fixed []string, first int, subs [][]string) block {
	b := t.plainRow(fixed...)
	at := 0
	for n, sub := range subs {
		if n > 0 {
			b.cuts = append(b.cuts, at)
		}
		lines := 1
		for i, text := range sub {
			p := t.pieces(first+i, Cell{Text: text}, false)
			b.place(first+i, at, p)
			lines = max(lines, len(p))
		}
		at += lines
	}
	return b
}

// place sets pieces into a column from a line on.
func (b *block) place(column, at int, p []piece) {
	if len(p) == 0 {
		return
	}
	for len(b.cols[column]) < at {
		b.cols[column] = append(b.cols[column], piece{})
	}
	b.cols[column] = append(b.cols[column], p...)
}
