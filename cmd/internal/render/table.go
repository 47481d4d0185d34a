package render

import (
	"io"
	"strings"
	"unicode"
)

// Width is the width of a terminal that every table is made for.
const Width = 80

// Align says where a cell's text stands in its column.
type Align int

// The alignments.
const (
	Left Align = iota
	Right
)

// Table is aligned columns of plain text without lines around them, one space before the first column and two between columns.
// Cells are made safe; when a row is wider than [Width], the cells of the widest columns are cut with "..".
type Table struct {
	// Head is printed above the rows when it is not empty.
	Head []string
	// Align gives the alignment by column; missing ones are Left.
	Align []Align
	// Fixed columns are never cut: names of entries, numbers.
	Fixed []int

	rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Safe(c)
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Columns counts the terminal columns of a safe text: combining marks take none.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			n++
		}
	}
	return n
}

// WriteTo writes the table.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	rows := t.rows
	if len(t.Head) > 0 {
		rows = append([][]string{t.Head}, rows...)
	}
	widths := t.widths(rows)
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i == 0 {
				line.WriteByte(' ')
			} else {
				line.WriteString("  ")
			}
			cell = cut(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-Columns(cell))
			if i < len(t.Align) && t.Align[i] == Right {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// widths takes a column at a time from the widest one that may be cut until the row fits.
func (t *Table) widths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Columns(cell))
		}
	}
	total := 2*len(widths) - 1
	for _, w := range widths {
		total += w
	}
	fixed := map[int]bool{}
	for _, i := range t.Fixed {
		fixed[i] = true
	}
	const least = 6
	for ; total > Width; total-- {
		widest := -1
		for i, w := range widths {
			if !fixed[i] && w > least && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// cut shortens a text to a number of columns, ending in "..".
func cut(s string, width int) string {
	if Columns(s) <= width {
		return s
	}
	n, end := 0, 0
	for i, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			n++
		}
		if n > width-2 {
			break
		}
		end = i + len(string(r))
	}
	return s[:end] + ".."
}
