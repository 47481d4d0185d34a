package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sandi/mail"
	"sandi/mail/loopback"
)

func TestTransmitDialogue(t *testing.T) {
	t.Parallel()
	opening := "S: 220 test ESMTP\nC: EHLO desk.contoh.test\nS: 250-test\n%sS: 250 HELP\n"
	cases := []struct {
		caps []string
		want string
	}{
		{nil, "C: MAIL FROM:<a=b@contoh.test>\nS: 250 ok\nC: RCPT TO:<c+d@contoh.test>\nS: 250 ok\nC: DATA\n"},
		{
			[]string{"PIPELINING", "SIZE 1000", "DSN", "CHUNKING", "8BITMIME", "SMTPUTF8"},
			"C: MAIL FROM:<a=b@contoh.test> SIZE=30 RET=HDRS ENVID=0123\n" +
				"C: RCPT TO:<c+d@contoh.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bd@contoh.test\nC: DATA\nS: 250 ok\nS: 250 ok\n",
		},
		{[]string{"SIZE"}, "C: MAIL FROM:<a=b@contoh.test> SIZE=30\nS: 250 ok\nC: RCPT TO:<c+d@contoh.test>\nS: 250 ok\nC: DATA\n"},
	}
	for _, c := range cases {
		g := gateway{caps: c.caps}
		s := connect(t, g.client())
		for range 2 {
			armed := 0
			o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { armed++; return nil })
			want := mail.Outcome{
				State: mail.OutcomeAccepted, Stage: mail.StageDot, QueueID: "4XyZ", DSN: slices.Contains(c.caps, "DSN"),
				Reply: mail.Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"2.0.0 Ok: queued as 4XyZ"}},
				Dialogue: []byte(fmt.Sprintf(opening, lines("S: 250-", c.caps)) + c.want +
					"S: 354 go\n* 30 octets\nC: .\nS: 250 2.0.0 Ok: queued as 4XyZ\n"),
			}
			want.Dialogue = bytes.ReplaceAll(want.Dialogue, []byte("\r"), nil)
			if d := cmp.Diff(want, o); d != "" || armed != 1 || !s.Usable() {
				t.Errorf("armed %d: %s", armed, d)
			}
		}
		if messages, _ := g.seen(); fmt.Sprint(messages) != fmt.Sprint([]string{text, text}) {
			t.Errorf("server has %q", messages)
		}
	}
}

