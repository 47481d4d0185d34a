package mail

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
)

// Limits of a message that is read.
const (
	maxParts  = 64
	maxHeader = 64 << 10
	maxDepth  = 3 // multiparts inside each other
	maxCover  = 1 << 20
)

// Parsed is a message taken apart. All strings come from outside: they hold no
// control characters, but may lie, and must be sanitised before they are shown.
// It reads from the source given to [Parse], which must stay open and
// unchanged. Not safe for concurrent use of one part; different parts may be
// read at the same time if the source allows it.
type Parsed struct {
	// From, To, Subject, MessageID and Date are those of the top header, which
	// no signature covers. From and To are bare addresses where one stands
	// there; MessageID has no angle brackets; Date is zero if unreadable.
	From, To, Subject, MessageID string
	Date                         time.Time

	// Signed tells that the message has a multipart/signed entity. Whether the
	// signature is good is not known here.
	Signed bool
	// MicAlg is the hash that a signed message claims.
	MicAlg string
	// Protected tells that the signed entity repeats header fields (RFC 9788 or
	// protected-headers). ProtectedHeader has them under the keys "From", "To",
	// "Subject", "Date" and "Message-ID", in the form of the fields above; Date
	// as it is written.
	Protected       bool
	ProtectedHeader map[string]string

	// Cover is the decoded first text part of the signed entity, or of the whole
	// message where nothing is signed, with LF line ends; nil if there is none.
	Cover []byte
	// Parts are all other leaves in the order of the message, also those that
	// somebody added on the way.
	Parts []ParsedPart

	src       io.ReaderAt
	signed    extent
	signature []byte
	leaves    int
}

// ParsedPart is one leaf of a message. Name is what the message says, "" if
// nothing; it may be a path or worse. Size is that of the decoded octets, -1 if
// not known before reading. Signed tells that the part lies in the signed
// entity.
type ParsedPart struct {
	Name   string
	Media  string
	Size   int64
	Signed bool

	src      io.ReaderAt
	body     extent
	encoding string
}

// extent is a range of the source, in octets.
type extent struct{ from, to int64 }

func (e extent) reader(src io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(src, e.from, e.to-e.from)
}

// Open returns the decoded octets. Encoding errors come from Read, with code
// mail.parse. It may be called many times.
func (p *ParsedPart) Open() io.Reader {
	r := bufio.NewReaderSize(p.body.reader(p.src), 32<<10)
	switch p.encoding {
	case "base64":
		return decoded{base64.NewDecoder(base64.StdEncoding, r)}
	case "quoted-printable":
		return decoded{quotedprintable.NewReader(r)}
	}
	return r
}

// decoded gives decoding errors their code.
type decoded struct{ r io.Reader }

func (d decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = &Error{code: CodeParse, Err: unexpected(err)}
	}
	return n, err
}

// SignedText returns the signed entity in canonical form, every line ending in
// CRLF whatever the storage did to it; the octets over which the outer
// signature was made. It is empty when the message is not signed.
func (p *Parsed) SignedText() io.Reader {
	if !p.Signed {
		return bytes.NewReader(nil)
	}
	return &crlfReader{r: bufio.NewReaderSize(p.signed.reader(p.src), 32<<10)}
}

// Signature returns the outer armored signature with LF line ends, nil when the
// message has none.
func (p *Parsed) Signature() []byte { return bytes.Clone(p.signature) }

