package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// Stages of the reading of a mailbox, beside those of a session.
const (
	StageMailbox = "mailbox" // EXAMINE
	StageSearch  = "search"
	StageFetch   = "fetch"
)

// Mailbox says which mailbox of which IMAP server is read. Of Server the
// address, the protection, the account, the timeouts, Dial and Now count: the
// rules about TLS, pins and passwords are those of the gateway.
type Mailbox struct {
	Server Gateway
	Name   string    // "INBOX"
	Since  time.Time // messages that the server took before this day are left out
}

// Bounds of one reading: a hostile server costs bounded memory and time.
const (
	maxMailbox  = 50_000   // messages that a search may find
	maxListed   = 500      // messages in one question about sizes: the command stays below 8 KiB
	maxBatch    = 64       // messages asked for in one command
	batchOctets = 4 << 20  // of the messages in one command, about
	answerRoom  = 64 << 10 // octets of an answer beside the messages and numbers in it
	itemRoom    = 128      // octets of an answer for each message that it speaks of, beside its text

	searchRoom = answerRoom + maxMailbox*11 // octets of an answer to a search, which is one line
)

// EachInMailbox calls fn with every message of a mailbox that is not larger
// than a notice can be, oldest first, line ends as the server has them. The
// mailbox is opened with EXAMINE and read with PEEK: nothing is marked as seen,
// nothing is changed. An error of fn ends the reading and is returned as it is;
// every other error is an *[Error] with the codes of [Connect]. A refused
// mailbox is mail.refused at StageMailbox, an answer beyond all bounds
// mail.unbounded.
func EachInMailbox(ctx context.Context, m Mailbox, fn func(uid uint32, message []byte) error) error {
	r, err := openMailbox(ctx, &m.Server)
	if err != nil {
		return err
	}
	defer r.client.Close()
	defer context.AfterFunc(ctx, func() { r.conn.raw.Close() })()
	err = r.each(ctx, m, fn)
	if err != nil && ctx.Err() != nil {
		return lost(r.stage, context.Cause(ctx))
	}
	if err == nil {
		r.conn.expect(r.timeouts.Quit, answerRoom)
		_ = r.client.Logout().Wait() // everything is read; how the server says good-bye is its matter
	}
	return err
}

// mailboxReader is an open, logged-in connection to an IMAP server.
type mailboxReader struct {
	conn     *metered
	client   *imapclient.Client
	timeouts Timeouts
	stage    string
}

func openMailbox(ctx context.Context, g *Gateway) (*mailboxReader, error) {
	host, err := g.host()
	if err != nil {
		return nil, err
	}
	r := &mailboxReader{timeouts: g.Timeouts.withDefaults(), stage: StageConnect}
	raw, err := g.dial(ctx, r.timeouts.Connect)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err = r.open(ctx, g, raw, host)
	if !stop() && err == nil {
		err = lost(r.stage, context.Cause(ctx))
	}
	if err != nil {
		raw.Close()
		if r.client != nil {
			r.client.Close()
		}
		if cause := context.Cause(ctx); cause != nil {
			err = lost(r.stage, cause)
		}
		return nil, err
	}
	return r, nil
}

func (r *mailboxReader) open(ctx context.Context, g *Gateway, raw net.Conn, host string) error {
	conn, greeting := raw, ""
	var err error
	switch g.TLS {
	case TLSImplicit:
		conn, err = g.startTLS(ctx, raw, host, StageConnect, r.timeouts.Command)
	case TLSStartTLS:
		conn, err = r.startTLS(ctx, g, raw, host)
		// A server greets once, and did. The library waits for a greeting, and
		// asks after one without capabilities what the server can do.
		greeting = "* OK\r\n"
	}
	if err != nil {
		return err
	}
	r.conn = &metered{Conn: conn, raw: raw}
	r.conn.expect(r.timeouts.Greeting, answerRoom)
	if greeting == "" {
		if greeting, err = r.greeting(); err != nil {
			return err
		}
	}
	// The guard is above TLS, whatever the mode, and below the library.
	r.conn.guard, r.conn.first = new(responseGuard), greeting
	r.client = imapclient.New(r.conn, nil)
	if err := r.client.WaitGreeting(); err != nil {
		return r.failed(err)
	}
	if r.client.State() == imap.ConnStateAuthenticated {
		return nil // PREAUTH, over TLS or from this machine
	}
	return r.login(ctx, g)
}

