package agenda

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Line is one "key SP value" line of the codec that events, texts and the
// drafts that leave the desk share. Value is the plain value.
type Line struct{ Key, Value string }

// escapes tells whether the codec writes the rune as %XX: the percent sign,
// controls, bidi marks and Unicode line separators, so that no value can
// start a line or turn the reading direction on a screen.
func escapes(r rune) bool {
	switch {
	case r == '%', r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

const upperHex = "0123456789ABCDEF"

// EscapeValue writes a value as it stands in a line: NFC, invalid UTF-8 as
// U+FFFD, and %XX (upper-case hex of the UTF-8 octets) for the percent sign,
// controls, bidi marks and line separators.
func EscapeValue(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '%' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	s = normal(s)
	var b []byte
	for i, r := range s {
		if !escapes(r) {
			if b != nil {
				b = utf8.AppendRune(b, r)
			}
			continue
		}
		if b == nil {
			b = append(make([]byte, 0, len(s)+16), s[:i]...)
		}
		var u [utf8.UTFMax]byte
		for _, c := range u[:utf8.EncodeRune(u[:], r)] {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}

// normal is the plain form that the codec keeps.
func normal(s string) string {
	return norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
}

// UnescapeValue reads exactly what [EscapeValue] writes and refuses all else.
func UnescapeValue(s string) (string, error) {
	out := s
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b = append(b, s[i])
				continue
			}
			if i+2 >= len(s) {
				return "", invalid("value", s)
			}
			hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
			if hi < 0 || lo < 0 {
				return "", invalid("value", s)
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		}
		out = string(b)
	}
	if EscapeValue(out) != s {
		return "", invalid("value", s)
	}
	return out, nil
}

// keyOK tells whether the key is of letters, digits and "().-" alone.
func keyOK(key string) bool {
	if key == "" {
		return false
	}
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '(', c == ')', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

// AppendLine appends "key SP value LF". The value is normalised and escaped;
// the key is the caller's own and must be of letters, digits and "().-".
func AppendLine(dst []byte, key, value string) []byte {
	dst = append(dst, key...)
	dst = append(dst, ' ')
	dst = append(dst, EscapeValue(value)...)
	return append(dst, '\n')
}

// ParseLines reads lines that [AppendLine] wrote and accepts nothing else:
// the last line ends in LF, none is empty, every value is in its one escaped
// form. No lines at all are fine.
func ParseLines(b []byte) ([]Line, error) {
	out := make([]Line, 0, bytes.Count(b, []byte{'\n'}))
	text := string(b)
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		key, escaped, spaced := strings.Cut(line, " ")
		if !ended || !spaced || !keyOK(key) {
			return nil, invalid("line", line)
		}
		value, err := UnescapeValue(escaped)
		if err != nil {
			return nil, invalid(key, escaped)
		}
		out = append(out, Line{Key: key, Value: value})
		text = rest
	}
	return out, nil
}
