package mail_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sandi/mail"
	"sandi/mail/loopback"
)

// gateway is a scripted server: it answers by the book unless told otherwise,
// and keeps every message that it saw the end of.
type gateway struct {
	// replies by verb ("greeting", "EHLO", "MAIL", …, "dot", "login" for the
	// lines after AUTH), sent as they are. The values "drop" and "stall" close
	// the connection or stay silent.
	replies map[string]string
	caps    []string
	tls     *tls.Config
	tlsCaps []string // after STARTTLS
	// behind is the reply to DATA after a refused command; "" is 503.
	behind string

	mu       sync.Mutex
	messages []string
	commands []string
}

func (g *gateway) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go g.serve(server)
	return client, nil
}

// dialTCP is dial over a socket, which holds what was written before it is read.
func (g *gateway) dialTCP(ctx context.Context, _, _ string) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	client, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	server, err := l.Accept()
	if err != nil {
		return nil, err
	}
	go g.serve(server)
	return client, nil
}

func (g *gateway) log(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commands = append(g.commands, line)
}

func (g *gateway) seen() (messages, commands []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.messages...), append([]string(nil), g.commands...)
}

func (g *gateway) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	in := bufio.NewReader(conn)
	say := func(verb, text string) bool {
		if r, ok := g.replies[verb]; ok {
			text = r
		}
		switch text {
		case "drop":
			return false
		case "stall":
			io.Copy(io.Discard, conn) // until the client gives up
			return false
		}
		_, err := io.WriteString(conn, text)
		return err == nil
	}
	if !say("greeting", "220 test ESMTP\r\n") {
		return
	}
	caps := g.caps
	refused := false // MAIL or RCPT
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		g.log(line)
		verb, _, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			if !say("EHLO", "250-test\r\n"+lines("250-", caps)+"250 HELP\r\n") {
				return
			}
		case "STARTTLS":
			if !say("STARTTLS", "220 go\r\n") {
				return
			}
			if g.tls != nil {
				t := tls.Server(conn, g.tls)
				if t.Handshake() != nil {
					return
				}
				conn, in, caps = t, bufio.NewReader(t), g.tlsCaps
			}
		case "AUTH":
			if !say("AUTH", "235 2.7.0 ok\r\n") {
				return
			}
			for strings.HasPrefix(g.replies["AUTH"], "334") {
				answer, err := in.ReadString('\n')
				if err != nil {
					return
				}
				g.log(strings.TrimSuffix(answer, "\r\n"))
				if !say("login", "235 ok\r\n") {
					return
				}
				if strings.HasPrefix(g.replies["login"], "334") {
					if answer, err = in.ReadString('\n'); err != nil {
						return
					}
					g.log(strings.TrimSuffix(answer, "\r\n"))
					say("", "235 ok\r\n")
				}
				break
			}
		case "DATA":
			if refused {
				if !say("DATA behind a refusal", cmp.Or(g.behind, "503 5.5.1 no valid recipient\r\n")) {
					return
				}
			} else if !say("DATA", "354 go\r\n") {
				return
			}
			if r := g.replies["DATA"]; refused && !strings.HasPrefix(g.behind, "354") || r != "" && !strings.HasPrefix(r, "354") {
				continue
			}
			var msg strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				msg.WriteString(strings.TrimPrefix(line, "."))
			}
			g.mu.Lock()
			g.messages = append(g.messages, msg.String())
			g.mu.Unlock()
			if !say("dot", "250 2.0.0 Ok: queued as 4XyZ\r\n") {
				return
			}
		case "QUIT":
			say("QUIT", "221 bye\r\n")
			return
		default:
			if r := g.replies[verb]; r != "" && r[0] != '2' {
				refused = true
			} else if verb == "RSET" {
				refused = false
			}
			if !say(verb, "250 ok\r\n") {
				return
			}
		}
	}
}

func lines(prefix string, words []string) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(prefix + w + "\r\n")
	}
	return b.String()
}

func (g *gateway) client() mail.Gateway {
	return mail.Gateway{Address: "127.0.0.1:25", TLS: mail.TLSNone, EHLO: "desk.contoh.test", Dial: g.dial, Timeouts: mail.Timeouts{
		Connect: time.Second, Greeting: 10 * time.Second, Command: 10 * time.Second, Data: 10 * time.Second, Block: 10 * time.Second, Dot: 10 * time.Second, Quit: time.Second,
	}}
}