func TestTransmitReplies(t *testing.T) {
	t.Parallel()
	const drop, stall = "drop", "stall"
	type result struct {
		State  mail.OutcomeState
		Code   string
		Stage  string
		Usable bool
		Armed  bool
	}
	cases := []struct {
		verb, reply string
		want        result
	}{
		{"MAIL", "450 4.7.1 later\r\n", result{"deferred", mail.CodeDeferred, "mail", true, false}},
		{"MAIL", "550 no\r\n", result{"rejected", mail.CodeRefused, "mail", true, false}},
		{"MAIL", "421 bye\r\n", result{"deferred", mail.CodeDeferred, "mail", false, false}},
		{"MAIL", "354 what\r\n", result{"deferred", mail.CodeProtocol, "mail", false, false}},
		{"MAIL", "ok\r\n", result{"deferred", mail.CodeProtocol, "mail", false, false}},
		{"MAIL", drop, result{"deferred", mail.CodeConnect, "mail", false, false}},
		{"MAIL", stall, result{"deferred", mail.CodeTimeout, "mail", false, false}},
		{"RCPT", "451 4.7.1 greylisted\r\n", result{"deferred", mail.CodeDeferred, "rcpt", true, false}},
		{"RCPT", "550 5.1.1 unknown\r\n", result{"rejected", mail.CodeRefused, "rcpt", true, false}},
		{"RCPT", "421 bye\r\n", result{"deferred", mail.CodeDeferred, "rcpt", false, false}},
		{"RCPT", drop, result{"deferred", mail.CodeConnect, "rcpt", false, false}},
		{"RCPT", stall, result{"deferred", mail.CodeTimeout, "rcpt", false, false}},
		{"DATA", "452 full\r\n", result{"deferred", mail.CodeDeferred, "data", true, false}},
		{"DATA", "554 no\r\n", result{"rejected", mail.CodeRefused, "data", true, false}},
		{"DATA", "421 bye\r\n", result{"deferred", mail.CodeDeferred, "data", false, false}},
		{"DATA", "250 ok\r\n", result{"deferred", mail.CodeProtocol, "data", false, false}},
		{"DATA", "354-a\r\n355 b\r\n", result{"deferred", mail.CodeProtocol, "data", false, false}},
		{"DATA", drop, result{"deferred", mail.CodeConnect, "data", false, false}},
		{"DATA", stall, result{"deferred", mail.CodeTimeout, "data", false, false}},
		{"dot", "451 4.3.0 later\r\n", result{"deferred", mail.CodeDeferred, "dot", true, true}},
		{"dot", "550 5.7.1 no\r\n", result{"rejected", mail.CodeRefused, "dot", true, true}},
		{"dot", "421 bye\r\n", result{"deferred", mail.CodeDeferred, "dot", false, true}},
		{"dot", "354 more\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "250-a\r\n250 b\r\n", result{"accepted", "", "dot", true, true}},
		{"dot", "250 ok\r\n250 again\r\n", result{"accepted", "", "dot", false, true}},
		{"dot", "250-a\r\n451 b\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"RCPT", "251 2.1.5 not local, will forward\r\n", result{"accepted", "", "dot", true, true}},
		{"RCPT", "252 2.1.5 cannot verify\r\n", result{"accepted", "", "dot", true, true}},
		{"dot", "552 5.3.4 too large\r\n", result{"rejected", mail.CodeRefused, "dot", true, true}},
		{"dot", "250 " + strings.Repeat("x", 10<<10) + "\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "250 dit\xe9rima\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "250 diterim\u00e1\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "250 ok\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "250 \x1b[2J\r\n", result{"doubt", mail.CodeProtocol, "dot", false, true}},
		{"dot", "25", result{"doubt", mail.CodeTimeout, "dot", false, true}},
		{"dot", "250-a\r\n", result{"doubt", mail.CodeTimeout, "dot", false, true}},
		{"dot", drop, result{"doubt", mail.CodeConnect, "dot", false, true}},
		{"dot", stall, result{"doubt", mail.CodeTimeout, "dot", false, true}},
	}
	for _, c := range cases {
		for _, caps := range [][]string{nil, {"PIPELINING"}} {
			t.Run(fmt.Sprintf("%s_%.12q_%d", c.verb, c.reply, len(caps)), func(t *testing.T) {
				t.Parallel()
				g := &gateway{caps: caps, replies: map[string]string{c.verb: c.reply}}
				client := g.client()
				if c.want.Code == mail.CodeTimeout {
					d := 30 * time.Millisecond
					client.Timeouts.Command, client.Timeouts.Data, client.Timeouts.Dot = d, d, d
				}
				client.Dial = g.dialTCP
				s := connect(t, client)
				armed := false
				o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { armed = true; return nil })
				if got := (result{o.State, code(o.Err), o.Stage, s.Usable(), armed}); got != c.want {
					t.Errorf("got %+v (%v), want %+v", got, o.Err, c.want)
				}
				if messages, _ := g.seen(); len(messages) > 0 != armed {
					t.Errorf("armed %v, but the server has %d messages", armed, len(messages))
				}
				if c.want.Usable && c.verb != "dot" {
					// The same session delivers the next message.
					delete(g.replies, c.verb)
					if o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { return nil }); o.State != mail.OutcomeAccepted {
						t.Errorf("next message: %+v", o)
					}
				}
			})
		}
	}
}

