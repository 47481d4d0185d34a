package mail

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

// The stable codes of [Error]. They decide exit status and message; texts may
// change, codes never do.
const (
	CodeAddress    = "mail.address"     // not an address that this desk uses
	CodeConnect    = "mail.connect"     // no connection, or a lost one
	CodeTLS        = "mail.tls"         // certificate, name, pin or handshake not good
	CodeNoSTARTTLS = "mail.no_starttls" // gateway does not offer or refuses TLS
	CodeAuth       = "mail.auth"        // login refused or not possible
	CodeProtocol   = "mail.protocol"    // reply that RFC 5321 does not allow here
	CodeUnbounded  = "mail.unbounded"   // answer larger, longer or deeper than any server needs
	CodeRefused    = "mail.refused"     // 5xx
	CodeDeferred   = "mail.deferred"    // 4xx
	CodeTooLarge   = "mail.too_large"   // larger than the SIZE of the gateway
	CodeTimeout    = "mail.timeout"     // no answer, or no progress, in time
	CodeContent    = "mail.content"     // message or header value that must not be sent or filed
	CodeParse      = "mail.parse"       // message that cannot be taken apart
	CodeMbox       = "mail.mbox"        // archive box that does not hold what it should
)

// Error is the one error type of the package. Stage names the step of the
// session (see [Outcome]) or the part of the message concerned; it may be
// empty. Reply is the gateway's answer where there was one. Dialogue is set on
// errors of [Connect] only: the conversation so far, without secrets.
type Error struct {
	Stage    string
	Reply    *Reply
	Err      error
	Dialogue []byte

	code string
}

// Code returns the stable code, one of the Code constants.
func (e *Error) Code() string { return e.code }

// Error returns a short phrase. It never holds passwords or message text.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Stage != "" {
		b.WriteString(e.Stage)
		b.WriteString(": ")
	}
	switch {
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	case e.Reply != nil:
		b.WriteString("answered ")
	default:
		b.WriteString(e.code)
	}
	if e.Reply != nil {
		if e.Err != nil {
			b.WriteString(": ")
		}
		b.WriteString(e.Reply.String())
	}
	return b.String()
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

func fault(code, stage, text string) *Error {
	return &Error{code: code, Stage: stage, Err: errors.New(text)}
}

func answered(code, stage string, r Reply) *Error {
	return &Error{code: code, Stage: stage, Reply: &r}
}

// lost classifies an error of the connection: a malformed reply keeps its code,
// the rest is a timeout or a lost connection.
func lost(stage string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		if e.code != CodeProtocol || !transport(e.Err) {
			return &Error{code: e.code, Stage: stage, Reply: e.Reply, Err: e.Err}
		}
		err = e.Err
	}
	if ne := net.Error(nil); errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		(errors.As(err, &ne) && ne.Timeout()) {
		return &Error{code: CodeTimeout, Stage: stage, Err: err}
	}
	return &Error{code: CodeConnect, Stage: stage, Err: err}
}

// transport tells an error of the connection from one of the reply's grammar.
func transport(err error) bool {
	var g grammarError
	return !errors.As(err, &g)
}

// grammarError is what is wrong with a reply that arrived.
type grammarError string

func (g grammarError) Error() string { return string(g) }

// unexpected turns the end of a stream in the middle of something into the
// error that says so.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
