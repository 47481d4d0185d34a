package cmd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/oracle"
	"sandi/mail"
	"sandi/mail/loopback"
)

// badGateway answers by the book but where its script says otherwise, and keeps every message that it may have taken: those whose
// end it saw and did not refuse in so many words.
type badGateway struct {
	net.Listener
	// script by stage: greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, dot. A reply is sent as it is; then the connection goes on,
	// unless the reply ends in one of the marks below.
	script map[string]string
	caps   []string    // nil: DSN and login after TLS
	tls    *tls.Config // nil: no STARTTLS
	deaf   bool        // reads nothing after 354

	mu       sync.Mutex
	taken    []loopback.Accepted
	commands []string
	sessions sync.WaitGroup
	conns    []net.Conn
	over     chan struct{}
}

// What a scripted gateway does after a reply.
const (
	thenFin     = "\x00fin"
	thenRst     = "\x00rst"
	thenStall   = "\x00stall"
	thenEndless = "\x00endless" // repeats the reply for ever
	dripping    = "\x00drip"    // an octet at a time, each within anybody's patience
)

func (r *rig) badGateway(g *badGateway) *badGateway {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.check(err)
	g.Listener, g.over = l, make(chan struct{})
	r.dial = to(l.Addr().String())
	g.sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.conns = append(g.conns, c)
			g.mu.Unlock()
			g.sessions.Go(func() { g.serve(c.(*net.TCPConn)) })
		}
	})
	r.Cleanup(func() { g.Close() })
	return g
}

// Close ends all sessions; what was taken is complete then.
func (g *badGateway) Close() error {
	if g.Listener.Close() != nil { // closed before
		return nil
	}
	close(g.over)
	g.mu.Lock()
	for _, c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.sessions.Wait()
	return nil
}

func (g *badGateway) Messages() []loopback.Accepted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.taken)
}

// heard tells whether a command with the prefix ever came.
func (g *badGateway) heard(prefix string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.commands, func(c string) bool { return strings.HasPrefix(c, prefix) })
}

func (g *badGateway) serve(tcp *net.TCPConn) {
	defer tcp.Close()
	conn := net.Conn(tcp)
	in := bufio.NewReader(conn)
	say := func(stage, reply string) bool {
		if s, ok := g.script[stage]; ok {
			reply = s
		}
		text, mark, marked := strings.Cut(reply, "\x00")
		if mark == dripping[1:] {
			for i := range len(text) {
				if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
					return false
				}
				time.Sleep(10 * time.Millisecond) // the slowness that is tested
			}
			io.Copy(io.Discard, in)
			return false
		}
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return false
			}
			if mark != thenEndless[1:] {
				break
			}
		}
		switch "\x00" + mark {
		case thenRst:
			tcp.SetLinger(0)
		case thenStall:
			io.Copy(io.Discard, in) // until the client has had enough
		}
		return !marked
	}
	if !say("greeting", "220 test ESMTP\r\n") {
		return
	}
	var current loopback.Accepted
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		g.mu.Lock()
		g.commands = append(g.commands, line)
		g.mu.Unlock()
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		ok := true
		switch verb {
		case "EHLO":
			caps := g.caps
			_, under := conn.(*tls.Conn)
			switch {
			case caps == nil && g.tls != nil && !under:
				caps = []string{"STARTTLS"}
			case caps == nil && under:
				caps = []string{"DSN", "AUTH PLAIN"}
			case caps == nil:
				caps = []string{"DSN"}
			}
			ok = say("EHLO", "250-test\r\n250-"+strings.Join(caps, "\r\n250-")+"\r\n250 HELP\r\n")
		case "STARTTLS":
			if ok = say("STARTTLS", "220 go\r\n"); ok && g.tls != nil {
				t := tls.Server(conn, g.tls)
				if t.Handshake() != nil {
					return
				}
				conn, in = t, bufio.NewReader(t)
			}
		case "MAIL":
			if _, id, ok := strings.Cut(line, "ENVID="); ok {
				current = loopback.Accepted{EnvelopeID: strings.Fields(id)[0]}
			}
			ok = say("MAIL", "250 ok\r\n")
		case "DATA":
			if ok = say("DATA", "354 go\r\n"); !ok || g.script["DATA"] != "" && !strings.HasPrefix(g.script["DATA"], "354") {
				break
			}
			if g.deaf {
				<-g.over
			}
			if current.Data, err = data(in); err != nil {
				return
			}
			if s := g.script["dot"]; s == "" || s[0] != '4' && s[0] != '5' {
				g.mu.Lock()
				g.taken = append(g.taken, current)
				g.mu.Unlock()
			}
			ok = say("dot", "250 2.0.0 Ok: queued as X1\r\n")
		case "QUIT":
			say("QUIT", "221 bye\r\n")
			return
		case "AUTH":
			ok = say("AUTH", "235 ok\r\n")
		default:
			ok = say(verb, "250 ok\r\n")
		}
		if !ok {
			return
		}
	}
}