// DATA is sent behind a command that the gateway refuses. What it says to that
// is never taken for a word about the message, and when it waits for data the
// connection is dropped without a dot.
func TestTransmitDataBehindRefusal(t *testing.T) {
	t.Parallel()
	for behind, usable := range map[string]bool{
		"503 5.5.1 no valid recipient\r\n": true,
		"554 5.5.1 no valid recipient\r\n": true,
		"451 4.3.0 later\r\n":              true,
		"421 4.3.0 bye\r\n":                false,
		"354 go\r\n":                       false,
		"250 2.0.0 queued as X\r\n":        false,
		"what\r\n":                         false,
		"drop":                             false,
		"stall":                            false,
	} {
		for verb, refusal := range map[string]string{"MAIL": "550 5.7.1 not you\r\n", "RCPT": "550 5.1.1 unknown\r\n"} {
			t.Run(fmt.Sprintf("%s_%.3s", verb, behind), func(t *testing.T) {
				t.Parallel()
				g := &gateway{caps: []string{"PIPELINING"}, replies: map[string]string{verb: refusal}, behind: behind}
				client := g.client()
				client.Dial = g.dialTCP
				if behind == "stall" {
					client.Timeouts.Data = 30 * time.Millisecond
				}
				s := connect(t, client)
				o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { t.Error("armed"); return nil })
				if o.State != mail.OutcomeRejected || o.Stage != strings.ToLower(verb) || o.Reply.String() != strings.TrimSpace(refusal) || s.Usable() != usable {
					t.Errorf("%s at %s, %q, usable %v, want %v", o.State, o.Stage, o.Reply, s.Usable(), usable)
				}
				if messages, _ := g.seen(); len(messages) != 0 {
					t.Errorf("the server has %q", messages)
				}
			})
		}
	}
}

// A gateway that promised enhanced status codes and says taken with one code
// and refused with the other leaves doubt. Without the promise the text is
// only text.
func TestTransmitContradiction(t *testing.T) {
	t.Parallel()
	cases := []struct {
		reply           string
		promised, plain mail.OutcomeState
	}{
		{"250 2.0.0 ok\r\n", mail.OutcomeAccepted, mail.OutcomeAccepted},
		{"250 5.7.1 refused by policy\r\n", mail.OutcomeDoubt, mail.OutcomeAccepted},
		{"250 4.3.0 later\r\n", mail.OutcomeDoubt, mail.OutcomeAccepted},
		{"250-2.0.0 ok\r\n250 5.7.1 quarantined\r\n", mail.OutcomeDoubt, mail.OutcomeAccepted},
		{"550 2.0.0 queued as 1\r\n", mail.OutcomeDoubt, mail.OutcomeRejected},
		{"451 2.0.0 queued as 1\r\n", mail.OutcomeDoubt, mail.OutcomeDeferred},
		{"554 4.7.1 refused\r\n", mail.OutcomeRejected, mail.OutcomeRejected},
		{"450 5.7.1 greylisted\r\n", mail.OutcomeDeferred, mail.OutcomeDeferred},
		{"250 1.2.3 version\r\n", mail.OutcomeAccepted, mail.OutcomeAccepted},
	}
	for _, c := range cases {
		for caps, want := range map[string]mail.OutcomeState{"ENHANCEDSTATUSCODES": c.promised, "8BITMIME": c.plain} {
			g := gateway{caps: []string{caps}, replies: map[string]string{"dot": c.reply}}
			o := connect(t, g.client()).Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { return nil })
			if o.State != want {
				t.Errorf("%q with %s: %s (%v), want %s", c.reply, caps, o.State, o.Err, want)
			}
		}
	}
}

