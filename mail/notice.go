package mail

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// NoticeKind is the form of a notice.
type NoticeKind string

// The kinds of notice.
const (
	NoticeDSN   NoticeKind = "dsn"   // RFC 3464
	NoticeMDN   NoticeKind = "mdn"   // RFC 8098
	NoticeReply NoticeKind = "reply" // a message of a person
)

// Notice is what a message says about one that we sent to one recipient. All
// texts come from outside and are not to be believed: what counts is what they
// are matched with.
type Notice struct {
	Kind       NoticeKind
	EnvelopeID string    // Original-Envelope-Id, DSN only
	MessageIDs []string  // of ours, without angle brackets, the surest first
	Recipient  string    // final or original recipient, the address only; of a reply its sender
	Action     string    // delivered relayed delayed failed expanded; displayed deleted dispatched processed failed; answered
	Status     string    // RFC 3463; "" when not of the form
	Remote     string    // reporting MTA, or the sender
	At         time.Time // as its writer dated it
	Received   time.Time // when the last server took it, the reader's own: its writer has no hand in that; zero when not told
	Subject    string
	Text       string // words for people, at most 16 KiB; in a reply a number may stand here
}

const (
	maxNotice     = 4 << 20 // octets of a notice; what is larger is none
	maxNoticeText = 16 << 10
	maxRecipients = 1000
)

// ParseNotices reads one message and returns what it says: an entry for every
// recipient that a delivery status names, else one. A message that is larger
// than 4 MiB or cannot be taken apart is mail.parse.
func ParseNotices(message []byte) ([]Notice, error) {
	if len(message) > maxNotice {
		return nil, fault(CodeParse, "notice", "larger than 4 MiB")
	}
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil, &Error{code: CodeParse, Stage: "notice", Err: err}
	}
	base := Notice{Kind: NoticeReply, Action: "answered", Subject: words(m.Header.Get("Subject"))}
	if at, err := m.Header.Date(); err == nil {
		base.At = at.UTC()
	}
	if trace := m.Header.Get("Received"); trace != "" { // the topmost is the newest
		if at, err := mail.ParseDate(strings.TrimSpace(trace[strings.LastIndexByte(trace, ';')+1:])); err == nil {
			base.Received = at.UTC()
		}
	}
	if from, err := mail.ParseAddress(m.Header.Get("From")); err == nil {
		base.Recipient, base.Remote = from.Address, from.Address
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		media = "text/plain"
	}
	p := parts{}
	p.walk(media, params, m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	base.Text = p.text.String()
	// The words of a person, not of a robot that quotes them.
	base.MessageIDs = identifiers(m.Header.Get("In-Reply-To"), m.Header.Get("References"))

	switch {
	case media == "multipart/report" && p.delivery != nil:
		return p.deliveries(base), nil
	case media == "multipart/report" && p.disposition != nil:
		return []Notice{p.read(base)}, nil
	case media == "multipart/report", strings.TrimSpace(m.Header.Get("Return-Path")) == "<>":
		return nil, nil // a program wrote it; what it means is not known
	case automatic(m.Header):
		return nil, nil // out-of-office answers and the like say nothing
	}
	return []Notice{base}, nil
}

// automatic tells whether a program answered (RFC 3834 §5), also one older than
// the field that says so: what it writes stands for nobody who has read.
func automatic(h mail.Header) bool {
	if by := h.Get("Auto-Submitted"); by != "" {
		return !strings.EqualFold(by, "no")
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list", "auto_reply":
		return true
	}
	return h.Get("X-Autoreply") != "" || h.Get("X-Autorespond") != ""
}

// NoticeForms returns a notice in the one form in which it is kept, and in those
// in which it may have been kept before there was one. The form is that of
// [CheckMbox]: every line end CRLF, the line ends at the end trimmed to one. So
// a notice is the same on a server (CRLF), in a Maildir (LF) and in an mbox (an
// empty line more).
func NoticeForms(message []byte) (kept []byte, before [][]byte) {
	text := bytes.TrimRight(message, "\r\n")
	kept, _ = io.ReadAll(&crlfReader{r: bufio.NewReader(io.MultiReader(bytes.NewReader(text), strings.NewReader("\r\n")))}) // in memory
	bare := bytes.ReplaceAll(kept, []byte("\r\n"), []byte("\n"))
	before = [][]byte{bare, slices.Concat(bare, []byte("\n")), slices.Concat(kept, []byte("\r\n"))}
	for _, same := range append(before, kept) {
		if bytes.Equal(message, same) {
			return kept, before
		}
	}
	return kept, append(before, message)
}

// parts is what is taken out of a notice.
type parts struct {
	text        strings.Builder
	delivery    []textproto.MIMEHeader // of the message, then of the recipients
	disposition textproto.MIMEHeader
	original    textproto.MIMEHeader
}

const maxNoticeDepth = 4

