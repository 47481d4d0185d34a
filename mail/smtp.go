package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// Stages of a session, as they stand in [Error] and [Outcome].
const (
	StageConnect  = "connect"
	StageEHLO     = "ehlo"
	StageSTARTTLS = "starttls"
	StageAuth     = "auth"
	StageMail     = "mail"
	StageRcpt     = "rcpt"
	StageData     = "data"
	StageBody     = "body"
	StageDot      = "dot"
)

// Timeouts bound each wait. Zero fields take the values of RFC 5321 §4.5.3.2.
type Timeouts struct {
	Connect  time.Duration // TCP connection; 1 minute, RFC 5321 names none
	Greeting time.Duration // whole greeting; 5 minutes
	Command  time.Duration // whole reply to EHLO, AUTH, MAIL, RCPT, RSET, TLS handshake; 5 minutes
	Data     time.Duration // 354; 2 minutes
	Block    time.Duration // one write of at most 64 KiB; 3 minutes
	Dot      time.Duration // reply to the final dot; 10 minutes
	Quit     time.Duration // all of QUIT, or what a gateway says that broke off; 5 seconds
}

func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Connect, time.Minute)
	set(&t.Greeting, 5*time.Minute)
	set(&t.Command, 5*time.Minute)
	set(&t.Data, 2*time.Minute)
	set(&t.Block, 3*time.Minute)
	set(&t.Dot, 10*time.Minute)
	set(&t.Quit, 5*time.Second)
	return t
}

// Gateway says where to submit and how. EHLO is the name to greet with; empty
// means the address of our end as a literal. Password is asked once for a
// session, after TLS is verified, and only when Username is set. RootCAs nil
// means those of the system. Certificates are ours, for a gateway that asks for
// one; when it then offers EXTERNAL (RFC 4422 appendix A), that is the login and
// no password leaves. Pins are SHA-256 digests of SubjectPublicKeyInfo;
// if there are any, one key of the verified chain must be among them, so that the
// next key of the gateway can be planned beside the one in use. Now is
// the clock for certificates only, nil means time.Now. Dial nil means a
// net.Dialer; its connections must support deadlines.
type Gateway struct {
	Address  string
	TLS      TLSMode
	EHLO     string
	Username string
	Password func(context.Context) (string, error)
	RootCAs  *x509.CertPool
	Pins     [][32]byte

	Certificates []tls.Certificate
	Timeouts     Timeouts
	Now          func() time.Time
	Dial         func(ctx context.Context, network, address string) (net.Conn, error)
}

// Capabilities are what the gateway offered after TLS. MaxSize is in octets, 0
// when not known.
type Capabilities struct {
	MaxSize       int64
	DSN           bool
	Pipelining    bool
	EnhancedCodes bool
	Auth          []string
	Extensions    []string // every line of the greeting, as offered
}

// Session is an open, logged-in connection to a gateway. It is not safe for
// concurrent use.
type Session struct {
	raw      net.Conn // TCP; closed directly to break off, so that nothing buffered follows
	conn     net.Conn // raw, or TLS over it
	in       *bufio.Reader
	out      *bufio.Writer
	buf      []byte          // of the body
	watch    <-chan struct{} // closed when the watcher of a body has ended
	heard    error           // why, once watch is closed; nil: an octet came
	timeouts Timeouts
	caps     Capabilities
	startTLS bool // offered
	size     bool // SIZE offered, perhaps without a number
	peer     Peer
	log      dialogue
	opening  []byte // dialogue up to the login
	broken   bool
	closed   bool
}

// Connect opens a session: connection, TLS, greeting, EHLO, STARTTLS and EHLO
// again, login. The error is an *[Error]: code mail.tls or mail.no_starttls when
// the protection is not there, mail.auth when the login was refused for good
// (never try the same password again by itself), mail.deferred and mail.refused
// for other 4xx and 5xx replies, mail.connect, mail.timeout, mail.protocol.
// Nothing was submitted in any of these cases. Cancelling ctx ends Connect, not
// the session.
func Connect(ctx context.Context, g Gateway) (*Session, error) {
	host, err := g.host()
	if err != nil {
		return nil, err
	}
	if g.EHLO != "" && !validDomain(g.EHLO) && !addressLiteral(g.EHLO) {
		return nil, fault(CodeAddress, StageEHLO, "greeting name not a domain name")
	}
	s := &Session{timeouts: g.Timeouts.withDefaults()}
	if err := s.dial(ctx, &g); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, s.cut)
	err = s.open(ctx, &g, host)
	if !stop() && err == nil {
		err = lost(StageConnect, context.Cause(ctx))
	}
	if err != nil {
		s.abort()
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{code: CodeConnect, Stage: StageConnect, Err: err}
		}
		if cause := context.Cause(ctx); cause != nil {
			e = lost(e.Stage, cause)
		}
		e.Dialogue = s.log.take()
		return nil, e
	}
	s.opening = s.log.take()
	return s, nil
}

