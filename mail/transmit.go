package mail

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Delivery is one message to one recipient. Size is the number of octets of the
// message; 0 means not known. A body of another size is never sent whole.
type Delivery struct {
	From, To  Address
	MessageID string
	Size      int64
}

// OutcomeState is what is known after a transmission.
type OutcomeState string

// The states. Doubt means that the gateway may or may not have the message; it
// is for a person to find out, never for a retry.
const (
	OutcomeAccepted OutcomeState = "accepted"
	OutcomeRejected OutcomeState = "rejected"
	OutcomeDeferred OutcomeState = "deferred"
	OutcomeDoubt    OutcomeState = "doubt"
)

// Outcome is the result of one transmission. Stage is how far it came. Reply is
// the reply that decided, zero if none did. DSN tells that delivery notices
// were asked for. Dialogue is the conversation of session and transmission for
// the record, LF, without secrets and without the message. Err is nil for
// accepted; else an *[Error], or the error of arm wrapped.
type Outcome struct {
	State    OutcomeState
	Stage    string
	Reply    Reply
	QueueID  string
	DSN      bool
	Dialogue []byte
	Err      error
}

// Transmit delivers one message: MAIL, RCPT, DATA, the body with dots doubled,
// then arm, then the final dot and its reply.
//
// arm is called once at most, after the last octet of the body was handed to
// the connection and before the dot; the caller makes "armed" durable in it. A
// crash before it leaves a message that no gateway may take; a crash after it
// leaves doubt.
//
//   - Before the dot every failure, also of body, arm and ctx, is deferred (5xx
//     replies: rejected), and inside DATA the connection is dropped without a
//     further octet.
//   - After the dot a whole 2xx, 4xx or 5xx reply gives accepted, deferred or
//     rejected. All else is doubt, also a reply whose enhanced status code says
//     the opposite of its code. ctx counts no longer; the wait is bounded by
//     Timeouts.Dot.
//   - A refused MAIL, RCPT or DATA is followed by RSET and leaves the session
//     usable, unless the reply was 421.
//   - A body that is not made of 7-bit lines of at most 998 octets with CRLF, or
//     has not Delivery.Size octets, is broken off with code mail.content.
func (s *Session) Transmit(ctx context.Context, d Delivery, body io.Reader, arm func() error) Outcome {
	s.log.take()
	o := s.transmit(ctx, d, body, arm)
	o.Dialogue = append(bytes.Clone(s.opening), s.log.take()...)
	return o
}

func (s *Session) transmit(ctx context.Context, d Delivery, body io.Reader, arm func() error) Outcome {
	switch {
	case d.From == (Address{}) || d.To == (Address{}):
		return Outcome{State: OutcomeRejected, Stage: StageMail, Err: fault(CodeAddress, StageMail, "no address")}
	case !validMessageID(d.MessageID):
		return Outcome{State: OutcomeRejected, Stage: StageMail, Err: fault(CodeContent, StageMail, "Message-ID not of the form name@domain")}
	case s.caps.MaxSize > 0 && d.Size > s.caps.MaxSize:
		return Outcome{State: OutcomeRejected, Stage: StageMail, Err: fault(CodeTooLarge, StageMail,
			fmt.Sprintf("message of %d octets, gateway takes %d", d.Size, s.caps.MaxSize))}
	case !s.Usable():
		return deferred(fault(CodeConnect, StageMail, "session at its end"))
	}

	stop := context.AfterFunc(ctx, s.cut)
	o, ok := s.envelope(d)
	if ok {
		o, ok = s.body(d, body)
	}
	if !stop() {
		// The connection is cut, or just being cut; what went wrong before is
		// not worth more than the reason.
		s.abort()
		if !ok && o.State == OutcomeRejected {
			return o
		}
		return deferred(lost(o.Stage, context.Cause(ctx)))
	}
	if !ok {
		return o
	}
	return s.finish(arm)
}

// deferred is the outcome for an error before the dot.
func deferred(e *Error) Outcome {
	o := Outcome{State: OutcomeDeferred, Stage: e.Stage, Err: e}
	if e.Reply != nil {
		o.Reply = *e.Reply
	}
	return o
}

