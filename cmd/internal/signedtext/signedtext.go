// Package signedtext holds the small texts that people sign and that travel
// beside a kriptogram: the draft (kriptogram.txt), the return of a draft, the
// content record and the two cover blocks.
//
// Each text begins with a line of its own, so that a signature over one can
// never pass for a signature over another, and is written in the line codec
// of the agenda: `key SP value LF`, UTF-8 NFC, %XX for controls. Every parser
// accepts exactly what its writer writes: it parses, writes again and
// compares the octets.
//
// The package signs nothing and opens nothing; it is safe for concurrent use.
package signedtext

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sandi/agenda"
)

// ErrMalformed is returned by every parser for a text that its writer would
// not have written.
var ErrMalformed = errors.New("malformed signed text")

// ErrValue is returned by every writer for a value that the text cannot hold
// or that the parser would not read back: empty, blank at either end, longer
// than a line may be, no fingerprint, a number out of its range. So nothing is
// signed that the recipient's program refuses.
var ErrValue = errors.New("value does not fit the signed text")

// maxLine is the longest line in octets, without its LF.
const maxLine = 400

// Stamp writes an instant as these texts do: UTC, whole seconds.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func parseStamp(s string) (time.Time, error) { return time.Parse("2006-01-02T15:04:05Z", s) }

// writer collects lines and remembers the first value that does not fit.
type writer struct {
	buf bytes.Buffer
	err error
}

func (w *writer) raw(line string) {
	if w.err == nil && (len(line) > maxLine || strings.HasSuffix(line, " ")) {
		w.err = ErrValue
	}
	w.buf.WriteString(line)
	w.buf.WriteByte('\n')
}

func (w *writer) line(key, value string) {
	value = agenda.EscapeValue(value)
	if w.err == nil && (value == "" || strings.TrimSpace(value) != value) {
		w.err = fmt.Errorf("%s: %w", key, ErrValue)
	}
	w.raw(key + " " + value)
}

func (w *writer) time(key string, t time.Time) {
	s := Stamp(t)
	if _, err := parseStamp(s); err != nil {
		w.must(false)
	}
	w.line(key, s)
}

// must notes that a value is not one that the parser reads.
func (w *writer) must(ok bool) {
	if w.err == nil && !ok {
		w.err = ErrValue
	}
}

// bytes is the text, if it fits the limit that the parser sets.
func (w *writer) bytes(limit int) ([]byte, error) {
	w.must(w.buf.Len() <= limit)
	if w.err != nil {
		return nil, w.err
	}
	return w.buf.Bytes(), nil
}

// reader walks over the lines of a text; the first mismatch sticks.
type reader struct {
	lines []string
	bad   bool
}

func newReader(text []byte, limit int) *reader {
	r := &reader{}
	if len(text) == 0 || len(text) > limit || text[len(text)-1] != '\n' {
		r.bad = true
		return r
	}
	r.lines = strings.Split(string(text[:len(text)-1]), "\n")
	return r
}

func (r *reader) next() string {
	if r.bad || len(r.lines) == 0 {
		r.bad = true
		return ""
	}
	line := r.lines[0]
	r.lines = r.lines[1:]
	return line
}

func (r *reader) raw(want string) {
	if r.next() != want {
		r.bad = true
	}
}

func (r *reader) value(key string) string {
	rest, ok := strings.CutPrefix(r.next(), key+" ")
	if !ok {
		r.bad = true
		return ""
	}
	v, err := agenda.UnescapeValue(rest)
	if err != nil {
		r.bad = true
	}
	return v
}

func (r *reader) peek(key string) bool {
	return !r.bad && len(r.lines) > 0 && strings.HasPrefix(r.lines[0], key+" ")
}

func (r *reader) digest(name string) (h agenda.Hash) {
	rest, ok := strings.CutPrefix(r.next(), "SHA256 ("+name+") = ")
	if !ok {
		r.bad = true
		return h
	}
	return r.hash(rest)
}

func (r *reader) hash(s string) (h agenda.Hash) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		r.bad = true
		return h
	}
	copy(h[:], b)
	return h
}

func (r *reader) time(key string) time.Time {
	t, err := parseStamp(r.value(key))
	if err != nil {
		r.bad = true
	}
	return t
}

func (r *reader) int(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		r.bad = true
	}
	return n
}

// words splits a value into n words, the last of which takes the rest.
func (r *reader) words(value string, n int) []string {
	w := strings.SplitN(value, " ", n)
	for len(w) < n {
		r.bad = true
		w = append(w, "")
	}
	return w
}

func (r *reader) fraction(s string) (part, of int) {
	a, b, ok := strings.Cut(s, "/")
	part, of = int(r.int(a)), int(r.int(b))
	if !ok || part < 1 || of < part {
		r.bad = true
	}
	return part, of
}

func (r *reader) done() bool { return !r.bad && len(r.lines) == 0 }

// isText reports whether a value stands in a line as it is between others:
// something, and no blank at either end.
func isText(s string) bool { return s != "" && strings.TrimSpace(s) == s }

func digestLine(name string, h agenda.Hash) string {
	return fmt.Sprintf("SHA256 (%s) = %x", name, h[:])
}

// Sum is the digest under which the book knows a text (`manifest` for a draft).
func Sum(text []byte) agenda.Hash { return agenda.Hash(sha256.Sum256(text)) }