// data reads a message up to its dot.
func data(in *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if string(line) == ".\r\n" {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
	}
}

// TestBadGateway has every kind of wrong answer come at every stage of a session.
func TestBadGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type answer struct {
		name, reply string
		class       byte // of a whole reply, else 0
	}
	answers := []answer{
		{"4xx", "451 4.3.0 later\r\n", '4'},
		{"5xx", "554 5.7.1 no\r\n", '5'},
		{"421", "421 4.3.2 closing\r\n" + thenFin, '4'},
		{"4xx_lines", "450-4.2.0 one\r\n450 4.2.0 two\r\n", '4'},
		{"fin", thenFin, 0},
		{"rst", thenRst, 0},
		{"stall", thenStall, 0},
		{"half_code", "25" + thenFin, 0},
		{"half_line", "250 2.0.0 Ok" + thenRst, 0},
		{"half_lines", "250-2.0.0 Ok\r\n" + thenStall, 0},
		{"endless_lines", "250-more\r\n" + thenEndless, 0},
		{"endless_line", strings.Repeat("2", 1<<12) + thenEndless, 0},
		{"mixed", "250-a\r\n451 b\r\n", 0},
		{"bare_lf", "250 ok\n", 0},
		{"eight_bit", "250 caf\xe9\r\n", 0},
		{"escapes", "250 \x1b[2J\x1b]52;c;eA==\a\r\n", 0},
		{"nonsense", "HTTP/1.1 400 Bad Request\r\n", 0},
		{"no_code", "999 what\r\n", 0},
		{"slow", "220 " + strings.Repeat("x", 400) + "\r\n" + dripping, 0},
	}
	type place struct {
		stage string
		caps  []string
	}
	var places []place
	for _, stage := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"} {
		places = append(places, place{stage, nil})
	}
	// Together: this gateway says 354 also behind a command that it refused.
	for _, stage := range []string{"MAIL", "RCPT", "DATA", "dot"} {
		places = append(places, place{stage, []string{"DSN", "PIPELINING"}})
	}
	if testing.Short() {
		places = places[3:]
	}
	r.enter(len(places)*len(answers), 9)
	names := r.open()
	for _, at := range places {
		stage := at.stage
		for i, a := range answers {
			name := names[0]
			g := r.badGateway(&badGateway{script: map[string]string{stage: a.reply}, caps: at.caps})
			r.dial = impatient(60*time.Millisecond, r.dial)
			if a.class != 0 || a.name == "fin" || a.name == "rst" { // nothing to wait for
				r.dial = to(g.Addr().String())
			}
			args := []string{name}
			if i%2 == 1 {
				args = append(args, "--json")
			}
			told := r.send(g, args...)
			state, exit := outcomeOf(stage, a.class)
			if got := r.copies(name); got != state || told.Exit != exit {
				t.Errorf("%s at %s %v: %s is %s with status %d, want %s with %d", a.name, stage, at.caps, name, got, told.Exit, state, exit)
			}
			if t.Failed() {
				t.FailNow()
			}
			// Before the session is there the letter stays as it was: the next answer is for it too.
			if state != "attached" {
				names = names[1:]
			}
		}
	}
	r.finish()
}

