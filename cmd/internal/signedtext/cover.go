package signedtext

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"sandi/agenda"
)

const (
	coverHead       = "sandi-pengantar/1"
	letterCoverHead = "sandi-pengantar-surat/1"
	maxCover        = 1 << 16
)

// Party is an address with the fingerprint of the key that belongs to it; the
// fingerprint may be empty only for the addressee of an ordinary letter.
type Party struct {
	Address, Fingerprint string
}

func (p Party) String() string {
	if p.Fingerprint == "" {
		return p.Address
	}
	return p.Address + " " + p.Fingerprint
}

// plausible keeps blanks out of the address, which ends at the first one.
func (p Party) plausible() bool {
	return p.Address != "" && !strings.Contains(p.Address, " ") && (p.Fingerprint == "" || isFingerprint(p.Fingerprint))
}

func parseParty(s string) Party {
	a, f, _ := strings.Cut(s, " ")
	return Party{a, f}
}

// Cover is the block of the cover sheet of a kriptogram: the sandiman's
// record of dispatch, covered by the outer signature, and the only place of
// number and copy.
type Cover struct {
	Draft     agenda.Hash // SHA-256 of kriptogram.txt
	Number    string
	At        time.Time // when this copy was built
	From, To  Party
	Copy, Of  int
	MessageID string // without angle brackets
}

// Encode writes the block, without the empty line that ends it in a message.
func (c Cover) Encode() ([]byte, error) {
	var w writer
	w.must(c.From.plausible() && c.To.plausible() && c.From.Fingerprint != "" && c.To.Fingerprint != "")
	w.must(c.Copy >= 1 && c.Of >= c.Copy)
	w.raw(coverHead)
	w.raw(digestLine(DraftFile, c.Draft))
	w.line("nomor", c.Number)
	w.time("waktu", c.At)
	w.line("dari", c.From.String())
	w.line("kepada", c.To.String())
	w.line("salinan", fmt.Sprintf("%d/%d", c.Copy, c.Of))
	w.line("id", c.MessageID)
	return w.bytes(maxCover)
}

// ParseCover reads a block up to the empty line that ends it, or up to the
// end of the text.
func ParseCover(text []byte) (Cover, error) {
	block := coverBlock(text)
	r := newReader(block, maxCover)
	r.raw(coverHead)
	c := Cover{Draft: r.digest(DraftFile)}
	c.Number = r.value("nomor")
	c.At = r.time("waktu")
	c.From = parseParty(r.value("dari"))
	c.To = parseParty(r.value("kepada"))
	c.Copy, c.Of = r.fraction(r.value("salinan"))
	c.MessageID = r.value("id")
	if !r.done() {
		return Cover{}, ErrMalformed
	}
	again, err := c.Encode()
	if err != nil || !bytes.Equal(again, block) {
		return Cover{}, ErrMalformed
	}
	return c, nil
}

// Scan is one file of an ordinary letter with its digest.
type Scan struct {
	Name string
	Sum  agenda.Hash
}

// plausible keeps to names that a digest line holds as they are: it has no
// escapes of its own but coreutils', and ends the name at the parenthesis.
func (s Scan) plausible() bool {
	return isText(s.Name) && agenda.EscapeValue(s.Name) == s.Name && !strings.ContainsAny(s.Name, `()/\`)
}

// LetterCover is the block of the cover sheet of an ordinary letter that the
// operator signs. It binds files instead of a draft and has no number.
type LetterCover struct {
	Scans     []Scan
	Entry     string
	At        time.Time
	From, To  Party
	Copy, Of  int
	MessageID string
}

// Encode writes the block.
func (c LetterCover) Encode() ([]byte, error) {
	var w writer
	w.must(len(c.Scans) > 0 && c.From.plausible() && c.To.plausible() && c.From.Fingerprint != "")
	w.must(c.Copy >= 1 && c.Of >= c.Copy)
	w.raw(letterCoverHead)
	names := make(map[string]bool, len(c.Scans))
	for _, s := range c.Scans {
		// Two files of one name would leave open which digest is whose.
		w.must(s.plausible() && !names[s.Name])
		names[s.Name] = true
		w.raw(digestLine(s.Name, s.Sum))
	}
	w.line("entri", c.Entry)
	w.time("waktu", c.At)
	w.line("dari", c.From.String())
	w.line("kepada", c.To.String())
	w.line("salinan", fmt.Sprintf("%d/%d", c.Copy, c.Of))
	w.line("id", c.MessageID)
	return w.bytes(maxCover)
}

// ParseLetterCover reads a block up to the empty line that ends it.
func ParseLetterCover(text []byte) (LetterCover, error) {
	block := coverBlock(text)
	r := newReader(block, maxCover)
	r.raw(letterCoverHead)
	var c LetterCover
	for r.peek("SHA256") {
		name, _, ok := strings.Cut(strings.TrimPrefix(r.lines[0], "SHA256 ("), ")")
		if !ok {
			return LetterCover{}, ErrMalformed
		}
		c.Scans = append(c.Scans, Scan{name, r.digest(name)})
	}
	c.Entry = r.value("entri")
	c.At = r.time("waktu")
	c.From = parseParty(r.value("dari"))
	c.To = parseParty(r.value("kepada"))
	c.Copy, c.Of = r.fraction(r.value("salinan"))
	c.MessageID = r.value("id")
	if !r.done() {
		return LetterCover{}, ErrMalformed
	}
	again, err := c.Encode()
	if err != nil || !bytes.Equal(again, block) {
		return LetterCover{}, ErrMalformed
	}
	return c, nil
}

// IsLetterCover tells which of the two blocks, if any, a cover text begins
// with: false, false means that it has none.
func IsLetterCover(text []byte) (letter, any bool) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	switch string(first) {
	case letterCoverHead:
		return true, true
	case coverHead:
		return false, true
	}
	return false, false
}

// coverBlock is the block with the LF of its last line. The words for people
// begin after the first empty line.
func coverBlock(text []byte) []byte {
	if i := bytes.Index(text, []byte("\n\n")); i >= 0 {
		return text[:i+1]
	}
	return text
}