// refusedBy is the outcome for a whole reply before the dot that is not the one
// wanted.
func refusedBy(stage string, r Reply) Outcome {
	o := deferred(refusal(stage, r))
	if r.class() == 5 {
		o.State = OutcomeRejected
	}
	return o
}

// envelope says from whom and to whom and asks to send the message: true when
// the gateway waits for it. A gateway that takes commands together gets the
// three in one turn, DATA last (RFC 2920 §3.1).
func (s *Session) envelope(d Delivery) (Outcome, bool) {
	commands := []command{
		{StageMail, s.mailFrom(d), s.timeouts.Command},
		{StageRcpt, s.rcptTo(d), s.timeouts.Command},
		{StageData, "DATA", s.timeouts.Data},
	}
	for i, c := range commands {
		behind := commands[i+1:]
		switch {
		case !s.caps.Pipelining:
			s.send(c.line, c.line)
			behind = nil
		case i == 0:
			for _, c := range commands {
				s.send(c.line, c.line)
			}
		}
		if err := s.out.Flush(); err != nil {
			s.abort()
			return deferred(lost(c.stage, err)), false
		}
		r, err := s.reply(c.stage, c.timeout)
		if err != nil {
			return s.fail(err)
		}
		if !c.granted(r) {
			return s.refuse(c.stage, r, behind)
		}
	}
	return Outcome{}, true
}

// command is one of those that precede a message.
type command struct {
	stage, line string
	timeout     time.Duration
}

func (c command) granted(r Reply) bool {
	if c.stage == StageData {
		return r.Code == 354
	}
	return r.class() == 2
}

func (s *Session) fail(err error) (Outcome, bool) {
	s.abort()
	var e *Error
	errors.As(err, &e)
	return deferred(e), false
}

// refuse ends a transaction before its data began; the replies to what was sent
// behind the refused command are on their way and mean nothing. But a gateway
// that does not refuse DATA then is left: only the dot would end what it waits
// for, and the dot says that a message was sent.
func (s *Session) refuse(stage string, r Reply, behind []command) (Outcome, bool) {
	if c := r.class(); c != 4 && c != 5 || r.Code == 421 {
		s.abort()
	}
	for _, c := range behind {
		if !s.Usable() {
			break
		}
		if r, err := s.reply(c.stage, c.timeout); err != nil || r.Code == 421 || r.class() == 3 || c.stage == StageData && r.class() == 2 {
			s.abort()
		}
	}
	if s.Usable() {
		if r, err := s.command(stage, s.timeouts.Command, "RSET", "RSET"); err != nil || r.class() != 2 || s.in.Buffered() > 0 {
			s.abort()
		}
	}
	return refusedBy(stage, r), false
}

func (s *Session) mailFrom(d Delivery) string {
	line := "MAIL FROM:<" + d.From.String() + ">"
	if s.size && d.Size > 0 {
		line += fmt.Sprintf(" SIZE=%d", d.Size)
	}
	if s.caps.DSN {
		line += " RET=HDRS ENVID=" + xtext(EnvelopeID(d.MessageID))
	}
	return line
}

func (s *Session) rcptTo(d Delivery) string {
	line := "RCPT TO:<" + d.To.String() + ">"
	if s.caps.DSN {
		line += " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;" + xtext(d.To.String())
	}
	return line
}

// xtext encodes a parameter value (RFC 3461 §4).
func xtext(s string) string {
	return strings.NewReplacer("+", "+2B", "=", "+3D").Replace(s)
}

