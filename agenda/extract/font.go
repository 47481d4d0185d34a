package extract

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-fonts/liberation/liberationmonoregular"
	"github.com/go-fonts/liberation/liberationsansbold"
	"github.com/go-fonts/liberation/liberationsansregular"
	"golang.org/x/text/unicode/norm"
)

// A face knows which characters a font can draw and how wide they are. The PDF
// library draws a missing character as nothing, so this is read from the font
// itself.
type face struct {
	data  []byte
	width [1 << 16]uint16 // in 1/1000 of the type size; 0 with has unset: no glyph
	has   [1 << 16]bool
}

var (
	regular = sync.OnceValue(func() *face { return newFace(liberationsansregular.TTF) })
	bold    = sync.OnceValue(func() *face { return newFace(liberationsansbold.TTF) })
	mono    = sync.OnceValue(func() *face { return newFace(liberationmonoregular.TTF) }) // cover sheets alone
)

// newFace reads the tables head, hhea, hmtx and cmap (format 4) of an embedded
// TrueType font. The fonts are part of the program and covered by tests; a
// font without these tables is a broken build.
func newFace(data []byte) *face {
	table := map[string][]byte{}
	u16 := func(b []byte, at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	u32 := func(b []byte, at int) int { return int(binary.BigEndian.Uint32(b[at:])) }
	for i := range u16(data, 4) {
		record := data[12+16*i:]
		table[string(record[:4])] = data[u32(record, 8):][:u32(record, 12)]
	}
	unitsPerEm := u16(table["head"], 18)
	metrics := u16(table["hhea"], 34)
	advance := func(glyph int) int { return u16(table["hmtx"], 4*min(glyph, metrics-1)) }

	f := &face{data: data}
	cmap := table["cmap"]
	for i := range u16(cmap, 2) {
		sub := cmap[u32(cmap, 4+8*i+4):]
		if u16(sub, 0) != 4 {
			continue
		}
		segments := u16(sub, 6) / 2
		ends, starts := 14, 14+2*segments+2
		deltas, offsets := starts+2*segments, starts+4*segments
		for s := range segments {
			first, last := u16(sub, starts+2*s), u16(sub, ends+2*s)
			offset := u16(sub, offsets+2*s)
			for c := first; c <= last && c < 0xFFFF; c++ {
				glyph := c
				if offset != 0 {
					if glyph = u16(sub, offsets+2*s+offset+2*(c-first)); glyph == 0 {
						continue
					}
				}
				if glyph = (glyph + u16(sub, deltas+2*s)) & 0xFFFF; glyph != 0 {
					f.has[c] = true
					f.width[c] = uint16(advance(glyph) * 1000 / unitsPerEm)
				}
			}
		}
	}
	return f
}

// measure returns the width of s in millimetres at size points.
func (f *face) measure(s string, size float64) float64 {
	units := 0
	for _, r := range s {
		units += int(f.width[r&0xFFFF])
	}
	return float64(units) / 1000 * size * mmPerPoint
}

const mmPerPoint = 25.4 / 72

// missing stands for a character the font cannot draw.
const missing = '□'

// visible makes text safe to look at: NFC, controls and marks that change the
// direction or hide text written out as <U+202E>, invalid octets as U+FFFD. A
// line break stays.
func visible(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\n' || c >= 0x7F {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	s = norm.NFC.String(strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD"))
	var b strings.Builder
	written := false // out, the last one
	for _, r := range s {
		// A mark behind a character that is written out would change its bracket.
		written = written && unicode.Is(unicode.M, r) || r != '\n' &&
			unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Variation_Selector)
		if written {
			fmt.Fprintf(&b, "<U+%04X>", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// drawable is visible for paper: a character that either face of the sheets
// lacks becomes the box.
func drawable(s string) string { return boxed(visible(s), regular(), bold()) }

// boxed puts the box in the place of characters that one of the faces lacks.
func boxed(s string, faces ...*face) string {
	ok := func(r rune) bool {
		for _, f := range faces {
			if r >= 1<<16 || !f.has[r] {
				return false
			}
		}
		return true
	}
	for _, r := range s {
		if r != '\n' && !ok(r) {
			return strings.Map(func(r rune) rune {
				if r == '\n' || ok(r) {
					return r
				}
				return missing
			}, s)
		}
	}
	return s
}

// wrap breaks s into lines of at most width, as measure sees it: at blanks,
// else after one of "/-.,@_", else inside the word. A line break in s is kept.
// There is always one line.
func wrap(s string, width float64, measure func(string) float64) []string {
	var lines []string
	for _, paragraph := range strings.Split(s, "\n") {
		if measure(paragraph) <= width {
			lines = append(lines, strings.TrimRight(paragraph, " "))
			continue
		}
		line := ""
		for _, word := range words(paragraph) {
			joined := word
			if line != "" {
				joined = line + " " + word
			}
			if measure(joined) <= width {
				line = joined
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			for {
				n := fitting(word, width, measure)
				if n == len(word) {
					break
				}
				lines = append(lines, word[:n])
				word = word[n:]
			}
			line = word
		}
		lines = append(lines, line)
	}
	return lines
}

// softHyphen marks where a word of a column head may be broken.
const softHyphen = "\u00AD"

// unhyphenated is a column head without its marks.
func unhyphenated(head string) string {
	return strings.ReplaceAll(strings.ReplaceAll(head, softHyphen, ""), "\u00A0", " ")
}

// words splits at blanks; a no-break space holds its words together.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
}

// hyphenate makes a column head ready for wrap: a word that does not fit gets
// hyphens at its marks.
func hyphenate(head string, width float64, measure func(string) float64) string {
	parts := words(head)
	for i, word := range parts {
		whole := drawable(strings.ReplaceAll(word, softHyphen, ""))
		if measure(whole) > width {
			whole = drawable(strings.ReplaceAll(word, softHyphen, "-"))
		}
		parts[i] = whole
	}
	return strings.Join(parts, " ")
}

// fitting returns how many octets of a word go on one line: all of them when
// they fit, else at least one character, so that wrap ends however narrow the
// column is. It looks no further than the line, so that wrap stays linear.
func fitting(word string, width float64, measure func(string) float64) int {
	used, soft := 0.0, 0
	for i, r := range word {
		end := i + utf8.RuneLen(r)
		used += measure(word[i:end])
		if used > width && i > 0 {
			if soft > 0 {
				return soft
			}
			return i
		}
		if strings.ContainsRune("/-.,@_", r) {
			soft = end
		}
	}
	return len(word)
}