// outcomeOf is the table of the replies: what becomes of a copy by stage and class.
func outcomeOf(stage string, class byte) (state string, exit int) {
	switch {
	case (stage == "greeting" || stage == "EHLO") && class == '5':
		return "attached", exitRefused
	case stage == "greeting" || stage == "EHLO":
		return "attached", exitDeferred
	case class == '5':
		return "rejected", exitRefused
	case class == '4' || stage != "dot":
		return "deferred", exitDeferred
	}
	return "doubt", exitDoubt
}

// TestReplyBeforeTheDot: a gateway that answers the message before its end has not taken it, whatever it says.
func TestReplyBeforeTheDot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.enter(4, 200_000)
	names := r.open()
	for i, c := range []struct {
		early, state string
		exit         int
	}{
		{"250 2.0.0 queued as X\r\n", "deferred", exitDeferred},
		{"451 later\r\n", "deferred", exitDeferred},
		{"552 5.3.4 too big\r\n", "rejected", exitRefused},
		{"garbage\r\n", "deferred", exitDeferred},
	} {
		name := names[i]
		told := r.send(r.badGateway(&badGateway{script: map[string]string{"DATA": "354 go\r\n" + c.early}}), name)
		if got := r.copies(name); got != c.state || told.Exit != c.exit {
			t.Errorf("%q: %s with status %d, want %s with %d", c.early, got, told.Exit, c.state, c.exit)
		}
	}
	r.finish()
}

// TestGatewayThatStopsReading: the window closes in the middle of the message, and the desk does not wait for ever.
func TestGatewayThatStopsReading(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.enter(1, 3_000_000)
	g := r.badGateway(&badGateway{deaf: true})
	narrow := to(g.Addr().String())
	r.dial = impatient(200*time.Millisecond, func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := narrow(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		}
		return c, err
	})
	told := r.send(g, "S1")
	if r.copies("S1") != "deferred" || told.Exit != exitDeferred {
		t.Errorf("%s with status %d", r.copies("S1"), told.Exit)
	}
	r.finish()
}