// A reply before the dot is never success.
func TestTransmitEarlyReply(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		state mail.OutcomeState
		code  string
	}{
		"250 2.0.0 queued as X\r\n": {mail.OutcomeDeferred, mail.CodeProtocol},
		"451 later\r\n":             {mail.OutcomeDeferred, mail.CodeDeferred},
		"552 5.3.4 too big\r\n":     {mail.OutcomeRejected, mail.CodeRefused},
		"garbage\r\n":               {mail.OutcomeDeferred, mail.CodeProtocol},
	}
	for early, want := range cases {
		for _, place := range []string{"behind_354", "in_body", "while_arming"} {
			t.Run(place+early[:3], func(t *testing.T) {
				t.Parallel()
				g := &gateway{}
				spoke := make(chan struct{})
				c := g.client()
				var server net.Conn
				c.Dial = func(context.Context, string, string) (net.Conn, error) {
					var client net.Conn
					client, server = net.Pipe()
					go g.serve(server)
					return client, nil
				}
				speak := func() {
					// A write to a pipe returns when the other side has read it.
					go func() { io.WriteString(server, early); close(spoke) }()
					<-spoke
				}
				if place == "behind_354" {
					g.replies = map[string]string{"DATA": "354 go\r\n" + early}
				}
				s := connect(t, c)
				body := io.Reader(strings.NewReader(text))
				if place == "in_body" {
					body = io.MultiReader(strings.NewReader("Subject: x\r\n"), call(speak), strings.NewReader("\r\n"+strings.Repeat("line\r\n", 50000)))
				}
				armed := false
				d := delivery(t)
				d.Size = 0
				o := s.Transmit(t.Context(), d, body, func() error {
					armed = true
					if place == "while_arming" {
						speak()
					}
					return nil
				})
				if o.State != want.state || code(o.Err) != want.code || s.Usable() {
					t.Errorf("got %s %v", o.State, o.Err)
				}
				if armed != (place == "while_arming") {
					t.Errorf("armed: %v", armed)
				}
				if messages, _ := g.seen(); len(messages) != 0 {
					t.Errorf("server saw the end of %d messages", len(messages))
				}
			})
		}
	}
}

// call is a reader that does something once and is empty.
type call func()

func (c call) Read([]byte) (int, error) { c(); return 0, io.EOF }

func TestTransmitBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 998)
	head := "Subject: x\r\n\r\n"
	good := map[string]string{
		"dots":      head + ".\r\n..\r\n.x\r\n...\r\n",
		"dot_first": ".x: y\r\n\r\n",
		"longest":   head + long + "\r\n",
		"big":       head + strings.Repeat(".0123456789abcdef\r\n", 20000),
		"empty":     "\r\n",
	}
	for name, body := range good {
		for _, r := range []func() io.Reader{
			func() io.Reader { return strings.NewReader(body) },
			func() io.Reader { return oneByOne{strings.NewReader(body)} },
		} {
			g := &gateway{}
			s := connect(t, g.client())
			d := delivery(t)
			d.Size = int64(len(body))
			o := s.Transmit(t.Context(), d, r(), func() error { return nil })
			if messages, _ := g.seen(); o.State != mail.OutcomeAccepted || len(messages) != 1 || messages[0] != body {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
	bad := map[string]string{
		"empty":       "",
		"no_end":      head + "x",
		"cr_end":      head + "x\r",
		"lf_end":      head + "x\n",
		"bare_lf":     head + "a\nb\r\n",
		"bare_cr":     head + "a\rb\r\n",
		"lone_lf":     head + "\n.\r\n",
		"smuggle_1":   head + "a\n.\nMAIL FROM:<x@y>\r\n",
		"smuggle_2":   head + "a\r.\rMAIL FROM:<x@y>\r\n",
		"smuggle_3":   head + "a\r\n.\rMAIL FROM:<x@y>\r\n",
		"smuggle_4":   head + "a\n.\r\nMAIL FROM:<x@y>\r\n",
		"smuggle_5":   head + "a\r\n.\nMAIL FROM:<x@y>\r\n",
		"smuggle_6":   head + "a\r\r\n.\r\nMAIL FROM:<x@y>\r\n",
		"smuggle_7":   head + "a\r\n\x00.\r\nMAIL FROM:<x@y>\r\n",
		"nul":         head + "a\x00b\r\n",
		"eight_bit":   head + "0123456789 caf\xe9\r\n",
		"long_line":   head + long + "x\r\n",
		"endless":     head + strings.Repeat("x", 1<<20),
		"late":        head + strings.Repeat("0123456789abcdef\r\n", 20000) + "\xff\r\n",
		"wrong_size":  head + "much more than was said\r\n",
		"source_half": head + "half",
	}
	for name, body := range bad {
		g := &gateway{}
		s := connect(t, g.client())
		d := delivery(t)
		if name != "wrong_size" {
			d.Size = 0
		}
		r := io.Reader(strings.NewReader(body))
		if name == "source_half" {
			r = io.MultiReader(r, failing{errors.New("medium gone")})
		}
		o := s.Transmit(t.Context(), d, r, func() error { t.Errorf("%s: armed", name); return nil })
		if o.State != mail.OutcomeDeferred || code(o.Err) != mail.CodeContent || o.Stage != mail.StageBody || s.Usable() {
			t.Errorf("%s: %+v", name, o)
		}
		if messages, _ := g.seen(); len(messages) != 0 {
			t.Errorf("%s: server has %q", name, messages)
		}
	}
}

type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// TestTransmitBodyFailsMidway breaks the source after every octet, against a
// server that takes the end of the stream for the end of the message.
func TestTransmitBodyFailsMidway(t *testing.T) {
	t.Parallel()
	for k := range text {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			defer conn.Close()
			io.WriteString(conn, "220 lax\r\n")
			buf := make([]byte, 4096)
			for _, answer := range []string{"250 lax\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"} {
				conn.Read(buf)
				io.WriteString(conn, answer)
			}
			_, err = io.Copy(io.Discard, conn)
			ended <- err
		}()
		g := mail.Gateway{Address: l.Addr().String(), TLS: mail.TLSNone}
		s := connect(t, g)
		broken := errors.New("medium gone")
		o := s.Transmit(t.Context(), delivery(t), io.MultiReader(strings.NewReader(text[:k]), failing{broken}), func() error { t.Error("armed"); return nil })
		if o.State != mail.OutcomeDeferred || !errors.Is(o.Err, broken) {
			t.Errorf("after %d octets: %+v", k, o)
		}
		if s.Close() != nil {
			t.Error("close")
		}
		if err := <-ended; err == nil {
			t.Errorf("after %d octets: the stream ended in order, as after a whole message", k)
		}
		l.Close()
	}
}

func TestTransmitArmFails(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := connect(t, g.client())
	broken := errors.New("disk full")
	o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { return broken })
	if o.State != mail.OutcomeDeferred || !errors.Is(o.Err, broken) || s.Usable() {
		t.Errorf("%+v", o)
	}
	if messages, _ := g.seen(); len(messages) != 0 {
		t.Errorf("server has %q", messages)
	}
}

func TestTransmitNothingSent(t *testing.T) {
	t.Parallel()
	g := &gateway{caps: []string{"SIZE 29"}}
	s := connect(t, g.client())
	big, noID, noTo := delivery(t), delivery(t), delivery(t)
	noID.MessageID, noTo.To = "", mail.Address{}
	for want, d := range map[string]mail.Delivery{mail.CodeTooLarge: big, mail.CodeContent: noID, mail.CodeAddress: noTo} {
		o := s.Transmit(t.Context(), d, strings.NewReader(text), func() error { t.Error("armed"); return nil })
		if o.State != mail.OutcomeRejected || code(o.Err) != want || !s.Usable() {
			t.Errorf("%s: %+v", want, o)
		}
	}
	if _, commands := g.seen(); len(commands) != 1 {
		t.Errorf("commands %q", commands)
	}
}