func connect(t testing.TB, g mail.Gateway) *mail.Session {
	t.Helper()
	s, err := mail.Connect(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const text = "Subject: x\r\n\r\n.dot\r\n..\r\nline\r\n"

func delivery(t testing.TB) mail.Delivery {
	return mail.Delivery{
		From: address(t, "a=b@contoh.test"), To: address(t, "c+d@contoh.test"), MessageID: "0123@contoh.test", Size: int64(len(text)),
	}
}

func roots(t testing.TB, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}

func password(p string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return p, nil }
}

func start(t testing.TB, o loopback.Options) *loopback.Server {
	t.Helper()
	s, err := loopback.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	const auth = "AUTH PLAIN"
	user := func(c *mail.Gateway) { c.Username, c.Password = "u", password("secret") }
	short := func(c *mail.Gateway) {
		d := 20 * time.Millisecond
		c.Timeouts = mail.Timeouts{Connect: d, Greeting: d, Command: d}
	}
	starttls := func(c *mail.Gateway) { c.TLS = mail.TLSStartTLS }
	cases := []struct {
		name  string
		g     *gateway
		set   func(*mail.Gateway)
		code  string
		stage string
	}{
		{"no_port", &gateway{}, func(c *mail.Gateway) { c.Address = "localhost" }, mail.CodeConnect, "connect"},
		{"no_mode", &gateway{}, func(c *mail.Gateway) { c.TLS = "" }, mail.CodeTLS, "connect"},
		{"plain_to_far_host", &gateway{}, func(c *mail.Gateway) { c.Address = "192.0.2.1:25" }, mail.CodeTLS, "connect"},
		{"plain_to_far_name", &gateway{}, func(c *mail.Gateway) { c.Address = "mail.test:25" }, mail.CodeTLS, "connect"},
		{"name_injection", &gateway{}, func(c *mail.Gateway) { c.EHLO = "a\r\nMAIL FROM:<x@y>" }, mail.CodeAddress, "ehlo"},
		{"dial", &gateway{}, func(c *mail.Gateway) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unreachable") }
		}, mail.CodeConnect, "connect"},
		{"greeting_421", &gateway{replies: map[string]string{"greeting": "421 busy\r\n"}}, nil, mail.CodeDeferred, "connect"},
		{"greeting_554", &gateway{replies: map[string]string{"greeting": "554 no\r\n"}}, nil, mail.CodeRefused, "connect"},
		{"greeting_250", &gateway{replies: map[string]string{"greeting": "250 hm\r\n"}}, nil, mail.CodeProtocol, "connect"},
		{"greeting_drop", &gateway{replies: map[string]string{"greeting": "drop"}}, nil, mail.CodeConnect, "connect"},
		{"greeting_stall", &gateway{replies: map[string]string{"greeting": "stall"}}, short, mail.CodeTimeout, "connect"},
		{"greeting_huge", &gateway{replies: map[string]string{"greeting": strings.Repeat("2", 1<<20)}}, nil, mail.CodeProtocol, "connect"},
		{"greeting_http", &gateway{replies: map[string]string{"greeting": "HTTP/1.1 400\r\n"}}, nil, mail.CodeProtocol, "connect"},
		{"ehlo_451", &gateway{replies: map[string]string{"EHLO": "451 later\r\n"}}, nil, mail.CodeDeferred, "ehlo"},
		{"ehlo_504", &gateway{replies: map[string]string{"EHLO": "504 no\r\n"}}, nil, mail.CodeRefused, "ehlo"},
		{"ehlo_drop", &gateway{replies: map[string]string{"EHLO": "drop"}}, nil, mail.CodeConnect, "ehlo"},
		{"ehlo_half", &gateway{replies: map[string]string{"EHLO": "250-a\r\n"}}, short, mail.CodeTimeout, "ehlo"},
		{"ehlo_mixed", &gateway{replies: map[string]string{"EHLO": "250-a\r\n220 b\r\n"}}, nil, mail.CodeProtocol, "ehlo"},
		{"starttls_stripped", &gateway{caps: []string{"SIZE 1"}}, starttls, mail.CodeNoSTARTTLS, "starttls"},
		{"starttls_454", &gateway{caps: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "454 no\r\n"}}, starttls, mail.CodeNoSTARTTLS, "starttls"},
		{"starttls_injected", &gateway{caps: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"}}, starttls, mail.CodeTLS, "starttls"},
		{"starttls_late_injection", &gateway{caps: []string{"STARTTLS"}}, starttls, mail.CodeTLS, "starttls"},
		{"starttls_stall", &gateway{caps: []string{"STARTTLS"}, replies: map[string]string{"STARTTLS": "stall"}}, func(c *mail.Gateway) { starttls(c); short(c) }, mail.CodeTimeout, "starttls"},
		{"implicit_not_tls", &gateway{}, func(c *mail.Gateway) { c.TLS = mail.TLSImplicit }, mail.CodeTLS, "connect"},
		{"auth_not_offered", &gateway{}, user, mail.CodeAuth, "auth"},
		{"auth_unknown", &gateway{caps: []string{"AUTH CRAM-MD5 NTLM"}}, user, mail.CodeAuth, "auth"},
		{"auth_no_password", &gateway{caps: []string{auth}}, func(c *mail.Gateway) { c.Username = "u" }, mail.CodeAuth, "auth"},
		{"auth_nul", &gateway{caps: []string{auth}}, func(c *mail.Gateway) { user(c); c.Username = "u\x00v" }, mail.CodeAuth, "auth"},
		{"auth_prompt_failed", &gateway{caps: []string{auth}}, func(c *mail.Gateway) {
			user(c)
			c.Password = func(context.Context) (string, error) { return "", errors.New("no terminal") }
		}, mail.CodeAuth, "auth"},
		{"auth_535", &gateway{caps: []string{auth}, replies: map[string]string{"AUTH": "535 5.7.8 no\r\n"}}, user, mail.CodeAuth, "auth"},
		{"auth_454", &gateway{caps: []string{auth}, replies: map[string]string{"AUTH": "454 later\r\n"}}, user, mail.CodeDeferred, "auth"},
		{"auth_drop", &gateway{caps: []string{auth}, replies: map[string]string{"AUTH": "drop"}}, user, mail.CodeConnect, "auth"},
		{"auth_250", &gateway{caps: []string{auth}, replies: map[string]string{"AUTH": "250 ok\r\n"}}, user, mail.CodeProtocol, "auth"},
		{"auth_challenge_to_plain", &gateway{caps: []string{auth}, replies: map[string]string{"AUTH": "334 more\r\n"}}, user, mail.CodeAuth, "auth"},
		{"login_odd_prompt", &gateway{caps: []string{"AUTH LOGIN"}, replies: map[string]string{"AUTH": "334 UGFzc3dvcmQ6\r\n"}}, user, mail.CodeAuth, "auth"},
		{"login_odd_second_prompt", &gateway{caps: []string{"AUTH LOGIN"}, replies: map[string]string{"AUTH": "334 VXNlcm5hbWU6\r\n", "login": "334 T1RQOg==\r\n"}}, user, mail.CodeAuth, "auth"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := c.g.client()
			if c.set != nil {
				c.set(&g)
			}
			if c.name == "implicit_not_tls" {
				g.Dial = c.g.dialTCP
			}
			if c.name == "starttls_late_injection" {
				g.Dial = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						in := bufio.NewReader(server)
						io.WriteString(server, "220 x\r\n")
						in.ReadString('\n')
						io.WriteString(server, "250-x\r\n250 STARTTLS\r\n")
						in.ReadString('\n')
						io.WriteString(server, "220 go\r\n")
						in.ReadByte() // the handshake has begun
						go io.Copy(io.Discard, in)
						io.WriteString(server, "250 injected\r\n")
					}()
					return client, nil
				}
			}
			s, err := mail.Connect(t.Context(), g)
			var e *mail.Error
			if !errors.As(err, &e) || s != nil {
				t.Fatalf("connected: %v", err)
			}
			if e.Code() != c.code || e.Stage != c.stage {
				t.Errorf("got %s at %s (%v), want %s at %s", e.Code(), e.Stage, err, c.code, c.stage)
			}
			_, commands := c.g.seen()
			for _, secret := range []string{"secret", base64.StdEncoding.EncodeToString([]byte("secret")), base64.StdEncoding.EncodeToString([]byte("\x00u\x00secret"))} {
				if strings.Contains(err.Error()+string(e.Dialogue), secret) {
					t.Errorf("password in error or dialogue: %v", err)
				}
				if strings.HasPrefix(c.name, "login_odd") && strings.Contains(strings.Join(commands, "\n"), secret) {
					t.Error("password sent to an unknown prompt")
				}
			}
			for _, line := range commands {
				if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "AUTH") && !strings.HasPrefix(c.name, "auth") && !strings.HasPrefix(c.name, "login") {
					t.Errorf("command %q after the refusal", line)
				}
			}
		})
	}
}