// Parse takes a message of size octets apart. It is strict about the skeleton
// that [Compose] writes (delimiters closed, no field twice, known encodings) and
// tolerant about what relays and storage do: fields added at the top, LF line
// ends, an mbox separator before the first field, a footer or part added inside
// or around. The error has code mail.parse; reading errors are wrapped.
func Parse(src io.ReaderAt, size int64) (*Parsed, error) {
	p := &Parsed{src: src}
	all := extent{0, size}
	var first [5]byte
	if n, _ := src.ReadAt(first[:], 0); n == 5 && string(first[:]) == "From " {
		end, err := p.lineEnd(all)
		if err != nil {
			return nil, err
		}
		all.from = end
	}
	h, body, err := p.readHeader(all)
	if err != nil {
		return nil, err
	}
	if len(h.fields) == 0 {
		return nil, fault(CodeParse, "", "message without header")
	}
	p.From, p.To, p.Subject, p.MessageID = h.address("From"), h.address("To"), h.text("Subject"), h.messageID()
	p.Date, _ = netmail.ParseDate(h.get("Date"))
	if err := p.walk(h, body, 0, false); err != nil {
		return nil, err
	}
	if p.Cover == nil && !p.Signed {
		if err := p.takeCover(0); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Part returns the first part with that name, nil if there is none.
func (p *Parsed) Part(name string) *ParsedPart {
	for i := range p.Parts {
		if p.Parts[i].Name == name {
			return &p.Parts[i]
		}
	}
	return nil
}

// walk reads the entity with header h and the given body.
func (p *Parsed) walk(h header, body extent, depth int, inSigned bool) error {
	media, params := h.contentType()
	if !strings.HasPrefix(media, "multipart/") {
		return p.leaf(h, media, params, body, inSigned)
	}
	if depth == maxDepth {
		return fault(CodeParse, "", "parts nested too deep")
	}
	parts, err := p.split(body, params["boundary"])
	if err != nil {
		return err
	}
	if media == "multipart/signed" && !p.Signed {
		return p.walkSigned(parts, params, depth)
	}
	for _, part := range parts {
		h, body, err := p.readHeader(part)
		if err != nil {
			return err
		}
		if err := p.walk(h, body, depth+1, inSigned); err != nil {
			return err
		}
	}
	return nil
}

// walkSigned reads a multipart/signed: the first part is what is signed, the
// first application/pgp-signature its signature, any other part an addition.
func (p *Parsed) walkSigned(parts []extent, params map[string]string, depth int) error {
	p.Signed, p.MicAlg, p.signed = true, strings.ToLower(params["micalg"]), parts[0]
	h, body, err := p.readHeader(parts[0])
	if err != nil {
		return err
	}
	_, inner := h.contentType()
	if inner["hp"] != "" || inner["protected-headers"] != "" {
		p.Protected = true
		p.ProtectedHeader = map[string]string{}
		for name, value := range map[string]string{
			"From": h.address("From"), "To": h.address("To"), "Subject": h.text("Subject"),
			"Date": printable(h.get("Date")), "Message-ID": h.messageID(),
		} {
			if value != "" {
				p.ProtectedHeader[name] = value
			}
		}
	}
	at := len(p.Parts)
	if err := p.walk(h, body, depth+1, true); err != nil {
		return err
	}
	if err := p.takeCover(at); err != nil {
		return err
	}
	for _, part := range parts[1:] {
		h, body, err := p.readHeader(part)
		if err != nil {
			return err
		}
		if media, _ := h.contentType(); media == "application/pgp-signature" && p.signature == nil {
			if err := p.takeSignature(h, body); err != nil {
				return err
			}
			continue
		}
		if err := p.walk(h, body, depth+1, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *Parsed) leaf(h header, media string, params map[string]string, body extent, inSigned bool) error {
	if p.leaves++; p.leaves > maxParts {
		return fault(CodeParse, "", "too many parts")
	}
	part := ParsedPart{Media: media, Signed: inSigned, src: p.src, body: body, Size: -1}
	if _, d, err := mime.ParseMediaType(h.get("Content-Disposition")); err == nil {
		part.Name = printable(d["filename"])
	}
	if part.Name == "" {
		part.Name = printable(params["name"])
	}
	var err error
	if part.encoding, err = h.encoding(); err != nil {
		return err
	}
	switch part.encoding {
	case "base64":
		if part.Size, err = base64Size(body.reader(p.src)); err != nil {
			return &Error{code: CodeParse, Err: err}
		}
	case "quoted-printable":
	default:
		part.Size = body.to - body.from
	}
	p.Parts = append(p.Parts, part)
	return nil
}

// takeCover moves the part at index i to Cover if it is a text without a name.
func (p *Parsed) takeCover(i int) error {
	if i >= len(p.Parts) || p.Parts[i].Media != "text/plain" || p.Parts[i].Name != "" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(p.Parts[i].Open(), maxCover+1))
	if err != nil {
		return err
	}
	if len(text) > maxCover {
		return fault(CodeParse, "cover", "too large")
	}
	p.Cover = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if p.Cover == nil {
		p.Cover = []byte{}
	}
	p.Parts = append(p.Parts[:i], p.Parts[i+1:]...)
	return nil
}

func (p *Parsed) takeSignature(h header, body extent) error {
	encoding, err := h.encoding()
	if err != nil {
		return err
	}
	part := ParsedPart{src: p.src, body: body, encoding: encoding}
	sig, err := io.ReadAll(io.LimitReader(part.Open(), maxSignature+1))
	if err != nil {
		return err
	}
	if len(sig) > maxSignature {
		return fault(CodeParse, "signature", "too large")
	}
	p.signature = bytes.ReplaceAll(sig, []byte("\r\n"), []byte("\n"))
	return nil
}

// split returns the parts of a multipart body (RFC 2046 §5.1.1): what lies
// between delimiter lines, without the line end that belongs to the delimiter.
func (p *Parsed) split(body extent, boundary string) ([]extent, error) {
	if boundary == "" || len(boundary) > 70 {
		return nil, fault(CodeParse, "", "multipart without boundary")
	}
	delimiter := []byte("--" + boundary)
	var parts []extent
	start := int64(-1) // of the open part
	prev := body.from  // end of the line before, without its line end
	lines := newLineReader(p.src, body)
	for {
		line, at, begins, err := lines.next()
		if err == io.EOF {
			return nil, fault(CodeParse, "", "multipart without end")
		}
		if err != nil {
			return nil, &Error{code: CodeParse, Err: err}
		}
		text := bytes.TrimRight(line, "\r\n")
		if begins && bytes.HasPrefix(text, delimiter) {
			rest := bytes.TrimRight(text[len(delimiter):], " \t")
			last := string(rest) == "--"
			if last || len(rest) == 0 {
				if start >= 0 {
					parts = append(parts, extent{start, max(start, prev)})
				}
				if len(parts) > maxParts {
					return nil, fault(CodeParse, "", "too many parts")
				}
				if last {
					if len(parts) == 0 {
						return nil, fault(CodeParse, "", "multipart without parts")
					}
					return parts, nil
				}
				start = at + int64(len(line))
			}
		}
		prev = at + int64(len(line)-eol(line))
	}
}

// eol returns the length of the line end of line.
func eol(line []byte) int {
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		return 2
	case bytes.HasSuffix(line, []byte("\n")):
		return 1
	}
	return 0
}

// lineEnd returns where the first line of e ends.
func (p *Parsed) lineEnd(e extent) (int64, error) {
	lines := newLineReader(p.src, e)
	for {
		line, at, _, err := lines.next()
		if err != nil {
			return 0, &Error{code: CodeParse, Err: unexpected(err)}
		}
		if eol(line) > 0 {
			return at + int64(len(line)), nil
		}
	}
}

// lineReader hands out lines with their line ends and places. A line longer
// than its buffer comes in pieces; all but the first are marked as such, since
// no delimiter begins there.
type lineReader struct {
	r    *bufio.Reader
	at   int64
	long bool // the piece before did not end its line
}

func newLineReader(src io.ReaderAt, e extent) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(e.reader(src), int(min(e.to-e.from+1, 64<<10))), at: e.from}
}