func TestTransmitCancelled(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"before", "body", "arming", "after_dot"} {
		g := &gateway{}
		ctx, cancel := context.WithCancel(t.Context())
		c := g.client()
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := g.dial(ctx, network, address)
			return hook{conn, func(p []byte) {
				if place == "after_dot" && string(p) == ".\r\n" {
					cancel()
				}
			}}, err
		}
		s := connect(t, c)
		body := io.Reader(strings.NewReader(text))
		switch place {
		case "before":
			cancel()
		case "body":
			body = io.MultiReader(strings.NewReader(text[:12]), call(cancel), strings.NewReader(text[12:]))
		}
		armed := false
		o := s.Transmit(ctx, delivery(t), body, func() error {
			armed = true
			if place == "arming" {
				cancel()
			}
			return nil
		})
		messages, _ := g.seen()
		switch place {
		case "before", "body":
			if o.State != mail.OutcomeDeferred || !errors.Is(o.Err, context.Canceled) || armed || len(messages) != 0 || s.Usable() {
				t.Errorf("%s: %+v", place, o)
			}
		default:
			if o.State != mail.OutcomeAccepted || len(messages) != 1 || !s.Usable() {
				t.Errorf("%s: %+v", place, o)
			}
		}
		cancel()
	}
}

// TestTransmitStalledReader: a gateway that stops reading cannot hold us.
func TestTransmitStalledReader(t *testing.T) {
	t.Parallel()
	g := &gateway{replies: map[string]string{"DATA": "354 go\r\n"}}
	c := g.client()
	c.Timeouts.Block, c.Timeouts.Quit = 50*time.Millisecond, 50*time.Millisecond
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			io.WriteString(server, "220 x\r\n")
			buf := make([]byte, 4096)
			for _, answer := range []string{"250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"} {
				server.Read(buf)
				io.WriteString(server, answer)
			}
		}()
		return client, nil
	}
	s := connect(t, c)
	o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { t.Error("armed"); return nil })
	if o.State != mail.OutcomeDeferred || code(o.Err) != mail.CodeTimeout {
		t.Errorf("%+v", o)
	}
}

// cutConn ends the connection after so many octets in one direction.
type cutConn struct {
	net.Conn
	read, written *atomic.Int64
}