// body sends the message and returns true when all of it has been handed to
// the connection and the gateway has kept silent. From here on nothing but
// body octets may be written.
func (s *Session) body(d Delivery, body io.Reader) (Outcome, bool) {
	s.watch = nil
	if s.in.Buffered() > 0 {
		return s.early()
	}
	if err := s.listen(); err != nil {
		return s.fail(lost(StageBody, err))
	}
	size, err := s.copyBody(body)
	var e *Error
	switch {
	case errors.Is(err, errSpoke):
		return s.early()
	case errors.As(err, &e):
		s.abort()
		return deferred(e), false
	case err != nil:
		// The connection failed while writing: the reason may lie unread.
		o, _ := s.early()
		if o.Reply.Code == 0 {
			o = deferred(lost(StageBody, err))
		}
		return o, false
	case d.Size > 0 && size != d.Size:
		s.abort()
		return deferred(fault(CodeContent, StageBody, fmt.Sprintf("message of %d octets, not %d", size, d.Size))), false
	}
	if !s.quiet() {
		return s.early()
	}
	s.log.note(fmt.Sprintf("%d octets", size))
	return Outcome{Stage: StageBody}, true
}

var errSpoke = errors.New("gateway spoke before the end of the data")

// listen starts a watcher. A gateway that speaks before the dot is refusing,
// leaving or lying; the watcher sees it while we write. It ends with the first
// octet, with the connection, or with quiet.
func (s *Session) listen() error {
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	watch := make(chan struct{})
	s.watch = watch
	go func(in *bufio.Reader) {
		_, s.heard = in.Peek(1)
		close(watch)
	}(s.in)
	return nil
}

// quiet ends the watcher and reports that the gateway has said nothing. A
// deadline in the past wakes the watcher; what it has read by then counts.
func (s *Session) quiet() bool {
	if s.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	<-s.watch
	ne := net.Error(nil)
	return s.in.Buffered() == 0 && errors.As(s.heard, &ne) && ne.Timeout()
}

// early reads what a gateway said before the dot, and drops the connection.
func (s *Session) early() (Outcome, bool) {
	defer s.abort()
	// What is unread is here already or was lost with the connection; the
	// deadline is for a reply that drips.
	s.conn.SetReadDeadline(time.Now().Add(s.timeouts.Quit))
	if s.watch != nil {
		<-s.watch
	}
	r, err := ParseReply(s.in)
	if err != nil {
		return deferred(lost(StageBody, err)), false
	}
	s.log.server(r)
	if c := r.class(); c != 4 && c != 5 {
		return deferred(answered(CodeProtocol, StageBody, r)), false
	}
	return refusedBy(StageBody, r), false
}

// copyBody sends the body with dots doubled and flushes. Errors of the body are
// *Error, those of the connection are not.
func (s *Session) copyBody(body io.Reader) (int64, error) {
	if s.buf == nil {
		s.buf = make([]byte, 64<<10)
	}
	size, err := eachBlock(body, s.buf, func(block []byte) error {
		select {
		case <-s.watch:
			return errSpoke
		default:
		}
		return stuff(s.out, block)
	})
	if err != nil {
		return size, err
	}
	return size, s.out.Flush()
}

// stuff writes whole CRLF lines, doubling a dot at the beginning of a line
// (RFC 5321 §4.5.2).
func stuff(out *bufio.Writer, block []byte) error {
	if block[0] == '.' {
		out.WriteByte('.')
	}
	for {
		i := bytes.Index(block, []byte("\n."))
		if i < 0 {
			_, err := out.Write(block)
			return err
		}
		out.Write(block[:i+2])
		block = block[i+1:]
	}
}

// finish arms, sends the dot and reads the reply to it.
func (s *Session) finish(arm func() error) Outcome {
	if err := s.listen(); err != nil {
		o, _ := s.fail(lost(StageBody, err))
		return o
	}
	if err := arm(); err != nil {
		s.abort()
		return Outcome{State: OutcomeDeferred, Stage: StageBody, Err: fmt.Errorf("arming: %w", err)}
	}
	if !s.quiet() {
		// Still no dot: certainly not taken.
		o, _ := s.early()
		return o
	}
	err := s.conn.SetReadDeadline(time.Now().Add(s.timeouts.Dot))
	if err == nil {
		err = s.conn.SetWriteDeadline(time.Now().Add(s.timeouts.Block))
	}
	if err != nil {
		o, _ := s.fail(lost(StageBody, err))
		return o
	}
	// The only place that ends a message. Even a failed write may have brought
	// the dot to the gateway.
	if _, err := io.WriteString(s.conn, ".\r\n"); err != nil {
		s.abort()
		return doubt(lost(StageDot, err))
	}
	s.log.client(".")
	r, err := s.read(StageDot)
	if err != nil {
		s.abort()
		var e *Error
		errors.As(err, &e)
		return doubt(e)
	}
	if s.in.Buffered() > 0 || r.Code == 421 {
		s.abort()
	}
	o := Outcome{Stage: StageDot, Reply: r, DSN: s.caps.DSN}
	switch class := r.class(); {
	case s.caps.EnhancedCodes && contradicts(r):
		// "250 5.7.1 refused", "550 2.0.0 queued": one of the two is wrong, and
		// we cannot know which.
		s.abort()
		o = doubt(answered(CodeProtocol, StageDot, r))
	case class == 2:
		o.State, o.QueueID = OutcomeAccepted, queueID(r)
	case class == 4 || class == 5:
		o = refusedBy(StageDot, r)
	default:
		s.abort()
		o = doubt(answered(CodeProtocol, StageDot, r))
	}
	return o
}

