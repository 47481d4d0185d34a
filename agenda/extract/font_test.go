package extract

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFacesKnowTheirCharacters(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*face{"regular": regular(), "bold": bold(), "mono": mono()} {
		for _, r := range "AZaz09 □·–—é…½" + string(missing) {
			if !f.has[r] || f.width[r] == 0 {
				t.Errorf("%s: no %q", name, r)
			}
		}
		for _, r := range "漢ก" {
			if f.has[r] {
				t.Errorf("%s: claims %q", name, r)
			}
		}
		for _, r := range "0123456789" {
			if f.width[r] != f.width['0'] {
				t.Errorf("%s: digits are not tabular", name)
			}
		}
	}
	for r := range rune(128) {
		if mono().has[r] && mono().width[r] != 600 {
			t.Errorf("mono: %q is %d wide", r, mono().width[r])
		}
	}
	// Arial's widths: A is 667/1000, bold 722.
	if a, b := regular().width['A'], bold().width['A']; a != 666 && a != 667 || b != 722 {
		t.Errorf("width of A: %d and %d", a, b)
	}
}

// wrap loses nothing but blanks, and a line is too wide only when it is a
// single character.
func FuzzWrap(f *testing.F) {
	f.Add("Undangan rapat koordinasi 005/1204/XI/2026", 12.0)
	f.Add("sandi.jateng@contoh.sanapati.test\n\n a", 3.0)
	f.Add("", 0.0)
	f.Fuzz(func(t *testing.T, s string, width float64) {
		s = visible(s)
		measure := func(s string) float64 { return float64(utf8.RuneCountInString(s)) }
		lines := wrap(s, width, measure)
		squeeze := strings.NewReplacer(" ", "", "\n", "").Replace
		if got, want := squeeze(strings.Join(lines, "")), squeeze(s); got != want {
			t.Errorf("%q became %q", want, got)
		}
		if len(lines) == 0 {
			t.Error("no line at all")
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); float64(n) > width && n > 1 {
				t.Errorf("line %q is wider than %v", line, width)
			}
		}
	})
}

// visible text is stable: what is shown once is shown the same again.
func FuzzVisible(f *testing.F) {
	f.Add("a\x1b\u202E\xff\r\nb\u0301")
	f.Add("\x17\u0338\u0301 \u0301")
	f.Fuzz(func(t *testing.T, s string) {
		once := visible(s)
		if twice := visible(once); twice != once {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}
