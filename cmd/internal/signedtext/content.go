package signedtext

import (
	"bytes"
	"encoding/hex"

	"sandi/agenda"
)

const (
	contentHead = "sandi-isi/1"
	contentName = "naskah"
)

// Content is the record that ties the plaintext to the signature of the head
// of section without showing it: the draft carries only its digest. The
// sender keeps the record; the recipient rebuilds it from what he decrypted
// and from the notations of the inner signature.
type Content struct {
	Class   agenda.Class
	Urgency agenda.Urgency
	Text    agenda.Hash // SHA-256 of the exact octets that were enciphered
	Salt    [32]byte
}

// Names of the three notations in the inner signature, before the `@`.
const (
	NotationClass   = "sandi-kelas"
	NotationUrgency = "sandi-derajat"
	NotationSalt    = "sandi-garam"
)

// plausible accepts the stored words of class and urgency, not their synonyms.
func (c Content) plausible() bool {
	class, err := agenda.ParseClass(string(c.Class))
	urgency, err2 := agenda.ParseUrgency(string(c.Urgency))
	return err == nil && err2 == nil && class == c.Class && urgency == c.Urgency
}

// Encode writes the five lines of the content record.
func (c Content) Encode() []byte {
	var w writer
	w.raw(contentHead)
	w.line("kelas", string(c.Class))
	w.line("derajat", string(c.Urgency))
	w.raw(digestLine(contentName, c.Text))
	w.line("garam", hex.EncodeToString(c.Salt[:]))
	return w.buf.Bytes()
}

// Sum is the `isi` of a draft.
func (c Content) Sum() agenda.Hash { return Sum(c.Encode()) }

// ParseContent reads a content record, or returns ErrMalformed.
func ParseContent(text []byte) (Content, error) {
	r := newReader(text, 1<<10)
	r.raw(contentHead)
	c := Content{Class: agenda.Class(r.value("kelas")), Urgency: agenda.Urgency(r.value("derajat"))}
	c.Text = r.digest(contentName)
	c.Salt = r.hash(r.value("garam"))
	if !r.done() || !c.plausible() || !bytes.Equal(c.Encode(), text) {
		return Content{}, ErrMalformed
	}
	return c, nil
}
