package mail

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Part is one attachment. It is written in base64, so its octets arrive as they
// are. Name is plain ASCII without path; Media is a media type, perhaps with a
// charset ("text/plain; charset=utf-8"), never one that mail programs act upon
// (multipart, message, application/pgp-…). Open is called once.
type Part struct {
	Name  string
	Media string
	Open  func() (io.ReadCloser, error)
}

// Message is what one recipient gets. Date is written in the zone +0700.
// MessageID has no angle brackets. Cover is UTF-8 with LF line ends and becomes
// a quoted-printable text part, decoded to the same octets.
type Message struct {
	From, To  Address
	Subject   string
	Date      time.Time
	MessageID string
	Cover     []byte
	Parts     []Part
}

// Signer makes a detached, armored signature over what is written to it: a text
// of CRLF lines.
type Signer interface {
	io.Writer
	// Micalg names the hash in the words of RFC 3156 §5: "pgp-sha512".
	Micalg() string
	// Sign ends the text.
	Sign() (armored []byte, err error)
}

// Boundaries are the random parts of the two multipart boundaries, 22
// characters each.
type Boundaries struct{ Outer, Inner string }

// NewBoundaries draws boundaries. As a line of base64 holds no "-" and a line
// of quoted-printable no bare "=", the prefix alone keeps them out of bodies.
func NewBoundaries(rand io.Reader) (Boundaries, error) {
	var b [32]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Boundaries{}, fmt.Errorf("random octets for boundaries: %w", err)
	}
	e := base64.RawURLEncoding
	return Boundaries{Outer: e.EncodeToString(b[:16]), Inner: e.EncodeToString(b[16:])}, nil
}

const (
	boundaryPrefix = "=-sandi-"
	preamble       = "This is an OpenPGP/MIME signed message (RFC 3156)."
	bodyWidth      = 76
	headerWidth    = 77
	maxSignature   = 64 << 10
)

var wib = time.FixedZone("WIB", 7*60*60)

// Compose writes m to w: ASCII, CRLF, body lines of at most 76 octets, headers
// folded below 78 (but for an address or Message-ID that alone is longer), no
// trailing blank, no line that begins "From " or ">From ". With a signer the
// top is multipart/signed and the signed entity repeats the header; the signer
// gets the very octets that go to w. Without one (nil) the top is
// multipart/mixed. Header values that
// hold a control character and covers that are no text are refused with code
// mail.content before anything is written. Memory does not grow with the parts.
//
// After an error what was written to w is no message.
func Compose(w io.Writer, m Message, sign Signer, rand io.Reader) error {
	header, err := m.header()
	if err != nil {
		return err
	}
	if err := m.checkBody(); err != nil {
		return err
	}
	b, err := NewBoundaries(rand)
	if err != nil {
		return err
	}
	space := spaces.Get().(*composing)
	defer spaces.Put(space)
	c := composer{m: m, header: header, inner: boundaryPrefix + b.Inner, block: space.block}
	// The cover's lines and the parts' come piece by piece; the octets go on in blocks.
	out := space.out
	out.Reset(w)
	defer out.Reset(nil)
	if sign == nil {
		out.WriteString(header)
		out.WriteString("MIME-Version: 1.0\r\n")
		if err := c.entity(out, false); err != nil {
			return err
		}
		return flushed(out)
	}

	micalg := sign.Micalg()
	if name, ok := strings.CutPrefix(micalg, "pgp-"); !ok || name == "" || len(name) > 20 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return fault(CodeContent, "", "hash name of signature not of the form pgp-name")
	}
	outer := boundaryPrefix + b.Outer
	out.WriteString(header)
	out.WriteString("MIME-Version: 1.0\r\n")
	out.WriteString(field("Content-Type", "multipart/signed", quoted("boundary", outer),
		quoted("protocol", "application/pgp-signature"), quoted("micalg", micalg)))
	out.WriteString("\r\n" + preamble + "\r\n--" + outer + "\r\n")
	if err := flushed(out); err != nil {
		return err
	}
	out.Reset(io.MultiWriter(w, sign))
	if err := c.entity(out, true); err != nil {
		return err
	}
	if err := flushed(out); err != nil {
		return err
	}
	out.Reset(w)
	sig, err := sign.Sign()
	if err != nil {
		return fmt.Errorf("signature of message: %w", err)
	}
	if sig, err = armorLines(sig); err != nil {
		return err
	}
	out.WriteString("\r\n--" + outer + "\r\n")
	out.WriteString(field("Content-Type", "application/pgp-signature", quoted("name", "signature.asc")))
	out.WriteString("Content-Transfer-Encoding: 7bit\r\n\r\n")
	out.Write(sig)
	out.WriteString("\r\n--" + outer + "--\r\n")
	return flushed(out)
}