// greeting reads the greeting of a server and returns it with whatever came
// behind it, for the library. A farewell ends here: the library tells it
// sometimes as that, and sometimes as a connection that was closed.
func (r *mailboxReader) greeting() (string, error) {
	var seen strings.Builder
	in := bufio.NewReader(io.TeeReader(r.conn, &seen))
	said, err := statusLine(in, "*")
	if err == nil && said.Type != imap.StatusResponseTypeOK && said.Type != imap.StatusResponseTypePreAuth {
		err = said
	}
	return seen.String(), r.failed(err)
}

// startTLS opens the connection of a server that begins in clear, up to the
// end of the handshake. Nothing that came before it counts afterwards, the
// capabilities included (RFC 9051 §6.2.1); what came with the answer to
// STARTTLS was put there by somebody on the way.
func (r *mailboxReader) startTLS(ctx context.Context, g *Gateway, raw net.Conn, host string) (net.Conn, error) {
	r.stage = StageSTARTTLS
	r.conn = &metered{Conn: raw, raw: raw}
	r.conn.expect(r.timeouts.Greeting, answerRoom)
	in := bufio.NewReader(r.conn)
	said, err := statusLine(in, "*")
	if err != nil {
		return nil, r.failed(err)
	}
	switch said.Type {
	case imap.StatusResponseTypeOK:
	case imap.StatusResponseTypePreAuth: // after it there is no STARTTLS
		return nil, &Error{code: CodeNoSTARTTLS, Stage: StageSTARTTLS, Err: errors.New(serverWords(said))}
	default:
		return nil, r.failed(said)
	}
	r.conn.expect(r.timeouts.Command, answerRoom)
	const tag = "S"
	if _, err := io.WriteString(r.conn, tag+" STARTTLS\r\n"); err != nil {
		return nil, r.failed(err)
	}
	if said, err = statusLine(in, tag); err != nil {
		return nil, r.failed(err)
	}
	switch {
	case said.Type == imap.StatusResponseTypeBye:
		return nil, r.failed(said)
	case said.Type != imap.StatusResponseTypeOK:
		return nil, &Error{code: CodeNoSTARTTLS, Stage: StageSTARTTLS, Err: errors.New(serverWords(said))}
	case in.Buffered() > 0:
		return nil, fault(CodeTLS, StageSTARTTLS, "octets sent before TLS")
	}
	r.conn.idle()
	return g.startTLS(ctx, raw, host, StageSTARTTLS, r.timeouts.Command)
}

// statusLine reads responses up to the status with a tag, "*" for the greeting,
// or up to a farewell. Nothing is taken from other responses.
func statusLine(in *bufio.Reader, tag string) (*imap.Error, error) {
	statuses := []imap.StatusResponseType{
		imap.StatusResponseTypeOK, imap.StatusResponseTypeNo, imap.StatusResponseTypeBad, imap.StatusResponseTypePreAuth,
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		of, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		kind, text, _ := strings.Cut(rest, " ")
		said := &imap.Error{Type: imap.StatusResponseType(strings.ToUpper(kind)), Text: text}
		switch {
		case of == tag && slices.Contains(statuses, said.Type), of == "*" && said.Type == imap.StatusResponseTypeBye:
			return said, nil
		case of != "*" || tag == "*":
			return nil, errForm
		}
	}
}

// login logs in with PLAIN (RFC 4616), else with LOGIN where the server does
// not forbid it. It runs on a verified TLS connection, or on one that does not
// leave this machine.
func (r *mailboxReader) login(ctx context.Context, g *Gateway) error {
	r.stage = StageAuth
	if g.Username == "" || g.Password == nil {
		return fault(CodeAuth, StageAuth, "no user name or password")
	}
	r.conn.expect(r.timeouts.Command, answerRoom)
	caps := r.client.Caps()
	if r.conn.failure() != nil {
		return r.failed(r.conn.failure())
	}
	plain := caps.Has(imap.AuthCap(sasl.Plain))
	if !plain && caps.Has(imap.CapLoginDisabled) {
		return fault(CodeAuth, StageAuth, "no known login offered")
	}
	r.conn.idle()
	password, err := g.Password(ctx)
	if err != nil {
		return &Error{code: CodeAuth, Stage: StageAuth, Err: fmt.Errorf("password: %w", err)}
	}
	if strings.ContainsAny(g.Username+password, "\x00\r\n") {
		return fault(CodeAuth, StageAuth, "user name or password with a control character")
	}
	r.conn.expect(r.timeouts.Command, answerRoom)
	if plain {
		err = r.client.Authenticate(sasl.NewPlainClient("", g.Username, password))
	} else {
		err = r.client.Login(g.Username, password).Wait()
	}
	var said *imap.Error
	if errors.As(err, &said) && said.Code != imap.ResponseCodeUnavailable {
		return &Error{code: CodeAuth, Stage: StageAuth, Err: errors.New(serverWords(said))}
	}
	return r.failed(err)
}