// TestOpeningUnderTLS: a kriptogram waits for an opening that goes wrong in every way, and no number may be used.
func TestOpeningUnderTLS(t *testing.T) {
	t.Parallel()
	r := newRigTLS(t, mail.TLSStartTLS)
	name := r.signed("jateng")
	ca := newAuthority(t, r.now())
	r.trust(ca)
	good := ca.issue(t, nil)
	for _, c := range []struct {
		label  string
		script map[string]string
		caps   []string
		exit   int
		words  string
	}{
		{"stripped", nil, []string{"SIZE 1000000", "AUTH PLAIN LOGIN"}, exitRefused, "tidak menawarkan sambungan aman (STARTTLS)"},
		{"starttls_454", map[string]string{"STARTTLS": "454 4.7.0 not now\r\n"}, nil, exitRefused, "tidak menawarkan sambungan aman (STARTTLS)"},
		{"starttls_502", map[string]string{"STARTTLS": "502 no\r\n"}, nil, exitRefused, "tidak menawarkan sambungan aman (STARTTLS)"},
		{"starttls_421", map[string]string{"STARTTLS": "421 bye\r\n" + thenFin}, nil, exitRefused, "tidak menawarkan sambungan aman (STARTTLS)"},
		{"injected_reply", map[string]string{"STARTTLS": "220 go\r\n250-test\r\n250 AUTH PLAIN\r\n"}, nil, exitRefused, "sambungan aman ke server Sanapati tidak terbentuk"},
		{"injected_octet", map[string]string{"STARTTLS": "220 go\r\nx"}, nil, exitRefused, "sambungan aman ke server Sanapati tidak terbentuk"},
		{"starttls_fin", map[string]string{"STARTTLS": thenFin}, nil, exitDeferred, "tidak terjangkau"},
		{"starttls_stall", map[string]string{"STARTTLS": thenStall}, nil, exitDeferred, "tidak terjangkau"},
		{"handshake_fin", map[string]string{"STARTTLS": "220 go\r\n" + thenFin}, nil, exitDeferred, "tidak terjangkau"},
		{"handshake_rst", map[string]string{"STARTTLS": "220 go\r\n" + thenRst}, nil, exitDeferred, "tidak terjangkau"},
		{"handshake_stall", map[string]string{"STARTTLS": "220 go\r\n" + thenStall}, nil, exitDeferred, "tidak terjangkau"},
		{"auth_535", map[string]string{"AUTH": "535 5.7.8 no\r\n"}, nil, exitRefused, "menolak nama akun atau kata sandi"},
		{"auth_454", map[string]string{"AUTH": "454 4.7.0 later\r\n"}, nil, exitDeferred, "menunda"},
		{"auth_421", map[string]string{"AUTH": "421 bye\r\n" + thenFin}, nil, exitDeferred, "menunda"},
		{"auth_fin", map[string]string{"AUTH": thenFin}, nil, exitDeferred, "tidak terjangkau"},
		{"auth_rst", map[string]string{"AUTH": thenRst}, nil, exitDeferred, "tidak terjangkau"},
		{"auth_stall", map[string]string{"AUTH": thenStall}, nil, exitDeferred, "tidak terjangkau"},
		{"auth_250", map[string]string{"AUTH": "250 ok\r\n"}, nil, exitDeferred, "tidak terbaca"},
		{"auth_challenge", map[string]string{"AUTH": "334 UGFzc3dvcmQ6\r\n"}, nil, exitRefused, "Gagal"},
	} {
		g := r.badGateway(&badGateway{script: c.script, caps: c.caps, tls: &tls.Config{Certificates: []tls.Certificate{good}}})
		if strings.Contains(c.label, "stall") {
			r.dial = impatient(100*time.Millisecond, r.dial)
		}
		r.refused(g, name, c.label, c.exit, c.words)
	}
	r.finishTLS(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{good}}}, name)
}

// refused sends a kriptogram to a gateway that does not let us in: it stays signed, no number is used, nothing is said to have
// happened, and no password and no letter left.
func (r *rig) refused(g *badGateway, name, label string, exit int, words string) {
	r.Helper()
	out, talk, got := r.sandi("send", name)
	r.check(g.Close())
	r.taken = append(r.taken, g.Messages()...)
	told, err := oracle.Hear(out, talk, got)
	r.check(err)
	told.Refused = exit == exitRefused
	r.judge(told)
	if got != exit || r.copies(name) != "signed" || !strings.Contains(strings.Join(strings.Fields(talk), " "), words) || !strings.Contains(talk, "Nomor tidak diberikan") {
		r.Errorf("%s: status %d, want %d with %q; %s is %s\n%s%s", label, got, exit, words, name, r.copies(name), out, talk)
	}
	if len(r.taken) > 0 || g.heard("MAIL") {
		r.Errorf("%s: a letter left", label)
	}
	if g.heard("AUTH") && !strings.HasPrefix(label, "auth") {
		r.Errorf("%s: a login before the protection", label)
	}
	for line := range strings.Lines(out + talk) {
		if len([]rune(strings.TrimSuffix(line, "\n"))) > 78 {
			r.Errorf("%s: line too long: %q", label, line)
		}
	}
}