// host is the name that the certificate must bear. An address that names no
// port and a mode that would show the password to the network are refused.
func (g *Gateway) host() (string, error) {
	host, port, err := net.SplitHostPort(g.Address)
	if err != nil || host == "" || port == "" {
		return "", fault(CodeConnect, StageConnect, "server address not host:port")
	}
	switch g.TLS {
	case TLSImplicit, TLSStartTLS:
	case TLSNone:
		if !LoopbackHost(host) {
			return "", errBare()
		}
	default:
		return "", fault(CodeTLS, StageConnect, "TLS mode not known")
	}
	return host, nil
}

// dial opens the connection, without TLS to this machine only, whatever its
// name resolved to.
func (g *Gateway) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	dial := g.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", g.Address)
	if err != nil {
		return nil, lost(StageConnect, err)
	}
	if g.TLS == TLSNone && !loopbackPeer(conn) {
		conn.Close()
		return nil, errBare()
	}
	return conn, nil
}

func errBare() error {
	return fault(CodeTLS, StageConnect, "no TLS to a host that is not this machine")
}

func (s *Session) dial(ctx context.Context, g *Gateway) error {
	conn, err := g.dial(ctx, s.timeouts.Connect)
	if err != nil {
		return err
	}
	s.raw = conn
	s.peer.Address = conn.RemoteAddr().String()
	s.use(conn)
	return nil
}

// use makes conn the connection that is read and written. What the reader
// before had buffered is dropped with it.
func (s *Session) use(conn net.Conn) {
	s.conn = conn
	s.in = bufio.NewReaderSize(conn, 4<<10)
	s.out = bufio.NewWriterSize(&timedWriter{conn, s.timeouts.Block}, 64<<10)
}