// next returns the next line or piece, valid until the next call, its offset,
// and whether it begins a line.
func (l *lineReader) next() (line []byte, at int64, begins bool, err error) {
	line, err = l.r.ReadSlice('\n')
	at, begins = l.at, !l.long
	l.at += int64(len(line))
	l.long = err == bufio.ErrBufferFull
	if l.long || err == io.EOF && len(line) > 0 {
		err = nil
	}
	return line, at, begins, err
}

// header is a block of fields.
type header struct{ fields []headerField }

type headerField struct{ name, value string }

// readHeader reads the fields of an entity and returns them with its body.
func (p *Parsed) readHeader(e extent) (header, extent, error) {
	var h header
	lines := newLineReader(p.src, e)
	for {
		line, at, _, err := lines.next()
		if err == io.EOF {
			// A header alone, as of an empty part.
			return h, extent{e.to, e.to}, h.unique()
		}
		if err != nil {
			return h, e, &Error{code: CodeParse, Err: err}
		}
		end := at + int64(len(line))
		if end-e.from > maxHeader {
			return h, e, fault(CodeParse, "", "header too large")
		}
		text := string(bytes.TrimRight(line, "\r\n"))
		switch {
		case text == "":
			return h, extent{end, e.to}, h.unique()
		case text[0] == ' ' || text[0] == '\t':
			if len(h.fields) == 0 {
				return h, e, fault(CodeParse, "", "header that begins with a blank")
			}
			h.fields[len(h.fields)-1].value += text
		default:
			name, value, ok := strings.Cut(text, ":")
			name = strings.TrimRight(name, " \t")
			if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return h, e, fault(CodeParse, "", "header line without name")
			}
			h.fields = append(h.fields, headerField{name, value})
		}
	}
}