func (p *parts) walk(media string, params map[string]string, encoding string, body io.Reader, depth int) {
	if strings.HasPrefix(media, "multipart/") {
		if depth == maxNoticeDepth || params["boundary"] == "" {
			return
		}
		r := multipart.NewReader(body, params["boundary"])
		for range 64 {
			part, err := r.NextRawPart()
			if err != nil {
				return
			}
			media, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
			if err != nil {
				media = "text/plain"
			}
			p.walk(media, params, part.Header.Get("Content-Transfer-Encoding"), part, depth+1)
		}
		return
	}
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	switch media {
	case "text/plain":
		if room := maxNoticeText - p.text.Len(); room > 0 {
			_, _ = io.Copy(&p.text, io.LimitReader(body, int64(room))) // what could be read is enough
		}
	case "message/delivery-status", "message/global-delivery-status":
		if p.delivery == nil {
			p.delivery = headers(body, maxRecipients)
		}
	case "message/disposition-notification", "message/global-disposition-notification":
		if h := headers(body, 1); len(h) > 0 && p.disposition == nil {
			p.disposition = h[0]
		}
	case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
		if h := headers(body, 1); len(h) > 0 && p.original == nil {
			p.original = h[0]
		}
	}
}

// headers reads groups of header fields that empty lines part.
func headers(r io.Reader, limit int) []textproto.MIMEHeader {
	var out []textproto.MIMEHeader
	in := textproto.NewReader(bufio.NewReader(r))
	for len(out) <= limit {
		h, err := in.ReadMIMEHeader()
		if len(h) > 0 {
			out = append(out, h)
		}
		if err != nil {
			break
		}
	}
	return out
}

// deliveries are the notices of a delivery status (RFC 3464 §2).
func (p *parts) deliveries(base Notice) []Notice {
	message := p.delivery[0]
	base.Kind = NoticeDSN
	base.EnvelopeID = unxtext(strings.TrimSpace(message.Get("Original-Envelope-Id")))
	base.Remote = typed(message.Get("Reporting-Mta"))
	base.MessageIDs = nil
	if p.original != nil {
		base.MessageIDs = identifiers(p.original.Get("Message-Id"))
	}
	var out []Notice
	for _, h := range p.delivery[1:] {
		n := base
		if n.Recipient = typed(h.Get("Original-Recipient")); n.Recipient == "" {
			n.Recipient = typed(h.Get("Final-Recipient"))
		}
		n.Action = word(h.Get("Action"))
		n.Status = status(h.Get("Status"))
		if at, err := mail.ParseDate(h.Get("Last-Attempt-Date")); err == nil {
			n.At = at.UTC()
		}
		if n.Action != "" && n.Recipient != "" {
			out = append(out, n)
		}
	}
	return out
}

// read is the notice of a message disposition (RFC 8098 §3).
func (p *parts) read(base Notice) Notice {
	h := p.disposition
	base.Kind = NoticeMDN
	base.MessageIDs = identifiers(h.Get("Original-Message-Id"))
	if len(base.MessageIDs) == 0 && p.original != nil {
		base.MessageIDs = identifiers(p.original.Get("Message-Id"))
	}
	for _, name := range []string{"Final-Recipient", "Original-Recipient"} {
		if s := typed(h.Get(name)); s != "" {
			base.Recipient = s
		}
	}
	_, kind, _ := strings.Cut(h.Get("Disposition"), ";")
	kind, _, _ = strings.Cut(kind, "/") // modifiers
	if base.Action = word(kind); base.Action == "" {
		base.Action = "processed"
	}
	return base
}

// typed is the value of a field "type; value".
func typed(s string) string {
	kind, value, ok := strings.Cut(s, ";")
	if !ok {
		return strings.TrimSpace(s)
	}
	value = strings.TrimSpace(value)
	if strings.EqualFold(strings.TrimSpace(kind), "rfc822") {
		value = unxtext(value)
	}
	return value
}

// word is one lower-case word of letters, "" for anything else.
func word(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	s = strings.ToLower(s)
	if len(s) > 32 || strings.ContainsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return ""
	}
	return s
}

// status is a status code of RFC 3463, "" when it is none.
func status(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	if len(s) > 11 || strings.Count(s, ".") != 2 || strings.ContainsFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		return ""
	}
	return s
}

// identifiers are the Message-IDs in header values, without angle brackets.
func identifiers(values ...string) []string {
	var out []string
	for _, v := range values {
		for len(out) < 100 {
			_, rest, ok := strings.Cut(v, "<")
			if !ok {
				break
			}
			id, after, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			if validMessageID(id) {
				out = append(out, id)
			}
			v = after
		}
	}
	return out
}

// unxtext decodes a parameter value (RFC 3461 §4); what is not of the form
// stays as it is.
func unxtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2]); hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

// words reads encoded words; the result may hold anything and is for a
// sanitizing screen.
func words(s string) string {
	d, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	return d
}

// EachMbox calls fn with every message of an mbox, line ends as stored,
// without its separator line. A message larger than a notice can be is left
// out. The slice is used again after fn returns.
func EachMbox(r io.Reader, fn func(message []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var message []byte
	begun, large, blank, whole := false, false, true, true
	flush := func() error {
		if !begun || large {
			return nil
		}
		return fn(message)
	}
	for {
		line, err := in.ReadSlice('\n')
		if whole && blank && bytes.HasPrefix(line, []byte("From ")) {
			if err := flush(); err != nil {
				return err
			}
			begun, large, message = true, false, message[:0]
			for err == bufio.ErrBufferFull {
				_, err = in.ReadSlice('\n')
			}
			blank, line = false, nil
		} else {
			blank = whole && len(bytes.TrimRight(line, "\r\n")) == 0
		}
		whole = err != bufio.ErrBufferFull
		if len(message)+len(line) > maxNotice {
			large = true
		}
		if !large {
			message = append(message, line...)
		}
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			return flush()
		default:
			return err
		}
	}
}
