// Package render turns values into what leaves the program: tables for people, JSON for scripts, both made harmless.
//
// [Safe] and [SafeWriter] are the one sanitiser. Every text that reaches a terminal passes it: names, subjects, replies of servers
// and file names come from strangers, and a terminal obeys control characters. JSON objects are written by [WriteJSON]; their
// fields are only ever added, arrays are never null, instants are RFC 3339 in UTC.
package render

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible says whether a rune may stand on a terminal as it is. Refused: controls (C0, DEL, C1), format characters (bidirectional
// and zero-width ones, tags), line and paragraph separators, private and unassigned ones, and letters that show as nothing.
func visible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800':
		return false
	}
	return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r)
}

func appendEscape(b []byte, r rune, raw byte) []byte {
	switch {
	case r == utf8.RuneError:
		return fmt.Appendf(b, `\x%02x`, raw)
	case r < 0x100:
		return fmt.Appendf(b, `\x%02x`, r)
	case r < 0x10000:
		return fmt.Appendf(b, `\u%04x`, r)
	}
	return fmt.Appendf(b, `\U%08x`, r)
}

// appendSafe appends p with everything invisible escaped, but for the runes of keep.
func appendSafe(b, p []byte, keep string) []byte {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 || !visible(r) && !strings.ContainsRune(keep, r) {
			b = appendEscape(b, r, p[0])
		} else {
			b = append(b, p[:n]...)
		}
		p = p[n:]
	}
	return b
}

// Safe returns s for one line of a terminal: controls, line ends, bidirectional, zero-width and otherwise invisible characters and
// octets that are not UTF-8 become visible escapes such as \x1b and \u202e. Safe of its own result changes nothing.
func Safe(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !visible(r) {
			return string(appendSafe(nil, []byte(s), ""))
		}
	}
	return s
}

// SafeWriter passes text on to w line by line as [Safe] would, keeping line feeds and tabs. It is not safe for concurrent use.
type SafeWriter struct {
	w    io.Writer
	part []byte // beginning of a character whose rest is still to come
}

// NewSafeWriter returns a writer to w.
func NewSafeWriter(w io.Writer) *SafeWriter { return &SafeWriter{w: w} }

// Write never splits a character; the beginning of one at the end of p waits for the next Write or for Flush.
func (s *SafeWriter) Write(p []byte) (int, error) {
	buf := append(s.part, p...)
	end := len(buf)
	for i := 1; i < utf8.UTFMax && i <= len(buf); i++ {
		if b := buf[len(buf)-i]; utf8.RuneStart(b) {
			if !utf8.FullRune(buf[len(buf)-i:]) {
				end = len(buf) - i
			}
			break
		}
	}
	out := appendSafe(nil, buf[:end], "\n\t")
	s.part = append([]byte(nil), buf[end:]...)
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what waits for its rest, escaped.
func (s *SafeWriter) Flush() error {
	out := appendSafe(nil, s.part, "")
	s.part = nil
	if len(out) == 0 {
		return nil
	}
	_, err := s.w.Write(out)
	return err
}
