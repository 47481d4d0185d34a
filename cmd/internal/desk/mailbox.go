package desk

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/mail"
)

// isMailbox tells a mailbox on a server from a path.
func isMailbox(source string) bool {
	scheme, _, ok := strings.Cut(source, "://")
	return ok && (strings.EqualFold(scheme, "imaps") || strings.EqualFold(scheme, "imap"))
}

// mailboxTimeouts are shorter than those of sending: nothing is lost when the
// reading is given up, and the sender's lock is held meanwhile.
var mailboxTimeouts = mail.Timeouts{
	Connect: 30 * time.Second, Greeting: time.Minute, Command: time.Minute, Dot: 5 * time.Minute,
}

// mailbox reads the address of a mailbox (RFC 5092): imaps:// is TLS from the
// first octet, imap:// is STARTTLS. Without TLS is read only where the gateway
// is spoken to without TLS too, on this machine. A password does not belong
// into an address: it would stand in the list of processes.
func (d *Desk) mailbox(source string, s Secrets) (mail.Mailbox, error) {
	bad := func(detail string) (mail.Mailbox, error) {
		shown, _, _ := strings.Cut(source, "://") // whatever follows may hold a password
		if u, err := url.Parse(source); err == nil {
			if u.User != nil {
				u.User = url.User(u.User.Username())
			}
			shown = u.String()
		}
		return mail.Mailbox{}, &Error{code: CodeMailboxAddress, Field: shown, Detail: detail}
	}
	u, err := url.Parse(source)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return bad("form")
	}
	c := d.Config.Gateway.Mailbox()
	m := mail.Mailbox{Name: strings.Trim(u.Path, "/"), Server: mail.Gateway{
		TLS: mail.TLSImplicit, Username: c.Username, Pins: c.PinDigests(), Timeouts: mailboxTimeouts, Now: d.opts.Now, Dial: d.opts.Dial,
	}}
	if m.Name == "" {
		m.Name = "INBOX"
	}
	if u.User != nil {
		if _, given := u.User.Password(); given {
			return bad("password")
		}
		m.Server.Username = u.User.Username()
	}
	if m.Server.Username == "" {
		return bad("user")
	}
	port := "993"
	if strings.EqualFold(u.Scheme, "imap") {
		m.Server.TLS, port = mail.TLSStartTLS, "143"
		if mail.TLSMode(c.TLS) == mail.TLSNone {
			m.Server.TLS = mail.TLSNone // to another machine it is refused
		}
	}
	if u.Port() != "" {
		port = u.Port()
	}
	m.Server.Address = net.JoinHostPort(u.Hostname(), port)
	key := "gateway.ca"
	if c.IMAPCA != "" {
		key = "gateway.imap_ca"
	}
	if m.Server.RootCAs, err = d.authorities(key, c.CA); err != nil {
		return m, err
	}
	m.Server.Password = func(ctx context.Context) (string, error) {
		if m.Server.Username == c.Username {
			return d.password(ctx, s)
		}
		// The password of the settings is of another account.
		word, err := s.MailPassword(ctx, m.Server.Username)
		if err != nil {
			err = &ourFault{err}
		}
		return word, err
	}
	return m, nil
}

// eachInMailbox reads the messages of a mailbox that can speak of our copies.
// Nothing is kept about what was read before: a notice that said nothing then
// may say something now, and one that is known changes nothing.
func (d *Desk) eachInMailbox(ctx context.Context, source string, s Secrets, fn func(path string, message []byte) error) error {
	m, err := d.mailbox(source, s)
	if err != nil {
		return err
	}
	if m.Since, err = d.noticesSince(ctx); err != nil {
		return err
	}
	u := url.URL{Scheme: "imaps", User: url.User(m.Server.Username), Host: m.Server.Address, Path: "/" + m.Name}
	if m.Server.TLS != mail.TLSImplicit {
		u.Scheme = "imap"
	}
	var stopped error
	err = mail.EachInMailbox(ctx, m, func(uid uint32, message []byte) error {
		stopped = fn(u.String()+"/;UID="+itoa(int(uid)), message)
		return stopped
	})
	switch {
	case err == nil:
		return nil
	case stopped != nil:
		return stopped
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if ours := (*ourFault)(nil); errors.As(err, &ours) {
		return ours.err
	}
	code := CodeMailbox
	switch coded(err) {
	case mail.CodeAuth:
		code = CodeMailboxLogin
	case mail.CodeTLS, mail.CodeNoSTARTTLS:
		code = CodeMailboxTLS
	case mail.CodeRefused:
		code = CodeMailboxRefused
	case mail.CodeUnbounded:
		code = CodeMailboxBounds
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause // the stage is no word of the clerk's
	}
	return &Error{code: code, Field: m.Server.Address, Err: err}
}

// settledTime is how long after the last copy was confirmed something may
// still come: an answer of a person after the notice of a server.
const settledTime = 14 * 24 * time.Hour

// noticesSince is from when on a mailbox can hold something about our copies:
// since the oldest of which nobody has said that it arrived, or that is in
// doubt, but not longer ago than an answer may take.
func (d *Desk) noticesSince(ctx context.Context) (time.Time, error) {
	now := d.Now()
	since := now.Add(-settledTime)
	open, err := d.Book.Unconfirmed(ctx, now.Add(-answerTime), now)
	if err != nil {
		return since, err
	}
	if len(open) > 0 { // the oldest comes first
		since = earlier(since, open[0].SettledAt)
	}
	err = d.Book.Each(ctx, agenda.Filter{States: []agenda.State{agenda.StateReleased}}, func(e agenda.Entry) error {
		for _, c := range e.Copies {
			if c.State == agenda.CopyDoubt {
				since = earlier(since, e.ReleasedAt)
			}
		}
		return nil
	})
	if oldest := now.Add(-answerTime); since.Before(oldest) {
		since = oldest
	}
	// Servers look at the date alone, in a time zone of their own.
	return since.Add(-24 * time.Hour), err
}

func earlier(x, y time.Time) time.Time {
	if y.Before(x) {
		return y
	}
	return x
}
