package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf16"
)

// WriteJSON writes v as one line. What a terminal would obey is written as an escape, so that JSON may be looked at as well.
func WriteJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return writeLine(w, data)
}

// WriteResult is WriteJSON for an object that is a command's result: warnings stand in it as one more field, [] for none.
func WriteResult(w io.Writer, v any, warnings []Warning) error {
	if warnings == nil {
		warnings = []Warning{}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	told, err := json.Marshal(warnings)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	if body, ok := bytes.CutSuffix(data, []byte("}")); ok {
		if len(body) > 1 {
			body = append(body, ',')
		}
		data = fmt.Appendf(body, `"warnings":%s}`, told)
	}
	return writeLine(w, data)
}

// writeLine writes JSON as one line that may be looked at.
func writeLine(w io.Writer, data []byte) error {
	out := make([]byte, 0, len(data)+1)
	for _, r := range string(data) { // Marshal writes valid UTF-8 and its invisible runes stand in strings only
		switch {
		case visible(r):
			out = append(out, string(r)...)
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	_, err := w.Write(append(out, '\n'))
	return err
}

// Error is the object on stderr when a command fails under --json.
type Error struct {
	Schema  string `json:"schema"` // sandi.error/1
	Code    string `json:"code"`
	Message string `json:"message"`
	// Retry says whether the same command may help: "no", "later" (by itself), "ask" (a person must look first).
	Retry string  `json:"retry"`
	Entry *string `json:"entry"`
	// Warnings are what was warned of before; absent when there is none.
	Warnings []Warning `json:"warnings,omitempty"`
}

// Warning is what a person would have been warned of. The command did what it was asked to.
type Warning struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Entry   *string `json:"entry"` // that it is about
}

// Warnings is the object on stderr for warnings that came when there was no result any more to stand in.
type Warnings struct {
	Schema   string    `json:"schema"` // sandi.warnings/1
	Warnings []Warning `json:"warnings"`
}

// NewError fills in an error object; an empty entry becomes null.
func NewError(code, message, retry, entry string) Error {
	e := Error{Schema: "sandi.error/1", Code: code, Message: message, Retry: retry}
	if entry != "" {
		e.Entry = &entry
	}
	return e
}

// Instant writes an instant in UTC, null for the zero time.
func Instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}

// Text returns nil for the empty string, which JSON shows as null.
func Text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