// each reads the messages in small batches: what one answer may hold is known
// before it is asked for. A message that is there and was not handed on is told
// when the others are read: the library drops one whose text stands before its
// number, as IMAP allows.
func (r *mailboxReader) each(ctx context.Context, m Mailbox, fn func(uint32, []byte) error) error {
	r.stage = StageMailbox
	r.conn.expect(r.timeouts.Command, answerRoom)
	if _, err := r.client.Select(m.Name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return r.failed(err)
	}
	r.stage = StageSearch
	r.conn.expectLine(r.timeouts.Command, searchRoom, searchRoom)
	found, err := r.client.UIDSearch(&imap.SearchCriteria{Since: m.Since, Smaller: maxNotice + 1}, nil).Wait()
	if err != nil {
		return r.failed(err)
	}
	uids, err := listed(found)
	if err != nil {
		return err
	}
	r.stage = StageFetch
	missed := false
	for part := range slices.Chunk(uids, maxListed) {
		sizes, err := r.sizes(part)
		if err != nil {
			return err
		}
		part = slices.DeleteFunc(part, func(uid imap.UID) bool {
			_, there := sizes[uid]
			return !there // deleted meanwhile by another reader
		})
		for len(part) > 0 {
			n, octets := 0, int64(0)
			for n < len(part) && n < maxBatch && (n == 0 || octets+sizes[part[n]] <= batchOctets) {
				octets += sizes[part[n]]
				n++
			}
			messages, err := r.fetch(part[:n], octets)
			if err != nil {
				return err
			}
			lost := slices.DeleteFunc(slices.Clone(part[:n]), func(uid imap.UID) bool {
				_, there := messages[uid]
				return there
			})
			if len(lost) > 0 {
				left, err := r.sizes(lost)
				if err != nil {
					return err
				}
				r.conn.idle()
				missed = missed || len(left) > 0
			}
			for _, uid := range part[:n] {
				message, ok := messages[uid]
				if !ok {
					continue // deleted just now, or missed
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := fn(uint32(uid), message); err != nil {
					return err
				}
			}
			part = part[n:]
		}
	}
	if missed {
		return fault(CodeProtocol, StageFetch, "message without its text, or with its number behind it")
	}
	return nil
}

// listed are the numbers in an answer to a search, in order. A range may stand
// for four thousand million numbers: it is counted before it is written out.
func listed(found *imap.SearchData) ([]imap.UID, error) {
	set, _ := found.All.(imap.UIDSet)
	n := 0
	for _, x := range set {
		if x.Start == 0 || x.Stop < x.Start {
			return nil, fault(CodeProtocol, StageSearch, "answer with numbers that are none")
		}
		if x.Stop-x.Start >= maxMailbox || n > maxMailbox {
			return nil, fault(CodeProtocol, StageSearch, fmt.Sprintf("more than %d messages", maxMailbox))
		}
		n += int(x.Stop-x.Start) + 1
	}
	if n > maxMailbox {
		return nil, fault(CodeProtocol, StageSearch, fmt.Sprintf("more than %d messages", maxMailbox))
	}
	uids, _ := set.Nums()
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

func (r *mailboxReader) sizes(uids []imap.UID) (map[imap.UID]int64, error) {
	r.conn.expect(r.timeouts.Command, answerRoom+int64(len(uids))*itemRoom)
	list, err := r.collect(r.client.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true, RFC822Size: true}))
	sizes := map[imap.UID]int64{}
	for uid, x := range list {
		sizes[uid] = min(max(x.size, 0), maxNotice)
	}
	return sizes, err
}

// fetched is what an answer says about one message.
type fetched struct {
	size int64
	body []byte
}

// collect reads the whole answer to a FETCH. A message that breaks off is not
// touched again: the library would read on beside its own reader.
func (r *mailboxReader) collect(cmd *imapclient.FetchCommand) (map[imap.UID]fetched, error) {
	all := map[imap.UID]fetched{}
	for message := cmd.Next(); message != nil; message = cmd.Next() {
		var uid imap.UID
		var one fetched
		for item := message.Next(); item != nil; item = message.Next() {
			var literal imap.LiteralReader
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				uid = item.UID
			case imapclient.FetchItemDataRFC822Size:
				one.size = item.Size
			case imapclient.FetchItemDataBodySection:
				literal = item.Literal
			case imapclient.FetchItemDataBinarySection:
				literal = item.Literal
			}
			if literal == nil {
				continue
			}
			body, err := io.ReadAll(literal)
			if err == nil && int64(len(body)) != literal.Size() {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return nil, r.failed(err)
			}
			one.body = body
		}
		all[uid] = one
	}
	return all, r.failed(cmd.Close())
}