// composing is the working space of a message. Clearing new space costs as much
// as encoding a short letter; what is enciphered or to be sent may stay in it.
type composing struct {
	out   *bufio.Writer
	block []byte
}

var spaces = sync.Pool{New: func() any {
	return &composing{bufio.NewWriterSize(nil, 32<<10), make([]byte, 512*lineOctets)}
}}

func flushed(out *bufio.Writer) error {
	if err := out.Flush(); err != nil {
		return fmt.Errorf("message output: %w", err)
	}
	return nil
}

// EncodedSize returns the octets that a part of n octets takes as base64 lines,
// to compare with a gateway's SIZE before anything is built. Headers and the
// cover come on top: some kilobytes.
func EncodedSize(n int64) int64 {
	chars := (n + 2) / 3 * 4
	return chars + (chars+bodyWidth-1)/bodyWidth*2
}

// composer writes the signed entity.
type composer struct {
	m      Message
	header string
	inner  string
	block  []byte // of a part, before it is encoded
}

// entity writes the multipart/mixed entity, header and body; the last CRLF
// belongs to it.
func (c *composer) entity(out *bufio.Writer, protect bool) error {
	params := []string{"multipart/mixed", quoted("boundary", c.inner)}
	if protect {
		params = append(params, quoted("hp", "clear"), quoted("protected-headers", "v1"))
	}
	out.WriteString(field("Content-Type", params...))
	if protect {
		out.WriteString(c.header)
	}
	out.WriteString("\r\n--" + c.inner + "\r\n")
	out.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	quotedPrintable(out, c.m.Cover)
	for i := range c.m.Parts {
		p := &c.m.Parts[i]
		out.WriteString("\r\n--" + c.inner + "\r\n")
		out.WriteString(field("Content-Type", append(strings.Split(p.Media, "; "), quoted("name", p.Name))...))
		out.WriteString("Content-Transfer-Encoding: base64\r\n")
		out.WriteString(field("Content-Disposition", "attachment", quoted("filename", p.Name)))
		out.WriteString("\r\n")
		if err := p.encode(out, c.block); err != nil {
			return fmt.Errorf("attachment %s: %w", p.Name, err)
		}
	}
	_, err := out.WriteString("\r\n--" + c.inner + "--\r\n")
	return err
}

// lineOctets are what a base64 line of 76 carries.
const lineOctets = bodyWidth / 4 * 3

