package desk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
)

// sentFile keeps how far the book was when something last left from here. It
// lies beside the book: an older copy that is put back over the book, into the
// same file, does not bring its own. A whole folder that is put back has its
// older mark with it; that is seen nowhere.
const sentFile = "sent.txt"

// sentMark is what sentFile says.
type sentMark struct {
	sendings int64 // [agenda.Book.Sendings] when the last one began
	size     int64 // of the log, when the mark was written
	root     agenda.Hash
}

func (m sentMark) text() []byte {
	text := agenda.AppendLine(nil, "sendings", strconv.FormatInt(m.sendings, 10))
	text = agenda.AppendLine(text, "size", strconv.FormatInt(m.size, 10))
	return agenda.AppendLine(text, "root", m.root.String())
}

// parseSentMark accepts only what text writes.
func parseSentMark(text []byte) (m sentMark, ok bool) {
	lines, err := agenda.ParseLines(text)
	if err != nil || len(lines) != 3 {
		return m, false
	}
	var faults [3]error
	m.sendings, faults[0] = strconv.ParseInt(lines[0].Value, 10, 64)
	m.size, faults[1] = strconv.ParseInt(lines[1].Value, 10, 64)
	m.root, faults[2] = agenda.ParseHash(lines[2].Value)
	return m, errors.Join(faults[:]...) == nil && m.size >= 0 && bytes.Equal(m.text(), text)
}

// beginSending writes the mark before anything can leave: once for a command,
// not for each letter. The book counts first and the file follows. A crash
// between leaves a book ahead of its mark, which is how a book may be, and
// nothing has left. From then on every copy made before has a smaller count
// than the mark, also one whose log is as long as the book's.
func (d *Desk) beginSending(ctx context.Context) error {
	if err := d.Book.BeginSending(ctx); err != nil {
		return err
	}
	return d.keepMark(ctx)
}

// keepMark writes how far the book is now. At the end of a sending that is for
// a copy made while it went on, whose count is the mark's but not its log. A
// crash before leaves the mark of the beginning; then such a copy, and only
// such a one, passes for the book.
func (d *Desk) keepMark(ctx context.Context) error {
	var m sentMark
	var err error
	if m.sendings, err = d.Book.Sendings(ctx); err != nil {
		return err
	}
	if m.size, m.root, err = d.Book.Head(ctx); err != nil {
		return err
	}
	return vault.WriteFile(d.path(sentFile), m.text(), 0o600)
}

// markState is what the mark says of the book.
type markState string

const (
	markFits   markState = ""
	markBehind markState = "behind" // the book is older than the mark, or another one
	markSpoilt markState = "spoilt" // no crash leaves the file so: nobody knows how far the book was
)

// judgeMark compares the book with the mark. Without a mark nothing was sent
// yet, or only by a program that kept none, or the desk comes from a backup,
// whose restore has doubted already. For [Desk.recover] a spoilt mark is one
// that the book is behind: a needless doubt costs somebody a look, and what was
// sent twice cannot be taken back.
func (d *Desk) judgeMark(ctx context.Context) (markState, error) {
	// The file before the book, which only grows: somebody may be sending.
	text, err := readLimited(d.path(sentFile), maxTextFile)
	if errors.Is(err, fs.ErrNotExist) {
		return markFits, nil
	}
	m, ok := parseSentMark(text)
	if err != nil || !ok {
		return markSpoilt, nil
	}
	n, err := d.Book.Sendings(ctx)
	if err != nil {
		return markFits, err
	}
	size, _, err := d.Book.Head(ctx)
	if err != nil {
		return markFits, err
	}
	if n < m.sendings || size < m.size {
		return markBehind, nil
	}
	root, err := d.Book.RootAt(ctx, m.size)
	if err == nil && root != m.root {
		return markBehind, nil
	}
	return markFits, err
}