// finishTLS shows that the letter goes once the gateway is as it should be.
func (r *rig) finishTLS(g *badGateway, name string) {
	r.Helper()
	told := r.send(r.badGateway(g), name)
	if told.Exit != 0 || r.copies(name) != "accepted" {
		r.Errorf("at the end: status %d, %s", told.Exit, r.copies(name))
	}
	r.finish()
}

// TestCertificateFaults: a gateway that is not proved to be ours gets no password, no number and no letter.
func TestCertificateFaults(t *testing.T) {
	t.Parallel()
	r := newRigTLS(t, mail.TLSStartTLS)
	name := r.signed("jateng")
	ca, other := newAuthority(t, r.now()), newAuthority(t, r.now())
	middle := ca.under(t)
	r.trust(ca)
	withoutMiddle := middle.issue(t, nil)
	whole := middle.issue(t, nil)
	whole.Certificate = append(whole.Certificate, middle.der)
	good := ca.issue(t, nil)
	for label, c := range map[string]struct {
		cert  tls.Certificate
		words string
	}{
		"expired":       {ca.issue(t, func(c *template) { c.NotAfter = monday.Add(-time.Minute) }), "di luar masa berlakunya"},
		"not_yet":       {ca.issue(t, func(c *template) { c.NotBefore = monday.Add(24 * time.Hour) }), "di luar masa berlakunya"},
		"other_name":    {ca.issue(t, func(c *template) { c.DNSNames = []string{"lain.test"} }), "atas nama lain"},
		"common_name":   {ca.issue(t, func(c *template) { c.DNSNames, c.Subject.CommonName = nil, "localhost" }), "atas nama lain"},
		"for_clients":   {ca.issue(t, func(c *template) { c.ExtKeyUsage = clientsOnly }), "bukan untuk server"},
		"self_signed":   {selfSigned(t, r.now()), "penerbit sertifikat server tidak dikenal"},
		"unknown_ca":    {other.issue(t, nil), "penerbit sertifikat server tidak dikenal"},
		"chain_missing": {withoutMiddle, "penerbit sertifikat server tidak dikenal"},
		"sha1":          {ca.weaklySigned(t), "penerbit sertifikat server tidak dikenal"},
	} {
		r.refused(r.badGateway(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{c.cert}}}), name, label, exitRefused, c.words)
	}
	for label, config := range map[string]*tls.Config{
		"tls_1.1":    {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"weak_suite": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
	} {
		config.Certificates = []tls.Certificate{good}
		r.refused(r.badGateway(&badGateway{tls: config}), name, label, exitRefused, "sambungan aman ke server Sanapati tidak terbentuk")
	}
	r.pin(pinOf(other.cert))
	r.refused(r.badGateway(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{good}}}), name, "pin", exitRefused, "gateway.pins")
	r.pin()
	r.finishTLS(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{whole}}}, name)
}