// fetch reads whole messages; octets is what their sizes add up to. Until the
// next command the connection may rest: what is done with them takes its time.
func (r *mailboxReader) fetch(uids []imap.UID, octets int64) (map[imap.UID][]byte, error) {
	r.conn.expect(r.timeouts.Dot, answerRoom+octets+int64(len(uids))*itemRoom)
	whole := &imap.FetchItemBodySection{Peek: true}
	list, err := r.collect(r.client.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{whole}}))
	if err != nil {
		return nil, err
	}
	r.conn.idle()
	messages := map[imap.UID][]byte{}
	for uid, x := range list {
		if x.body != nil {
			messages[uid] = x.body
		}
	}
	return messages, nil
}

// failed turns an error of the library into ours. The library wraps what the
// connection said as text only; the connection remembers it.
func (r *mailboxReader) failed(err error) error {
	if err == nil {
		return nil
	}
	var said *imap.Error
	switch {
	case errors.As(err, &said):
		code := CodeRefused
		switch {
		case said.Type == imap.StatusResponseTypeBye, said.Code == imap.ResponseCodeUnavailable, said.Code == imap.ResponseCodeInUse:
			code = CodeDeferred
		case said.Type == imap.StatusResponseTypeBad:
			code = CodeProtocol
		}
		return &Error{code: code, Stage: r.stage, Err: errors.New(serverWords(said))}
	}
	switch failure := r.conn.failure(); failure {
	case errFlood, errNested, errLongLine:
		return &Error{code: CodeUnbounded, Stage: r.stage, Err: failure}
	case nil, errForm:
		return &Error{code: CodeProtocol, Stage: r.stage, Err: errForm}
	default:
		return lost(r.stage, failure)
	}
}

// serverWords are the words of a server, fit for a line of a screen.
func serverWords(e *imap.Error) string {
	text := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, e.Text)
	if len(text) > 200 {
		text = text[:200]
	}
	return strings.TrimSpace(string(e.Type) + " " + text)
}

// metered is a connection whose every answer has an end: a time until which
// and a number of octets within which it must have come. It takes the place of
// the deadlines of the library, which begin anew with each line, and keeps the
// first error for whoever asks why. What its guard refuses is not handed on.
type metered struct {
	net.Conn
	raw   net.Conn       // to close and to set deadlines
	guard *responseGuard // nil up to the greeting, where nothing is parsed
	first string         // read before anything more that the server says

	mu   sync.Mutex
	left int64
	line int64 // octets that a line may have
	err  error
}

// errFlood is more than was asked for.
var errFlood error = grammarError("answer larger than asked for")

// expect begins the waiting for an answer.
func (c *metered) expect(timeout time.Duration, octets int64) {
	c.expectLine(timeout, octets, answerRoom)
}

// expectLine begins the waiting for an answer with a line of its own length.
func (c *metered) expectLine(timeout time.Duration, octets, line int64) {
	c.mu.Lock()
	c.left, c.line = octets, line
	c.mu.Unlock()
	_ = c.raw.SetDeadline(time.Now().Add(timeout)) // a connection that is gone says so when it is read
}

// idle ends it; what the server says unasked counts against the same octets.
func (c *metered) idle() { _ = c.raw.SetDeadline(time.Time{}) }

func (c *metered) Read(p []byte) (int, error) {
	if c.guard != nil && c.guard.refused != nil { // the library may read on; nothing is waited for
		return 0, c.failing(c.guard.refused)
	}
	c.mu.Lock()
	left, line := c.left, c.line
	c.mu.Unlock()
	var n int
	var err error
	switch {
	case c.first != "": // counted when it came
		n = copy(p, c.first)
		c.first = c.first[n:]
	case left <= 0:
		return 0, c.failing(errFlood)
	default:
		n, err = c.Conn.Read(p[:min(int64(len(p)), left)])
		c.mu.Lock()
		c.left -= int64(n)
		c.mu.Unlock()
	}
	if c.guard != nil {
		passed, refused := c.guard.pass(p[:n], line)
		if n = passed; refused != nil {
			err = refused
		}
	}
	return n, c.failing(err)
}

func (c *metered) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.failing(err)
}

func (c *metered) failing(err error) error {
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = unexpected(err)
		}
		if err == io.EOF {
			return err
		}
		return c.err
	}
	return nil
}

func (c *metered) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// The library's own deadlines are without effect.

func (c *metered) SetDeadline(time.Time) error      { return nil }
func (c *metered) SetReadDeadline(time.Time) error  { return nil }
func (c *metered) SetWriteDeadline(time.Time) error { return nil }