func TestConnectCancelled(t *testing.T) {
	t.Parallel()
	g := gateway{replies: map[string]string{"EHLO": "stall"}}
	ctx, cancel := context.WithCancel(t.Context())
	c := g.client()
	dial := c.Dial
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return hook{conn, func(p []byte) {
			if bytes.HasPrefix(p, []byte("EHLO")) {
				cancel()
			}
		}}, err
	}
	if _, err := mail.Connect(ctx, c); !errors.Is(err, context.Canceled) || code(err) != mail.CodeConnect {
		t.Errorf("got %v", err)
	}
}

// hook is a connection that shows what is written before it is.
type hook struct {
	net.Conn
	before func([]byte)
}

func (h hook) Write(p []byte) (int, error) {
	h.before(p)
	return h.Conn.Write(p)
}

// TestTLSRefusals uses a real server whose certificate is good for localhost
// and 127.0.0.1 only.
func TestTLSRefusals(t *testing.T) {
	t.Parallel()
	for _, mode := range []mail.TLSMode{mail.TLSImplicit, mail.TLSStartTLS} {
		server := start(t, loopback.Options{TLS: mode, Username: "u", Password: "p"})
		other := start(t, loopback.Options{TLS: mode})
		good := mail.Gateway{
			Address: server.Addr(), TLS: mode, RootCAs: roots(t, server.CAPEM()), Username: "u",
			Password: func(context.Context) (string, error) {
				t.Error("password asked before TLS was verified")
				return "p", nil
			},
		}
		cases := map[string]func(*mail.Gateway){
			"unknown_authority": func(g *mail.Gateway) { g.RootCAs = nil },
			"other_authority":   func(g *mail.Gateway) { g.RootCAs = roots(t, other.CAPEM()) },
			"other_name": func(g *mail.Gateway) {
				g.Address = "mail.contoh.test:465"
				g.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, server.Addr())
				}
			},
			"pin":           func(g *mail.Gateway) { g.Pins = [][32]byte{{1}} },
			"expired":       func(g *mail.Gateway) { g.Now = func() time.Time { return time.Now().AddDate(2, 0, 0) } },
			"not_yet":       func(g *mail.Gateway) { g.Now = func() time.Time { return time.Now().AddDate(-1, 0, 0) } },
			"plain_dialect": func(g *mail.Gateway) { g.TLS, g.Timeouts.Greeting = mail.TLSNone, 50*time.Millisecond },
		}
		for name, spoil := range cases {
			g := good
			spoil(&g)
			s, err := mail.Connect(t.Context(), g)
			if name == "plain_dialect" {
				// Loopback without TLS is allowed; this server then offers no login.
				if mode == mail.TLSStartTLS && code(err) != mail.CodeAuth || mode == mail.TLSImplicit && err == nil {
					t.Errorf("%s %s: %v", mode, name, err)
				}
				continue
			}
			if code(err) != mail.CodeTLS || s != nil {
				t.Errorf("%s %s: %v", mode, name, err)
			}
		}
	}
}

