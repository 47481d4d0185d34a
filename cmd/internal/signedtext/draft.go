package signedtext

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"sandi/agenda"
)

// File names of a kriptogram and of what travels beside it. They are fixed:
// the draft names the first, and `sha256sum -c` and gpg are called with them.
const (
	KriptogramFile = "kriptogram.pgp"
	DraftFile      = "kriptogram.txt"
	ParafFile      = "kriptogram.txt.paraf.asc"
	SignatureFile  = "kriptogram.txt.ttd.asc"
)

// Meaning is the last line of every draft: what paraf and signature say, and
// what they do not say.
const Meaning = "paraf: telah disandikan; ttd: diperintahkan dikirim kepada penerima di atas"

const (
	draftHead  = "sandi-kriptogram/1"
	returnHead = "sandi-kembali/1"
	wetMark    = "basah"
	// maxDraft bounds what a parser reads: some thousand recipients.
	maxDraft  = 1 << 20
	maxReturn = 1 << 12
)

// Recipient is one `penerima` line: the pinned primary key, the pinned
// encryption key (the same twice when the primary key enciphers) and the unit.
type Recipient struct {
	Fingerprint, Subkey, Unit string
}

// Signer is a fingerprint with the printed title valid when the draft was
// typed. Only the fingerprint counts; the title is for people.
type Signer struct {
	Fingerprint, Title string
}

// Draft is the content of kriptogram.txt: what the sandiman initials and the
// head of section signs.
type Draft struct {
	Kriptogram agenda.Hash // SHA-256 of kriptogram.pgp
	Size       int64       // octets of kriptogram.pgp
	Format     string
	Office     string
	Entry      string // long name, K1/2026
	Number     int    // konsep, from 1
	At         time.Time
	Recipients []Recipient // in the order of the copy numbers
	Paraf      Signer
	Signature  Signer // Fingerprint empty: signed in ink
	Content    agenda.Hash
	Book       agenda.Hash // SHA-256 of the newest checkpoint note
}

// Wet reports whether the draft is to be signed in ink.
func (d Draft) Wet() bool { return d.Signature.Fingerprint == "" }

// Encode writes kriptogram.txt.
func (d Draft) Encode() ([]byte, error) {
	var w writer
	w.must(d.plausible())
	w.raw(draftHead)
	w.raw(digestLine(KriptogramFile, d.Kriptogram))
	w.line("ukuran", strconv.FormatInt(d.Size, 10))
	w.line("format", d.Format)
	w.line("kantor", d.Office)
	w.line("entri", d.Entry)
	w.line("konsep", strconv.Itoa(d.Number))
	w.time("waktu", d.At)
	for i, r := range d.Recipients {
		w.line("penerima", fmt.Sprintf("%d/%d %s %s %s", i+1, len(d.Recipients), r.Fingerprint, r.Subkey, r.Unit))
	}
	w.line("paraf", d.Paraf.Fingerprint+" "+d.Paraf.Title)
	if d.Wet() {
		w.line("ttd", wetMark+" "+d.Signature.Title)
	} else {
		w.line("ttd", d.Signature.Fingerprint+" "+d.Signature.Title)
	}
	w.line("isi", d.Content.String())
	w.line("buku", d.Book.String())
	w.line("makna", Meaning)
	return w.bytes(maxDraft)
}

// ParseDraft reads kriptogram.txt. It returns ErrMalformed for everything
// that Encode would not have written.
func ParseDraft(text []byte) (Draft, error) {
	r := newReader(text, maxDraft)
	r.raw(draftHead)
	d := Draft{Kriptogram: r.digest(KriptogramFile)}
	d.Size = r.int(r.value("ukuran"))
	d.Format = r.value("format")
	d.Office = r.value("kantor")
	d.Entry = r.value("entri")
	d.Number = int(r.int(r.value("konsep")))
	d.At = r.time("waktu")
	for r.peek("penerima") {
		w := r.words(r.value("penerima"), 4)
		if part, _ := r.fraction(w[0]); part != len(d.Recipients)+1 {
			r.bad = true
		}
		d.Recipients = append(d.Recipients, Recipient{w[1], w[2], w[3]})
	}
	w := r.words(r.value("paraf"), 2)
	d.Paraf = Signer{w[0], w[1]}
	w = r.words(r.value("ttd"), 2)
	d.Signature = Signer{w[0], w[1]}
	if w[0] == wetMark {
		d.Signature.Fingerprint = ""
	}
	d.Content = r.hash(r.value("isi"))
	d.Book = r.hash(r.value("buku"))
	r.raw("makna " + Meaning)
	if !r.done() {
		return Draft{}, ErrMalformed
	}
	again, err := d.Encode()
	if err != nil || !bytes.Equal(again, text) {
		return Draft{}, ErrMalformed
	}
	return d, nil
}

// plausible refuses what the grammar of the values forbids though it fits a
// line: fingerprints that are none, numbers out of range, nobody to send to.
func (d Draft) plausible() bool {
	ok := len(d.Recipients) > 0 && d.Number >= 1 && d.Size >= 0 &&
		isFingerprint(d.Paraf.Fingerprint) && isText(d.Paraf.Title) &&
		(d.Wet() || isFingerprint(d.Signature.Fingerprint)) && isText(d.Signature.Title)
	for _, r := range d.Recipients {
		ok = ok && isFingerprint(r.Fingerprint) && isFingerprint(r.Subkey) && isText(r.Unit)
	}
	return ok
}

func isFingerprint(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Return is the text that the head of section signs when he gives a draft
// back. It stays in the book.
type Return struct {
	Draft  agenda.Hash // SHA-256 of kriptogram.txt
	Entry  string
	Number int
	At     time.Time
	Reason string
}

// Encode writes the return text.
func (t Return) Encode() ([]byte, error) {
	var w writer
	w.must(t.Number >= 1)
	w.raw(returnHead)
	w.raw(digestLine(DraftFile, t.Draft))
	w.line("entri", t.Entry)
	w.line("konsep", strconv.Itoa(t.Number))
	w.time("waktu", t.At)
	w.line("alasan", t.Reason)
	return w.bytes(maxReturn)
}

// ParseReturn reads a return text, or returns ErrMalformed.
func ParseReturn(text []byte) (Return, error) {
	r := newReader(text, maxReturn)
	r.raw(returnHead)
	t := Return{Draft: r.digest(DraftFile)}
	t.Entry = r.value("entri")
	t.Number = int(r.int(r.value("konsep")))
	t.At = r.time("waktu")
	t.Reason = r.value("alasan")
	if !r.done() {
		return Return{}, ErrMalformed
	}
	again, err := t.Encode()
	if err != nil || !bytes.Equal(again, text) {
		return Return{}, ErrMalformed
	}
	return t, nil
}