// unique refuses a field twice where two readers could take different ones.
func (h header) unique() error {
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} {
		n := 0
		for _, f := range h.fields {
			if strings.EqualFold(f.name, name) {
				n++
			}
		}
		if n > 1 {
			return fault(CodeParse, name, "field twice")
		}
	}
	return nil
}

func (h header) get(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.name, name) {
			return strings.Trim(f.value, " \t")
		}
	}
	return ""
}

// text returns a field with its encoded words decoded.
func (h header) text(name string) string {
	d := mime.WordDecoder{CharsetReader: func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("character set not known")
	}}
	raw := h.get(name)
	if s, err := d.DecodeHeader(raw); err == nil {
		raw = s
	}
	return printable(raw)
}

func (h header) address(name string) string {
	raw := h.get(name)
	if a, err := ParseAddress(raw); err == nil {
		return a.String()
	}
	if a, err := netmail.ParseAddress(raw); err == nil {
		if b, err := ParseAddress(a.Address); err == nil {
			return b.String()
		}
		return printable(a.Address)
	}
	return printable(raw)
}

func (h header) messageID() string {
	id := h.get("Message-ID")
	if strings.HasPrefix(id, "<") && strings.HasSuffix(id, ">") {
		id = id[1 : len(id)-1]
	}
	return printable(id)
}

func (h header) contentType() (string, map[string]string) {
	raw := h.get("Content-Type")
	if raw == "" {
		return "text/plain", nil
	}
	media, params, err := mime.ParseMediaType(raw)
	if err != nil && media == "" {
		return "application/octet-stream", nil
	}
	return media, params
}

func (h header) encoding() (string, error) {
	switch e := strings.ToLower(h.get("Content-Transfer-Encoding")); e {
	case "base64", "quoted-printable":
		return e, nil
	case "", "7bit", "8bit", "binary":
		return "", nil
	}
	return "", fault(CodeParse, "Content-Transfer-Encoding", "not known")
}

// printable replaces controls and broken UTF-8: a decoded word may hold CRLF or
// an escape sequence.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// base64Size counts the octets behind base64 text without decoding it.
func base64Size(r io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	var chars, pad int64
	for {
		n, err := r.Read(buf)
		b := buf[:n]
		eq := int64(bytes.Count(b, []byte("=")))
		chars += int64(n) - eq - int64(bytes.Count(b, []byte("\n"))+bytes.Count(b, []byte("\r")))
		pad += eq
		if err == io.EOF {
			return chars * 3 / 4, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// crlfReader gives every line end the form CRLF.
type crlfReader struct {
	r    *bufio.Reader
	rest []byte // to hand out next
	buf  []byte // backing of rest where a line end was mended
	cr   bool   // last octet read was CR
}

func (c *crlfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.rest) == 0 {
		line, err := c.r.ReadSlice('\n')
		if len(line) == 0 && err != nil {
			return 0, err
		}
		n := len(line)
		bare := line[n-1] == '\n' && (n > 1 && line[n-2] != '\r' || n == 1 && !c.cr)
		c.cr = line[n-1] == '\r'
		if bare {
			c.buf = append(append(c.buf[:0], line[:n-1]...), '\r', '\n')
			c.rest = c.buf
		} else {
			c.rest = line
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
