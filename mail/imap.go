package mail

import (
	"context"
	"crypto/tls"
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
	numberRoom  = 11       // octets of a number in an answer to a search
	itemRoom    = 128      // octets of an answer for each message that it speaks of, beside its text
)

// EachInMailbox calls fn with every message of a mailbox that is not larger
// than a notice can be, oldest first, line ends as the server has them. The
// mailbox is opened with EXAMINE and read with PEEK: nothing is marked as seen,
// nothing is changed. An error of fn ends the reading and is returned as it is;
// every other error is an *[Error] with the codes of [Connect]. A refused
// mailbox is mail.refused at StageMailbox.
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
	if g.TLS == TLSStartTLS {
		if err := r.startTLS(g, raw, host); err != nil {
			return err
		}
	} else {
		conn := raw
		if g.TLS == TLSImplicit {
			t, err := g.startTLS(ctx, raw, host, StageConnect, r.timeouts.Command)
			if err != nil {
				return err
			}
			conn = t
		}
		r.conn = &metered{Conn: conn, raw: raw}
		r.conn.expect(r.timeouts.Greeting, answerRoom)
		r.client = imapclient.New(r.conn, nil)
	}
	if err := r.client.WaitGreeting(); err != nil {
		return r.failed(err)
	}
	if r.client.State() == imap.ConnStateAuthenticated {
		return nil // PREAUTH, over TLS or from this machine
	}
	return r.login(ctx, g)
}

// startTLS opens the connection of a server that begins in clear. The library
// hands whatever came behind the answer to STARTTLS to the handshake, which
// refuses it, and forgets the capabilities that were offered before.
func (r *mailboxReader) startTLS(g *Gateway, raw net.Conn, host string) error {
	r.stage = StageSTARTTLS
	r.conn = &metered{Conn: raw, raw: raw}
	r.conn.expect(r.timeouts.Greeting, answerRoom)
	client, err := imapclient.NewStartTLS(r.conn, &imapclient.Options{TLSConfig: g.tlsConfig(host)})
	if err == nil {
		r.client = client
		return nil
	}
	var said *imap.Error
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &said):
		return &Error{code: CodeNoSTARTTLS, Stage: StageSTARTTLS, Err: errors.New(serverWords(said))}
	case errors.As(err, &verify), errors.As(err, &alert), errors.As(err, &record):
		return &Error{code: CodeTLS, Stage: StageSTARTTLS, Err: err}
	case r.conn.failure() != nil:
		return r.failed(err)
	}
	// Pins that do not fit, PREAUTH before TLS, a handshake that is none.
	return &Error{code: CodeTLS, Stage: StageSTARTTLS, Err: err}
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
// before it is asked for.
func (r *mailboxReader) each(ctx context.Context, m Mailbox, fn func(uint32, []byte) error) error {
	r.stage = StageMailbox
	r.conn.expect(r.timeouts.Command, answerRoom)
	if _, err := r.client.Select(m.Name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return r.failed(err)
	}
	r.stage = StageSearch
	r.conn.expect(r.timeouts.Command, answerRoom+maxMailbox*numberRoom)
	found, err := r.client.UIDSearch(&imap.SearchCriteria{Since: m.Since, Smaller: maxNotice + 1}, nil).Wait()
	if err != nil {
		return r.failed(err)
	}
	uids, err := listed(found)
	if err != nil {
		return err
	}
	r.stage = StageFetch
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
			for _, uid := range part[:n] {
				message, ok := messages[uid]
				if !ok {
					continue // deleted just now
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
	case r.conn.failure() == errFlood:
		return &Error{code: CodeProtocol, Stage: r.stage, Err: errFlood}
	case r.conn.failure() != nil:
		return lost(r.stage, r.conn.failure())
	}
	return &Error{code: CodeProtocol, Stage: r.stage, Err: errors.New("answer that IMAP does not allow here")}
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
// first error for whoever asks why.
type metered struct {
	net.Conn
	raw net.Conn // to close and to set deadlines

	mu   sync.Mutex
	left int64
	err  error
}

// errFlood is more than was asked for.
var errFlood error = grammarError("answer larger than asked for")

// expect begins the waiting for an answer.
func (c *metered) expect(timeout time.Duration, octets int64) {
	c.mu.Lock()
	c.left = octets
	c.mu.Unlock()
	_ = c.raw.SetDeadline(time.Now().Add(timeout)) // a connection that is gone says so when it is read
}

// idle ends it; what the server says unasked counts against the same octets.
func (c *metered) idle() { _ = c.raw.SetDeadline(time.Time{}) }

func (c *metered) Read(p []byte) (int, error) {
	c.mu.Lock()
	left := c.left
	c.mu.Unlock()
	if left <= 0 {
		return 0, c.failing(errFlood)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.mu.Lock()
	c.left -= int64(n)
	c.mu.Unlock()
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