func (c cutConn) Read(p []byte) (int, error) {
	left := c.read.Load()
	if left <= 0 {
		c.Conn.Close()
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.read.Add(int64(-n))
	return n, err
}

func (c cutConn) Write(p []byte) (int, error) {
	left := c.written.Load()
	if int64(len(p)) <= left {
		n, err := c.Conn.Write(p)
		c.written.Add(int64(-n))
		return n, err
	}
	n, _ := c.Conn.Write(p[:left])
	c.written.Store(0)
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// TestTransmitCutEverywhere drops the connection after every octet of a
// session, in both directions, and compares what the sender says with what the
// server has.
func TestTransmitCutEverywhere(t *testing.T) {
	t.Parallel()
	for _, caps := range [][]string{nil, {"PIPELINING", "DSN", "SIZE 1000"}} {
		for _, direction := range []string{"read", "write"} {
			states := map[mail.OutcomeState]int{}
			whole := 0
			for cut := int64(0); ; cut++ {
				g := &gateway{caps: caps}
				var read, written atomic.Int64
				read.Store(1 << 30)
				written.Store(1 << 30)
				limit := &read
				if direction == "write" {
					limit = &written
				}
				limit.Store(cut)
				c := g.client()
				served := make(chan struct{})
				c.Dial = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() { defer close(served); g.serve(server) }()
					return cutConn{client, &read, &written}, nil
				}
				o := mail.Outcome{State: mail.OutcomeDeferred}
				armed := false
				s, err := mail.Connect(t.Context(), c)
				if err == nil {
					o = s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { armed = true; return nil })
					s.Close()
				}
				<-served
				messages, _ := g.seen()
				states[o.State]++
				switch {
				case o.State == mail.OutcomeAccepted && len(messages) != 1,
					o.State == mail.OutcomeDeferred && len(messages) != 0,
					o.State == mail.OutcomeDoubt && !armed,
					o.State == mail.OutcomeRejected,
					len(messages) > 0 && messages[0] != text:
					t.Fatalf("%s cut after %d: %s (%v), armed %v, server has %q", direction, cut, o.State, o.Err, armed, messages)
				}
				if o.State == mail.OutcomeAccepted {
					if whole++; whole > 10 {
						break
					}
				}
			}
			if states[mail.OutcomeDoubt] == 0 || states[mail.OutcomeDeferred] < 50 {
				t.Errorf("%s: %v: the cuts missed a state", direction, states)
			}
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for _, mode := range []mail.TLSMode{mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			refuse := map[string]*smtp.SMTPError{}
			server := start(t, loopback.Options{
				TLS: mode, Username: "persandian", Password: "rahasia sekali", MaxSize: 1 << 20, Dir: t.TempDir(),
				Hook: func(stage, _ string) *smtp.SMTPError { return refuse[stage] },
			})
			g := mail.Gateway{Address: server.Addr(), TLS: mode, RootCAs: roots(t, server.CAPEM()), EHLO: "desk.contoh.test", Username: "persandian", Password: password("salah")}
			if _, err := mail.Connect(t.Context(), g); code(err) != mail.CodeAuth {
				t.Errorf("wrong password: %v", err)
			}
			g.Password = password("rahasia sekali")
			s := connect(t, g)
			msg := composed(t)
			d := delivery(t)
			d.Size = int64(len(msg))
			for i := range 3 {
				o := s.Transmit(t.Context(), d, strings.NewReader(msg), func() error { return nil })
				if o.State != mail.OutcomeAccepted || !o.DSN || o.QueueID != fmt.Sprintf("%04d", i+1) || bytes.Contains(o.Dialogue, []byte("rahasia")) {
					t.Fatalf("%+v\n%s", o, o.Dialogue)
				}
			}
			want := loopback.Accepted{
				From: "a=b@contoh.test", To: "c+d@contoh.test", EnvelopeID: "0123", Size: d.Size, Return: "HDRS",
				Notify: []string{"SUCCESS", "FAILURE"}, QueueID: "0001", Data: []byte(msg),
			}
			if d := cmp.Diff(want, server.Messages()[0]); d != "" {
				t.Error(d)
			}
			for stage, e := range map[string]*smtp.SMTPError{
				"mail": {Code: 451, Message: "later"}, "rcpt": {Code: 550, Message: "unknown"},
				"data": {Code: 554, Message: "no"}, "dot": {Code: 452, Message: "full"},
			} {
				refuse[stage] = e
				o := s.Transmit(t.Context(), d, strings.NewReader(msg), func() error { return nil })
				state := map[bool]mail.OutcomeState{true: mail.OutcomeDeferred, false: mail.OutcomeRejected}[e.Code < 500]
				if o.State != state || o.Reply.Code != e.Code || !s.Usable() {
					t.Errorf("%s: %+v", stage, o)
				}
				delete(refuse, stage)
			}
			if n := len(server.Messages()); n != 3 {
				t.Errorf("server has %d messages", n)
			}
			d.Size = 1<<20 + 1
			if o := s.Transmit(t.Context(), d, strings.NewReader(msg), nil); code(o.Err) != mail.CodeTooLarge {
				t.Errorf("%+v", o)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSmtpSink delivers to the test server of the Postfix project.
func TestSmtpSink(t *testing.T) {
	t.Parallel()
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		t.Skip("smtp-sink is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), sink, "-u", "nobody", addr, "16")
	if err := cmd.Start(); err != nil {
		t.Skipf("smtp-sink does not start: %v", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var s *mail.Session
	for range 200 {
		if s, err = mail.Connect(t.Context(), mail.Gateway{Address: addr, TLS: mail.TLSNone, EHLO: "desk.contoh.test"}); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Skipf("smtp-sink does not answer: %v", err)
	}
	defer s.Close()
	msg := composed(t)
	d := delivery(t)
	d.Size = int64(len(msg))
	for range 5 {
		if o := s.Transmit(t.Context(), d, strings.NewReader(msg), func() error { return nil }); o.State != mail.OutcomeAccepted {
			t.Fatalf("%+v\n%s", o, o.Dialogue)
		}
	}
}