// encode writes the part as base64 lines of 76, the last without CRLF. in is
// working space of whole lines.
func (p *Part) encode(out *bufio.Writer, in []byte) error {
	r, err := p.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	text := make([]byte, bodyWidth)
	for first := true; ; {
		n, err := io.ReadFull(r, in)
		for b := in[:n]; len(b) > 0; {
			l := b[:min(lineOctets, len(b))]
			b = b[len(l):]
			if !first {
				out.WriteString("\r\n")
			}
			first = false
			t := text[:base64.StdEncoding.EncodedLen(len(l))]
			base64.StdEncoding.Encode(t, l)
			if _, err := out.Write(t); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}

// header returns the five fields that stand at the top and, signed, inside.
func (m *Message) header() (string, error) {
	if m.From == (Address{}) {
		return "", fault(CodeContent, "From", "no address")
	}
	if m.To == (Address{}) {
		return "", fault(CodeContent, "To", "no address")
	}
	subject, err := subjectLines(m.Subject)
	if err != nil {
		return "", err
	}
	if y := m.Date.In(wib).Year(); m.Date.IsZero() || y < 1970 || y > 9999 {
		return "", fault(CodeContent, "Date", "not a date")
	}
	if !validMessageID(m.MessageID) {
		return "", fault(CodeContent, "Message-ID", "not of the form name@domain")
	}
	return single("From", m.From.String()) + single("To", m.To.String()) + subject +
		single("Date", m.Date.In(wib).Format("Mon, 02 Jan 2006 15:04:05 -0700")) +
		single("Message-ID", "<"+m.MessageID+">"), nil
}

func (m *Message) checkBody() error {
	if !utf8.Valid(m.Cover) {
		return fault(CodeContent, "cover", "not UTF-8")
	}
	for _, r := range string(m.Cover) {
		if obeyed(r) && r != '\n' && r != '\t' {
			return fault(CodeContent, "cover", "control character")
		}
	}
	if len(m.Parts) > maxParts-8 {
		return fault(CodeContent, "", "too many attachments")
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if !validName(p.Name) {
			return fault(CodeContent, "attachment", "name not plain")
		}
		if !validMedia(p.Media) {
			return fault(CodeContent, "attachment "+p.Name, "media type not allowed")
		}
	}
	return nil
}

// obeyed tells a character that ends a line or that a screen obeys instead of
// showing it: controls, line separators, bidi marks.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// validName accepts a short ASCII file name that no system reads as a path, an
// option or a hidden file.
func validName(s string) bool {
	if s == "" || len(s) > 60 || s[0] == '.' || s[0] == '-' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && strings.IndexByte("._-+=,@", c) < 0 {
			return false
		}
	}
	return true
}

// validMedia accepts type/subtype with at most a charset. Inside the signed
// entity application/pgp-signature would make mail programs pair signatures
// wrongly, and pgp-encrypted would make them decrypt by themselves.
func validMedia(s string) bool {
	media, param, has := strings.Cut(s, "; ")
	kind, sub, ok := strings.Cut(media, "/")
	if !ok || !mimeToken(kind) || !mimeToken(sub) || len(media) > 60 {
		return false
	}
	if kind == "multipart" || kind == "message" || strings.HasPrefix(media, "application/pgp-") {
		return false
	}
	if !has {
		return true
	}
	charset, ok := strings.CutPrefix(param, "charset=")
	return ok && mimeToken(charset) && len(charset) <= 40
}

func mimeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; (!alnum(c) || c >= 'A' && c <= 'Z') && c != '-' && c != '.' && c != '+' {
			return false
		}
	}
	return s != ""
}

func quoted(name, value string) string { return name + `="` + value + `"` }

// field writes a structured field: items joined by "; ", folded between items.
func field(name string, items ...string) string {
	var b strings.Builder
	b.WriteString(name + ":")
	width := len(name) + 1
	for i, item := range items {
		if i < len(items)-1 {
			item += ";"
		}
		if width+1+len(item) > headerWidth && i > 0 {
			b.WriteString("\r\n")
			width = 0
		}
		b.WriteString(" " + item)
		width += 1 + len(item)
	}
	b.WriteString("\r\n")
	return b.String()
}

// single writes a field whose value cannot be folded; a long one moves to a
// line of its own.
func single(name, value string) string {
	sep := " "
	if len(name)+2+len(value) > headerWidth {
		sep = "\r\n "
	}
	return name + ":" + sep + value + "\r\n"
}