// timedWriter gives every write its own deadline: a gateway that stops reading
// cannot hold us.
type timedWriter struct {
	conn    net.Conn
	timeout time.Duration
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

func (s *Session) open(ctx context.Context, g *Gateway, host string) error {
	if g.TLS == TLSImplicit {
		if err := s.handshake(ctx, g, host, StageConnect); err != nil {
			return err
		}
	}
	greeting, err := s.reply(StageConnect, s.timeouts.Greeting)
	if err != nil {
		return err
	}
	if greeting.Code != 220 {
		return refusal(StageConnect, greeting)
	}
	name := g.EHLO
	if name == "" {
		name = literal(s.raw.LocalAddr())
	}
	if err := s.ehlo(name); err != nil {
		return err
	}
	if g.TLS == TLSStartTLS {
		if !s.startTLS {
			return fault(CodeNoSTARTTLS, StageSTARTTLS, "not offered")
		}
		r, err := s.command(StageSTARTTLS, s.timeouts.Command, "STARTTLS", "STARTTLS")
		if err != nil {
			return err
		}
		if r.Code != 220 {
			return answered(CodeNoSTARTTLS, StageSTARTTLS, r)
		}
		// Whatever came behind the reply was written by somebody who could write
		// without TLS (RFC 3207 §5; the command and response injections of 2021).
		if s.in.Buffered() > 0 {
			return fault(CodeTLS, StageSTARTTLS, "octets sent before TLS")
		}
		if err := s.handshake(ctx, g, host, StageSTARTTLS); err != nil {
			return err
		}
		if err := s.ehlo(name); err != nil {
			return err
		}
	}
	if len(g.Certificates) > 0 && g.TLS != TLSNone && slices.Contains(s.caps.Auth, sasl.External) {
		return s.external(g)
	}
	if g.Username == "" {
		return nil
	}
	return s.auth(ctx, g)
}

func (s *Session) handshake(ctx context.Context, g *Gateway, host, stage string) error {
	t, err := g.startTLS(ctx, s.raw, host, stage, s.timeouts.Command)
	if err != nil {
		return err
	}
	s.peer.describe(t.ConnectionState())
	s.log.note(s.peer.TLSVersion + " " + s.peer.CipherSuite)
	s.use(t)
	return nil
}

// ehlo greets and takes the capabilities, forgetting those of an earlier EHLO:
// what was offered before TLS counts for nothing (RFC 3207 §4.2).
func (s *Session) ehlo(name string) error {
	r, err := s.command(StageEHLO, s.timeouts.Command, "EHLO "+name, "EHLO "+name)
	if err != nil {
		return err
	}
	if r.Code != 250 {
		return refusal(StageEHLO, r)
	}
	s.caps, s.startTLS, s.size = Capabilities{}, false, false
	for _, line := range r.Lines[1:] {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s.caps.Extensions = append(s.caps.Extensions, strings.Join(words, " "))
		switch strings.ToUpper(words[0]) {
		case "SIZE":
			s.size = true
			if len(words) > 1 {
				if n, err := strconv.ParseInt(words[1], 10, 64); err == nil && n > 0 {
					s.caps.MaxSize = n
				}
			}
		case "DSN":
			s.caps.DSN = true
		case "PIPELINING":
			s.caps.Pipelining = true
		case "ENHANCEDSTATUSCODES":
			s.caps.EnhancedCodes = true
		case "STARTTLS":
			s.startTLS = true
		case "AUTH":
			for _, m := range words[1:] {
				s.caps.Auth = append(s.caps.Auth, strings.ToUpper(m))
			}
		}
	}
	return nil
}

// external logs in as whom our certificate names, or as Username where the
// gateway knows several for it.
func (s *Session) external(g *Gateway) error {
	identity := "="
	if g.Username != "" {
		identity = base64.StdEncoding.EncodeToString([]byte(g.Username))
	}
	r, err := s.command(StageAuth, s.timeouts.Command, "AUTH EXTERNAL "+identity, "AUTH EXTERNAL "+identity)
	return authenticated(r, err)
}

// authenticated judges the last reply of a login.
func authenticated(r Reply, err error) error {
	switch {
	case err != nil:
		return err
	case r.Code == 235:
		return nil
	case r.class() == 5:
		return answered(CodeAuth, StageAuth, r)
	}
	return refusal(StageAuth, r)
}

// auth logs in with PLAIN (RFC 4616), else LOGIN. It runs only on a verified
// TLS connection, or to a loopback address with TLSNone.
func (s *Session) auth(ctx context.Context, g *Gateway) error {
	mech := ""
	for _, m := range []string{sasl.Plain, sasl.Login} {
		for _, offered := range s.caps.Auth {
			if mech == "" && offered == m {
				mech = m
			}
		}
	}
	if mech == "" {
		return fault(CodeAuth, StageAuth, "no known login offered")
	}
	if g.Password == nil {
		return fault(CodeAuth, StageAuth, "no password")
	}
	password, err := g.Password(ctx)
	if err != nil {
		return &Error{code: CodeAuth, Stage: StageAuth, Err: fmt.Errorf("password: %w", err)}
	}
	if strings.Contains(g.Username+password, "\x00") {
		return fault(CodeAuth, StageAuth, "user name or password with NUL")
	}
	client := sasl.NewPlainClient("", g.Username, password)
	if mech == sasl.Login {
		client = sasl.NewLoginClient(g.Username, password)
	}
	_, initial, err := client.Start()
	if err != nil {
		return &Error{code: CodeAuth, Stage: StageAuth, Err: err}
	}
	line := "AUTH PLAIN " + base64.StdEncoding.EncodeToString(initial)
	if mech == sasl.Login {
		line = "AUTH LOGIN"
	}
	r, err := s.command(StageAuth, s.timeouts.Command, line, "AUTH "+mech+" ***")
	for step := 0; err == nil && r.Code == 334; step++ {
		var challenge, answer []byte
		challenge, cerr := base64.StdEncoding.DecodeString(strings.Join(r.Lines, ""))
		switch {
		case cerr != nil:
		case mech == sasl.Login && step == 0 && bytes.HasPrefix(bytes.ToLower(challenge), []byte("user")):
			answer = initial
		case mech == sasl.Login && step == 1:
			answer, cerr = client.Next(challenge)
		default:
			cerr = sasl.ErrUnexpectedServerChallenge
		}
		if cerr != nil {
			return &Error{code: CodeAuth, Stage: StageAuth, Err: errors.New("login prompt not known")}
		}
		r, err = s.command(StageAuth, s.timeouts.Command, base64.StdEncoding.EncodeToString(answer), "***")
	}
	return authenticated(r, err)
}

// refusal is the error for a whole reply that is not the one wanted.
func refusal(stage string, r Reply) *Error {
	switch r.class() {
	case 4:
		return answered(CodeDeferred, stage, r)
	case 5:
		return answered(CodeRefused, stage, r)
	}
	return answered(CodeProtocol, stage, r)
}

// send puts a command into the buffer; shown is what the record may hold of it.
func (s *Session) send(line, shown string) {
	s.log.client(shown)
	s.out.WriteString(line)
	s.out.WriteString("\r\n")
}

// command sends one command and reads its reply.
func (s *Session) command(stage string, timeout time.Duration, line, shown string) (Reply, error) {
	s.send(line, shown)
	if err := s.out.Flush(); err != nil {
		s.broken = true
		return Reply{}, lost(stage, err)
	}
	return s.reply(stage, timeout)
}

// reply reads a whole reply within timeout, however slowly it drips.
func (s *Session) reply(stage string, timeout time.Duration) (Reply, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		s.broken = true
		return Reply{}, lost(stage, err)
	}
	return s.read(stage)
}