func doubt(e *Error) Outcome {
	o := Outcome{State: OutcomeDoubt, Stage: StageDot, Err: e}
	if e.Reply != nil {
		o.Reply = *e.Reply
	}
	return o
}

// eachBlock reads a message and hands it out in blocks of whole lines, after
// checking them: CRLF, at most 998 octets before it, 7-bit, no NUL and no other
// CR or LF. buf is the working space, larger than a line. What is wrong with
// the message is an *Error with code mail.content, a failing reader one that
// wraps its error; errors of block are returned as they are.
func eachBlock(r io.Reader, buf []byte, block func([]byte) error) (size int64, err error) {
	have, idle := 0, 0
	for {
		n, rerr := r.Read(buf[have:])
		have += n
		size += int64(n)
		if n > 0 {
			idle = 0
			end := bytes.LastIndexByte(buf[:have], '\n') + 1
			if have-end > maxLine+1 {
				return size, fault(CodeContent, StageBody, "line longer than 998 octets")
			}
			if end > 0 {
				if err := checkLines(buf[:end]); err != nil {
					return size, err
				}
				if err := block(buf[:end]); err != nil {
					return size, err
				}
				have = copy(buf, buf[end:have])
			}
		}
		switch {
		case rerr == io.EOF:
			if have > 0 || size == 0 {
				return size, fault(CodeContent, StageBody, "message that does not end in a line end")
			}
			return size, nil
		case rerr != nil:
			return size, &Error{code: CodeContent, Stage: StageBody, Err: fmt.Errorf("message source: %w", rerr)}
		case n == 0:
			if idle++; idle > 100 {
				return size, &Error{code: CodeContent, Stage: StageBody, Err: io.ErrNoProgress}
			}
		}
	}
}

// maxLine is the limit of RFC 5321 §4.5.3.1.6 without the CRLF.
const maxLine = 998

// checkLines checks p, which ends in LF.
func checkLines(p []byte) error {
	if !plain(p) {
		return fault(CodeContent, StageBody, "NUL or 8-bit octet")
	}
	// A CR before every LF, and no more CRs than that: counting is faster than
	// looking for one in every line.
	returns := bytes.Count(p, carriageReturn)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		switch {
		case i == 0 || p[i-1] != '\r':
			return fault(CodeContent, StageBody, "bare line feed")
		case i-1 > maxLine:
			return fault(CodeContent, StageBody, "line longer than 998 octets")
		}
		returns--
		p = p[i+1:]
	}
	if returns != 0 {
		return fault(CodeContent, StageBody, "bare carriage return")
	}
	return nil
}

var carriageReturn = []byte{'\r'}

// plain reports that p holds neither NUL nor octets above 127, eight at a time.
func plain(p []byte) bool {
	const high, ones = 0x8080808080808080, 0x0101010101010101
	for ; len(p) >= 8; p = p[8:] {
		v := binary.LittleEndian.Uint64(p)
		if v&high != 0 || (v-ones)&^v&high != 0 {
			return false
		}
	}
	for _, c := range p {
		if c == 0 || c >= 0x80 {
			return false
		}
	}
	return true
}