// subjectLines writes the Subject: plain where it is ASCII, else as encoded
// words of RFC 2047.
func subjectLines(s string) (string, error) {
	switch {
	case s == "" || len(s) > 500:
		return "", fault(CodeContent, "Subject", "empty or too long")
	case !utf8.ValidString(s):
		return "", fault(CodeContent, "Subject", "not UTF-8")
	case s[0] == ' ' || s[len(s)-1] == ' ':
		return "", fault(CodeContent, "Subject", "blank at an end")
	}
	plain := !strings.Contains(s, "=?")
	for _, r := range s {
		if obeyed(r) {
			return "", fault(CodeContent, "Subject", "control character")
		}
		plain = plain && r < utf8.RuneSelf
	}
	if plain {
		if folded, ok := foldText("Subject: " + s); ok {
			return folded, nil
		}
	}
	return encodedWords("Subject:", s), nil
}

// foldText breaks before single blanks; unfolding gives the same text. It
// reports false when a word is too long for a line.
func foldText(s string) (string, bool) {
	var b strings.Builder
	for len(s) > headerWidth {
		cut := -1
		for i := headerWidth; i > 1; i-- {
			// Never before the first word: a field's first line must hold text.
			if s[i] == ' ' && s[i-1] != ' ' && s[i-1] != ':' && strings.TrimLeft(s[:i], " ") != "" {
				cut = i
				break
			}
		}
		if cut < 0 {
			return "", false
		}
		b.WriteString(s[:cut] + "\r\n")
		s = s[cut:]
	}
	b.WriteString(s + "\r\n")
	return b.String(), true
}

func encodedWords(name, s string) string {
	const octets = 39 // 52 characters of base64 and 12 around them
	var b strings.Builder
	b.WriteString(name)
	for sep := " "; s != ""; sep = "\r\n " {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > octets {
				break
			}
			n += size
		}
		b.WriteString(sep + "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=")
		s = s[n:]
	}
	b.WriteString("\r\n")
	return b.String()
}

// quotedPrintable writes text (RFC 2045 §6.7). Blanks before a line end are
// encoded, and so is the first character of a line that an mbox would change
// or a careless relay would take for the end of the data: "From ", ">From ",
// ".".
func quotedPrintable(out *bufio.Writer, text []byte) {
	const digits = "0123456789ABCDEF"
	width := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\n' {
			out.WriteString("\r\n")
			width = 0
			continue
		}
		last := i+1 == len(text) || text[i+1] == '\n'
		room := bodyWidth - 1 // for the soft line break
		if last {
			room = bodyWidth
		}
		literal := func() bool {
			switch {
			case c == '=' || c > '~':
				return false
			case c == ' ' || c == '\t':
				return !last
			}
			return true
		}()
		size := 3
		if literal {
			size = 1
		}
		if width+size > room {
			out.WriteString("=\r\n")
			width = 0
		}
		if width == 0 && (c == '.' || fromLine(text[i:])) {
			literal, size = false, 3
		}
		if literal {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'=', digits[c>>4], digits[c&15]})
		}
		width += size
	}
}

// fromLine reports a line that begins "From " after any number of ">".
func fromLine(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From "))
}

// armorLines checks an armored signature and gives it CRLF line ends.
func armorLines(sig []byte) ([]byte, error) {
	if len(sig) > maxSignature {
		return nil, fault(CodeContent, "signature", "too large")
	}
	text := strings.TrimRight(strings.ReplaceAll(string(sig), "\r\n", "\n"), "\n")
	lines := strings.Split(text, "\n")
	if lines[0] != "-----BEGIN PGP SIGNATURE-----" || lines[len(lines)-1] != "-----END PGP SIGNATURE-----" {
		return nil, fault(CodeContent, "signature", "not an armored signature")
	}
	for i, l := range lines {
		// Some writers put a blank after an empty armor header value.
		l = strings.TrimRight(l, " \t")
		if len(l) > bodyWidth || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fault(CodeContent, "signature", "line that is no armor")
		}
		lines[i] = l
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n"), nil
}