// TestCertificateRenewedInABatch: the gateway changes its certificate while a batch is under way, seen at the next connection.
func TestCertificateRenewedInABatch(t *testing.T) {
	t.Parallel()
	for label, c := range map[string]struct {
		pins    []string // of the old key, the new key
		foreign bool     // the new certificate is of another authority
		sent    int
		exit    int
	}{
		"same_authority": {nil, false, 8, exitDone},
		"pinned_both":    {[]string{"old", "new"}, false, 8, exitDone},
		"pinned_old":     {[]string{"old"}, false, 4, exitPartly},
		"other_ca":       {nil, true, 4, exitPartly},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			r := newRigTLS(t, mail.TLSStartTLS, "gateway.connections", "1", "gateway.per_connection", "2")
			r.enter(8, 9)
			ca := newAuthority(t, r.now())
			r.trust(ca)
			before, after := ca.issue(t, nil), ca.issue(t, nil)
			if c.foreign {
				after = newAuthority(t, r.now()).issue(t, nil)
			}
			var pins []string
			for _, p := range c.pins {
				pins = append(pins, map[string]string{"old": pinOf(before.Leaf), "new": pinOf(after.Leaf)}[p])
			}
			r.pin(pins...)
			handshakes := 0
			renewed := func() *tls.Config {
				var mu sync.Mutex
				return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
					mu.Lock()
					defer mu.Unlock()
					if handshakes++; handshakes > 2 {
						return &after, nil
					}
					return &before, nil
				}}
			}
			g := r.badGateway(&badGateway{tls: renewed()})
			out, talk, exit := r.sandi(append([]string{"send"}, r.open()...)...)
			r.check(g.Close())
			r.taken = append(r.taken, g.Messages()...)
			told, err := oracle.Hear(out, talk, exit)
			r.check(err)
			told.Refused = c.exit != exitDone
			r.judge(told)
			if len(r.taken) != c.sent || exit != c.exit || handshakes < 3 {
				t.Errorf("%d of 8 sent with status %d after %d handshakes, want %d with %d\n%s%s", len(r.taken), exit, handshakes, c.sent, c.exit, out, talk)
			}
			if c.exit == exitDone {
				r.finish()
				return
			}
			if !strings.Contains(talk, "sambungan aman ke server Sanapati tidak terbentuk") || !strings.Contains(talk, "tidak dicoba dan tetap siap kirim") {
				t.Errorf("the clerk was not told: %s", talk)
			}
			for _, name := range r.open() {
				if s := r.copies(name); s != "ready" {
					t.Errorf("%s is %s", name, s)
				}
			}
			// Somebody looks, trusts the new certificate, and the rest goes.
			r.pin()
			if c.foreign {
				return
			}
			r.send(r.badGateway(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{after}}}), "--due")
			r.finish()
			if len(r.taken) != 8 {
				t.Errorf("%d of 8 sent at the end", len(r.taken))
			}
		})
	}
}

// TestSettingsAreNotAnOutage: what is wrong on this side is named, and neither told nor recorded as a gateway that is down.
func TestSettingsAreNotAnOutage(t *testing.T) {
	t.Parallel()
	r := newRigTLS(t, mail.TLSStartTLS)
	name := r.signed("jateng")
	ca := newAuthority(t, r.now())
	settings := filepath.Join(r.desk, "sandi.yaml")
	asked, err := os.ReadFile(settings)
	r.check(err)
	ran := bytes.Replace(asked, []byte("password_command: []"), []byte("password_command: ["+`"false"`+"]"), 1)
	if bytes.Equal(asked, ran) {
		t.Fatalf("no password command in %s", asked)
	}
	for field, prepare := range map[string]func(){
		"gateway.ca": func() {
			r.check(os.WriteFile(r.ca(), []byte("bukan sertifikat"), 0o600))
			r.check(os.WriteFile(settings, asked, 0o600))
		},
		"gateway.password_command": func() { r.trust(ca); r.check(os.WriteFile(settings, ran, 0o600)) },
	} {
		prepare()
		g := r.badGateway(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}})
		for _, args := range [][]string{{"send", name, "--queue"}, {"send", "--probe"}} {
			out, talk, exit := r.sandi(args...)
			if exit != exitOther || r.copies(name) != "signed" || !strings.Contains(talk, "pengaturan "+field+" tidak dapat dipakai") ||
				strings.Contains(talk, "terjangkau") || strings.Contains(talk, "menolak") || g.heard("AUTH") {
				t.Errorf("%s, %v: status %d, %s\n%s%s", field, args, exit, r.copies(name), out, talk)
			}
		}
		r.check(g.Close())
	}
	r.check(os.WriteFile(settings, asked, 0o600))
	r.trust(ca)
	r.finishTLS(&badGateway{tls: &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}}, name)
	r.read(func(d *desk.Desk) {
		troubles, err := d.Book.Troubles(t.Context(), monday.Add(-time.Hour), monday.Add(24*time.Hour))
		if err != nil || len(troubles) != 0 {
			t.Errorf("recorded troubles %+v (%v)", troubles, err)
		}
	})
}