func TestOldTLSRefused(t *testing.T) {
	t.Parallel()
	cert, pool := testCertificate(t)
	for name, config := range map[string]*tls.Config{
		"tls_1.1":  {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"no_aead":  {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
		"no_fresh": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		config.Certificates = []tls.Certificate{cert}
		g := gateway{caps: []string{"STARTTLS"}, tls: config}
		c := g.client()
		c.TLS, c.RootCAs = mail.TLSStartTLS, pool
		if _, err := mail.Connect(t.Context(), c); code(err) != mail.CodeTLS {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

// TestOffersBeforeTLSCountNothing: login, size and DSN come from the EHLO after
// TLS only.
func TestOffersBeforeTLSCountNothing(t *testing.T) {
	t.Parallel()
	cert, pool := testCertificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	g := gateway{caps: []string{"STARTTLS", "AUTH PLAIN", "SIZE 10", "DSN", "PIPELINING"}, tls: config}
	c := g.client()
	c.Dial = g.dialTCP
	c.TLS, c.RootCAs, c.Username, c.Password = mail.TLSStartTLS, pool, "u", password("secret")
	if _, err := mail.Connect(t.Context(), c); code(err) != mail.CodeAuth {
		t.Errorf("login offered before TLS was used: %v", err)
	}
	if _, commands := g.seen(); strings.Contains(strings.Join(commands, "\n"), "AUTH") {
		t.Errorf("commands %q", commands)
	}
	g.tlsCaps = []string{"AUTH LOGIN PLAIN", "SIZE 1000", "ENHANCEDSTATUSCODES"}
	s := connect(t, c)
	got := s.Capabilities()
	if got.MaxSize != 1000 || got.DSN || got.Pipelining || !got.EnhancedCodes || fmt.Sprint(got.Auth) != "[LOGIN PLAIN]" {
		t.Errorf("capabilities %+v", got)
	}
	if p := s.Peer(); p.TLSVersion != "TLS 1.3" || p.CipherSuite == "" || p.CertificateSHA256 != fmt.Sprintf("%x", sha256.Sum256(cert.Certificate[0])) {
		t.Errorf("peer %+v", p)
	}
	o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), func() error { return nil })
	if o.State != mail.OutcomeAccepted || strings.Contains(string(o.Dialogue), "secret") || strings.Contains(string(o.Dialogue), base64.StdEncoding.EncodeToString([]byte("\x00u\x00secret"))) {
		t.Errorf("%s\n%s", o.State, o.Dialogue)
	}
}

func TestLoginMechanism(t *testing.T) {
	t.Parallel()
	g := gateway{caps: []string{"AUTH LOGIN"}, replies: map[string]string{"AUTH": "334 VXNlcm5hbWU6\r\n", "login": "334 UGFzc3dvcmQ6\r\n"}}
	c := g.client()
	c.Username, c.Password = "u", password("secret")
	s := connect(t, c)
	_, commands := g.seen()
	if want := []string{"EHLO desk.contoh.test", "AUTH LOGIN", "dQ==", "c2VjcmV0"}; fmt.Sprint(commands) != fmt.Sprint(want) {
		t.Errorf("commands %q, want %q", commands, want)
	}
	if !s.Usable() || s.Close() != nil || s.Usable() || s.Close() != nil {
		t.Error("close")
	}
	if o := s.Transmit(t.Context(), delivery(t), strings.NewReader(text), nil); o.State != mail.OutcomeDeferred {
		t.Errorf("closed session: %+v", o)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	server := start(t, loopback.Options{TLS: mail.TLSImplicit})
	g := mail.Gateway{Address: server.Addr(), TLS: mail.TLSImplicit, RootCAs: roots(t, server.CAPEM())}
	conn, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: g.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conn.ConnectionState().VerifiedChains[0] {
		g.Pins = [][32]byte{{1}, sha256.Sum256(c.RawSubjectPublicKeyInfo)}
		connect(t, g)
	}
	conn.Close()
}

// TestInjectionBeforeTLS: the handshake itself would succeed; what stood
// between the reply and it is reason enough to stop.
func TestInjectionBeforeTLS(t *testing.T) {
	t.Parallel()
	cert, pool := testCertificate(t)
	for injected, want := range map[string]string{"": "", "250-test\r\n250 AUTH PLAIN\r\n": mail.CodeTLS, "x": mail.CodeTLS} {
		g := gateway{
			caps: []string{"STARTTLS"}, tls: &tls.Config{Certificates: []tls.Certificate{cert}},
			replies: map[string]string{"STARTTLS": "220 go\r\n" + injected},
		}
		c := g.client()
		c.Dial, c.TLS, c.RootCAs = g.dialTCP, mail.TLSStartTLS, pool
		s, err := mail.Connect(t.Context(), c)
		if code(err) != want || (err == nil) != (want == "") {
			t.Errorf("%q: %v", injected, err)
		}
		if err == nil {
			s.Close()
		}
	}
}