// read reads a whole reply under the deadline that is set.
func (s *Session) read(stage string) (Reply, error) {
	r, err := ParseReply(s.in)
	if err != nil {
		s.broken = true
		e := lost(stage, err)
		s.log.note(e.Error())
		return Reply{}, e
	}
	s.log.server(r)
	return r, nil
}

// Capabilities returns what the gateway offered after TLS.
func (s *Session) Capabilities() Capabilities { return s.caps }

// Peer returns who answered.
func (s *Session) Peer() Peer { return s.peer }

// Usable reports whether another Transmit may be tried. It is false after any
// error of connection or protocol, any doubt, and after Close.
func (s *Session) Usable() bool { return !s.broken && !s.closed }

// Close ends the session: with QUIT when it is healthy, else by closing the
// connection. The reply to QUIT decides nothing.
func (s *Session) Close() error {
	if s.closed {
		return nil
	}
	if s.broken {
		s.closed = true
		s.raw.Close()
		return nil
	}
	s.closed = true
	deadline := time.Now().Add(s.timeouts.Quit)
	if s.conn.SetDeadline(deadline) == nil {
		if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil {
			ParseReply(s.in)
		}
	}
	return s.conn.Close()
}

// abort gives the session up.
func (s *Session) abort() {
	s.broken = true
	s.cut()
}

// cut drops the connection without a further octet, by reset where TCP allows:
// a careless server may take an orderly end of the stream for the end of the
// message. It is safe to call from another goroutine.
func (s *Session) cut() {
	if t, ok := s.raw.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	s.raw.Close()
}

// literal is the address literal of RFC 5321 §4.1.3.
func literal(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok {
		if v4 := t.IP.To4(); v4 != nil {
			return "[" + v4.String() + "]"
		}
		return "[IPv6:" + t.IP.String() + "]"
	}
	return "[127.0.0.1]"
}

func addressLiteral(s string) bool {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok || !strings.HasSuffix(inner, "]") {
		return false
	}
	return net.ParseIP(strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "IPv6:")) != nil
}

// dialogue is the record of a conversation: "C: " and "S: " lines, LF, without
// secrets and without the message. It is bounded; the gateway is not trusted.
type dialogue struct {
	b   bytes.Buffer
	cut bool
}

const maxDialogue = 24 << 10

func (d *dialogue) line(mark, text string) {
	if d.b.Len()+len(text) > maxDialogue {
		if !d.cut {
			d.cut = true
			d.b.WriteString("* cut\n")
		}
		return
	}
	d.b.WriteString(mark + text + "\n")
}

func (d *dialogue) client(text string) { d.line("C: ", text) }
func (d *dialogue) note(text string)   { d.line("* ", text) }

func (d *dialogue) server(r Reply) {
	for i, text := range r.Lines {
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		}
		d.line("S: ", strings.TrimRight(fmt.Sprintf("%03d%s%s", r.Code, sep, text), " "))
	}
}

// take returns the record and begins a new one.
func (d *dialogue) take() []byte {
	b := bytes.Clone(d.b.Bytes())
	d.b.Reset()
	d.cut = false
	return b
}
