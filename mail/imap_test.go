package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/google/go-cmp/cmp"

	"sandi/mail"
)

// mailServer is an IMAP server in memory with one account and one mailbox.
type mailServer struct {
	addr string
	user *imapmemserver.User
	cert tls.Certificate
	pool *x509.CertPool
}

func startMailServer(t *testing.T, mode mail.TLSMode) mailServer {
	t.Helper()
	s := mailServer{user: imapmemserver.NewUser("persandian", "rahasia")}
	s.cert, s.pool = testCertificate(t)
	if err := s.user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	users := imapmemserver.New()
	users.AddUser(s.user)
	o := &imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return users.NewSession(), nil, nil
		},
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}}, Logger: log.New(io.Discard, "", 0), InsecureAuth: mode == mail.TLSNone,
	}
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}}
	if mode == mail.TLSStartTLS {
		o.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if mode == mail.TLSImplicit {
		l = tls.NewListener(l, config)
	}
	server := imapserver.New(o)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return s
}

func (s mailServer) put(t *testing.T, message string, at time.Time) {
	t.Helper()
	if _, err := s.user.Append("INBOX", strings.NewReader(message), &imap.AppendOptions{Time: at}); err != nil {
		t.Fatal(err)
	}
}

func (s mailServer) box(mode mail.TLSMode) mail.Mailbox {
	return mail.Mailbox{Name: "INBOX", Server: mail.Gateway{
		Address: s.addr, TLS: mode, Username: "persandian", Password: password("rahasia"), RootCAs: s.pool,
	}}
}

// read collects a whole mailbox.
func read(ctx context.Context, m mail.Mailbox) ([]string, error) {
	var got []string
	err := mail.EachInMailbox(ctx, m, func(uid uint32, message []byte) error {
		got = append(got, fmt.Sprintf("%d %s", uid, message))
		return nil
	})
	return got, err
}

func TestMailboxIsRead(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	for _, mode := range []mail.TLSMode{mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := startMailServer(t, mode)
			s.put(t, "Subject: lama\r\n\r\nlama\r\n", day.AddDate(0, 0, -3))
			var want []string
			// More than one command asks for, one of them as large as a notice can be.
			for i := range 150 {
				m := fmt.Sprintf("Subject: %d\r\n\r\nisi\r\n", i)
				if i == 70 {
					m += strings.Repeat("x", 4<<20-len(m))
				}
				s.put(t, m, day)
				want = append(want, fmt.Sprintf("%d %s", i+2, m))
			}
			s.put(t, "Subject: besar\r\n\r\n"+strings.Repeat("x", 4<<20), day)
			m := s.box(mode)
			m.Since = day
			got, err := read(t.Context(), m)
			if err != nil || !cmp.Equal(got, want) {
				t.Fatalf("%d messages, want %d: %v", len(got), len(want), err)
			}
			status, err := s.user.Status("INBOX", &imap.StatusOptions{NumMessages: true, NumUnseen: true})
			if err != nil || *status.NumUnseen != *status.NumMessages || *status.NumMessages != 152 {
				t.Errorf("reading marked messages: %+v %v", status, err)
			}
		})
	}
}

// What the caller says ends the reading, unchanged.
func TestMailboxStopsWhenTold(t *testing.T) {
	t.Parallel()
	s := startMailServer(t, mail.TLSImplicit)
	for range 3 {
		s.put(t, "Subject: a\r\n\r\nb\r\n", time.Now())
	}
	enough := errors.New("cukup")
	n := 0
	err := mail.EachInMailbox(t.Context(), s.box(mail.TLSImplicit), func(uint32, []byte) error {
		n++
		return enough
	})
	if err != enough || n != 1 {
		t.Errorf("%d messages, error %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = mail.EachInMailbox(ctx, s.box(mail.TLSImplicit), func(uint32, []byte) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}

func TestMailboxRefusals(t *testing.T) {
	t.Parallel()
	asked := func(*mail.Mailbox) {}
	otherPin := func(m *mail.Mailbox) { m.Server.Pins = [][32]byte{sha256.Sum256([]byte("lain"))} }
	cases := map[string]struct {
		mode   mail.TLSMode
		change func(*mail.Mailbox)
		code   string
		stage  string
	}{
		"wrong_password":          {mail.TLSImplicit, func(m *mail.Mailbox) { m.Server.Password = password("salah") }, mail.CodeAuth, mail.StageAuth},
		"no_password":             {mail.TLSImplicit, func(m *mail.Mailbox) { m.Server.Password = nil }, mail.CodeAuth, mail.StageAuth},
		"line_in_password":        {mail.TLSImplicit, func(m *mail.Mailbox) { m.Server.Password = password("a\r\nb") }, mail.CodeAuth, mail.StageAuth},
		"no_mailbox":              {mail.TLSImplicit, func(m *mail.Mailbox) { m.Name = "Lain" }, mail.CodeRefused, mail.StageMailbox},
		"other_authority":         {mail.TLSImplicit, func(m *mail.Mailbox) { m.Server.RootCAs = x509.NewCertPool() }, mail.CodeTLS, mail.StageConnect},
		"other_pin":               {mail.TLSImplicit, otherPin, mail.CodeTLS, mail.StageConnect},
		"starttls_authority":      {mail.TLSStartTLS, func(m *mail.Mailbox) { m.Server.RootCAs = x509.NewCertPool() }, mail.CodeTLS, mail.StageSTARTTLS},
		"starttls_other_pin":      {mail.TLSStartTLS, otherPin, mail.CodeTLS, mail.StageSTARTTLS},
		"starttls_not_offered":    {mail.TLSNone, func(m *mail.Mailbox) { m.Server.TLS = mail.TLSStartTLS }, mail.CodeNoSTARTTLS, mail.StageSTARTTLS},
		"login_disabled":          {mail.TLSStartTLS, func(m *mail.Mailbox) { m.Server.TLS = mail.TLSNone }, mail.CodeAuth, mail.StageAuth},
		"none_to_another_machine": {mail.TLSNone, func(m *mail.Mailbox) { m.Server.Address = "192.0.2.1:143" }, mail.CodeTLS, mail.StageConnect},
		"nobody_there":            {mail.TLSNone, func(m *mail.Mailbox) { m.Server.Address = "127.0.0.1:1" }, mail.CodeConnect, mail.StageConnect},
		"good":                    {mail.TLSStartTLS, asked, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startMailServer(t, c.mode)
			s.put(t, "Subject: a\r\n\r\nb\r\n", time.Now())
			m := s.box(c.mode)
			c.change(&m)
			got, err := read(t.Context(), m)
			var e *mail.Error
			errors.As(err, &e)
			if code(err) != c.code || e != nil && e.Stage != c.stage || (len(got) == 1) != (err == nil) {
				t.Errorf("%d messages, error %v (code %q), want %q", len(got), err, code(err), c.code)
			}
			if err != nil && strings.Contains(err.Error(), "rahasia") {
				t.Errorf("password in %v", err)
			}
		})
	}
}

// imapScript is a server that says what it is told to, whatever is asked. A line
// is sent when a command has come; "\x00" holds the connection open and silent,
// "\x01" begins TLS. What is short is sent octet by octet.
func imapScript(t *testing.T, greeting string, answers ...string) mail.Mailbox {
	t.Helper()
	cert, pool := testCertificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { c.Close() }()
		in := bufio.NewReader(c)
		say := func(text string) error {
			if rest, first := strings.CutPrefix(text, "\x01"); first { // before anything is said
				c, text = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}), rest
				in.Reset(c)
			}
			text, secure := strings.CutSuffix(strings.TrimSuffix(text, "\x00"), "\x01")
			size := 1
			if len(text) > 2<<10 {
				size = len(text)
			}
			for part := range slices.Chunk([]byte(text), size) {
				if _, err := c.Write(part); err != nil {
					return err
				}
			}
			if secure {
				c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
				in.Reset(c)
			}
			return nil
		}
		if say(greeting) != nil {
			return
		}
		for _, a := range answers {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			tag, _, _ := strings.Cut(line, " ")
			if say(strings.ReplaceAll(a, "%t", tag)) != nil {
				return
			}
			if strings.HasSuffix(a, "\x00") {
				in.ReadString('\n')
			}
		}
	}()
	return mail.Mailbox{Name: "INBOX", Server: mail.Gateway{
		Address: l.Addr().String(), TLS: mail.TLSNone, Username: "persandian", Password: password("rahasia"), RootCAs: pool,
		Timeouts: mail.Timeouts{Greeting: 3 * time.Second, Command: 3 * time.Second, Dot: 3 * time.Second},
	}}
}

// A server may say what it likes: it costs bounded time and memory, and its
// words reach a screen as plain text.
func TestMailboxOfABadServer(t *testing.T) {
	t.Parallel()
	const greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] siap\r\n"
	login, open := "%t OK [CAPABILITY IMAP4rev1] masuk\r\n", "* 1 EXISTS\r\n%t OK [READ-ONLY] dibuka\r\n"
	found := "* SEARCH 1\r\n%t OK ada\r\n"
	size := "* 1 FETCH (UID 1 RFC822.SIZE 5)\r\n%t OK ada\r\n"
	flood := strings.Repeat("x", 1<<20)
	starttls := func(m *mail.Mailbox) { m.Server.TLS = mail.TLSStartTLS }
	cases := map[string]struct {
		greeting string
		answers  []string
		change   func(*mail.Mailbox)
		code     string
		text     string // in the error
	}{
		"silent":             {"", []string{"\x00"}, nil, mail.CodeTimeout, ""},
		"gone":               {"", nil, nil, mail.CodeConnect, ""},
		"no_imap":            {"220 mail.test ESMTP\r\n", []string{"\x00"}, nil, mail.CodeProtocol, ""},
		"bye":                {"* BYE penuh\r\n", nil, nil, mail.CodeDeferred, "penuh"},
		"endless_greeting":   {"* OK " + flood, []string{"\x00"}, nil, mail.CodeUnbounded, ""},
		"endless_clear":      {"* OK " + flood, []string{"\x00"}, starttls, mail.CodeUnbounded, "larger"},
		"words_on_a_screen":  {greeting, []string{"%t NO [AUTHENTICATIONFAILED] a\x1b[31mb\xff\r\n"}, nil, mail.CodeAuth, "NO a?[31mb"},
		"login_unavailable":  {greeting, []string{"%t NO [UNAVAILABLE] nanti\r\n"}, nil, mail.CodeDeferred, "nanti"},
		"login_silent":       {greeting, []string{"\x00"}, nil, mail.CodeTimeout, ""},
		"login_gone":         {greeting, []string{""}, nil, mail.CodeConnect, ""},
		"mailbox_refused":    {greeting, []string{login, "%t NO tidak ada\r\n"}, nil, mail.CodeRefused, "tidak ada"},
		"mailbox_bad":        {greeting, []string{login, "%t BAD apa\r\n"}, nil, mail.CodeProtocol, "apa"},
		"all_numbers":        {greeting, []string{login, open, "* ESEARCH (TAG \"%t\") UID ALL 1:4294967295\r\n%t OK ada\r\n"}, nil, mail.CodeProtocol, "50000"},
		"many_ranges":        {greeting, []string{login, open, "* ESEARCH (TAG \"%t\") UID ALL 1:45000,200000:245000\r\n%t OK ada\r\n"}, nil, mail.CodeProtocol, "50000"},
		"endless_search":     {greeting, []string{login, open, "* SEARCH" + strings.Repeat(" 1234567890", 2<<20)}, nil, mail.CodeUnbounded, ""},
		"larger_than_it_was": {greeting, []string{login, open, found, size, "* 1 FETCH (UID 1 BODY[] {9000000}\r\n" + strings.Repeat(flood, 9) + ")\r\n%t OK ada\r\n"}, nil, mail.CodeUnbounded, "larger"},
		"cut_in_a_message":   {greeting, []string{login, open, found, size, "* 1 FETCH (UID 1 BODY[] {500}\r\nabc"}, nil, mail.CodeConnect, ""},
		"stalls_in_message":  {greeting, []string{login, open, found, size, "* 1 FETCH (UID 1 BODY[] {500}\r\nabc\x00"}, nil, mail.CodeTimeout, ""},
		"number_behind_text": {greeting, []string{login, open, found, size, "* 1 FETCH (BODY[] {5}\r\nabcde UID 1)\r\n%t OK ada\r\n", size}, nil, mail.CodeProtocol, "without its text"},
		"no_text":            {greeting, []string{login, open, found, size, "* 1 FETCH (UID 1 BODY[] NIL)\r\n%t OK ada\r\n", size}, nil, mail.CodeProtocol, "without its text"},
		"preauth_before_tls": {"* PREAUTH masuk\r\n", []string{"%t OK mulai\r\n"}, starttls, mail.CodeNoSTARTTLS, "masuk"},
		"bye_before_tls":     {"* BYE penuh\r\n", nil, starttls, mail.CodeDeferred, "penuh"},
		"bye_for_starttls":   {greeting, []string{"* BYE penuh\r\n"}, starttls, mail.CodeDeferred, "penuh"},
		"no_imap_before_tls": {"220 mail.test ESMTP\r\n", []string{"\x00"}, starttls, mail.CodeProtocol, ""},
		"other_tag":          {greeting, []string{"X OK mulai\r\n\x01"}, starttls, mail.CodeProtocol, ""},
		"no_handshake":       {greeting, []string{"%t OK mulai\r\n"}, starttls, mail.CodeConnect, ""},
		"stripped_starttls":  {greeting, []string{"%t BAD tidak kenal\r\n"}, starttls, mail.CodeNoSTARTTLS, "tidak kenal"},
		"injected_before_tls": {
			greeting, []string{"%t OK mulai\r\n* PREAUTH masuk\r\n* 1 EXISTS\r\n\x00"}, starttls, mail.CodeTLS, "",
		},
		"injected_and_tls": {greeting, []string{"%t OK mulai\r\nS2 OK masuk\r\n\x01"}, starttls, mail.CodeTLS, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := imapScript(t, c.greeting, c.answers...)
			if c.change != nil {
				c.change(&m)
			}
			got, err := read(t.Context(), m)
			if len(got) != 0 || code(err) != c.code || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Fatalf("%d messages, error %v (code %q), want %q with %q", len(got), err, code(err), c.code, c.text)
			}
			if text := err.Error(); len(text) > 400 || bytes.ContainsFunc([]byte(text), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("words of the server: %q", text)
			}
		})
	}
}

// A message that is deleted while it is asked for is passed over; one that is
// there and does not come is told behind the others.
func TestMailboxWithoutAText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ left, code string }{
		"deleted": {"", ""},
		"there":   {"* 1 FETCH (UID 1 RFC822.SIZE 5)\r\n", mail.CodeProtocol},
	} {
		m := imapScript(t, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] siap\r\n",
			"%t OK [CAPABILITY IMAP4rev1] masuk\r\n", "* 2 EXISTS\r\n%t OK [READ-ONLY] dibuka\r\n", "* SEARCH 1 2\r\n%t OK ada\r\n",
			"* 1 FETCH (UID 1 RFC822.SIZE 5)\r\n* 2 FETCH (UID 2 RFC822.SIZE 5)\r\n%t OK ada\r\n",
			"* 2 FETCH (UID 2 BODY[] {5}\r\nabcde)\r\n%t OK ada\r\n", c.left+"%t OK ada\r\n", "* BYE\r\n%t OK\r\n")
		got, err := read(t.Context(), m)
		if code(err) != c.code || (err == nil) != (c.code == "") || !slices.Equal(got, []string{"2 abcde"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// hostile are answers to the question for one message of four MiB. Behind each
// that could lead a guard astray comes a list that no parser survives.
func hostile() map[string]struct{ answer, code, text string } {
	const bomb = "* 1 FETCH (UID 1 BODYSTRUCTURE "
	deep := bomb + strings.Repeat("(", 4_000_000)
	const inside = "* 1 FETCH (UID 1 BODY[] "
	nested, form := "nested", "does not allow"
	return map[string]struct{ answer, code, text string }{
		"nested":               {deep, mail.CodeUnbounded, nested},
		"nested_at_the_bound":  {bomb + strings.Repeat("(", 64), mail.CodeUnbounded, nested}, // in one list already
		"nested_parts":         {bomb + strings.Repeat(`("A" "B" (`, 400_000), mail.CodeUnbounded, nested},
		"nested_threads":       {"* THREAD " + strings.Repeat("(", 1_500_000), mail.CodeUnbounded, nested},
		"nested_unknown":       {`* ESEARCH (TAG "x") X ` + strings.Repeat("(", 1_500_000), mail.CodeUnbounded, nested},
		"quoted_then_nested":   {"* STATUS \"((((((((\" (MESSAGES 1)\r\n" + deep, mail.CodeUnbounded, nested},
		"quoted_size":          {"* STATUS \"{4000000}\" (MESSAGES 1)\r\n" + deep, mail.CodeUnbounded, nested},
		"quoted_escapes":       {"* STATUS \"a\\\"(\\\\\" (MESSAGES 1)\r\n" + deep, mail.CodeUnbounded, nested},
		"endless_quoted":       {"* STATUS \"" + strings.Repeat("(", 1_500_000), mail.CodeUnbounded, "line too long"},
		"literal_then_nested":  {inside + "{5}\r\n((\"{9)\r\n" + deep, mail.CodeUnbounded, nested},
		"literal_of_nothing":   {inside + "{0}\r\n)\r\n" + deep, mail.CodeUnbounded, nested},
		"literal8":             {"* 1 FETCH (UID 1 BINARY[1] ~{5}\r\n(((((" + ")\r\n" + deep, mail.CodeUnbounded, nested},
		"large_literal":        {"* 1 FETCH (UID 1 ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL {4000000}\r\n" + deep, mail.CodeUnbounded, "line too long"},
		"size_in_words":        {"* OK {4000000}\r\n" + deep, mail.CodeUnbounded, nested},
		"size_in_small_words":  {"* no {4000000}\r\n" + deep, mail.CodeUnbounded, nested},
		"size_in_counted":      {"* 7 OK {4000000}\r\n" + deep, mail.CodeUnbounded, nested},
		"size_in_a_code":       {"* OK [X {4000000}] a\r\n" + deep, mail.CodeUnbounded, nested},
		"quote_in_words":       {"* OK a \" b\r\n" + deep, mail.CodeUnbounded, nested},
		"quote_in_a_code":      {"* OK [X \"] a\r\n" + deep, mail.CodeUnbounded, nested},
		"line_in_quoted":       {"* STATUS \"a\r\n\" (X \"" + deep, mail.CodeProtocol, form},
		"escaped_line":         {"* STATUS \"a\\\n\" (X \"" + deep, mail.CodeProtocol, form},
		"line_in_a_code":       {"* OK [X a\r\n* 1 FETCH (FLAGS {4000000}\r\n] a\r\n" + deep, mail.CodeProtocol, form},
		"line_in_a_list":       {"* 1 FETCH (FLAGS (\r\n" + deep, mail.CodeProtocol, form},
		"blank_behind_a_size":  {inside + "{4000000} \r\n" + deep, mail.CodeProtocol, form},
		"sign_in_a_size":       {inside + "{4000000+}\r\n" + deep, mail.CodeProtocol, form},
		"size_beyond_numbers":  {inside + "{99999999999999999999}\r\n" + deep, mail.CodeProtocol, form},
		"size_of_nothing":      {inside + "{}\r\n" + deep, mail.CodeProtocol, form},
		"closed_too_often":     {"* 1 FETCH (UID 1))\r\n" + deep, mail.CodeProtocol, form},
		"list_in_capabilities": {"* CAPABILITY (\r\n\x00", mail.CodeProtocol, form}, // the library would not come back
		"list_in_enabled":      {"* ENABLED (X)\r\n\x00", mail.CodeProtocol, form},
		"list_in_a_greeting":   {"* OK [CAPABILITY (X)] a\r\n\x00", mail.CodeProtocol, form},
		"capability_in_a_code": {"%t NO [CAPABILITY (X)] a\r\n\x00", mail.CodeProtocol, form},
		"no_type":              {"*  OK {4000000}\r\n" + deep, mail.CodeProtocol, form},
		"octets_for_a_type":    {"* O\u212a {4000000}\r\n" + deep, mail.CodeProtocol, form},
		"odd_number":           {"* 1a FETCH {4000000}\r\n" + deep, mail.CodeProtocol, form},
		"endless_line":         {"* 1 FETCH (FLAGS (" + strings.Repeat("a ", 1_500_000), mail.CodeUnbounded, "line too long"},
		"endless_tag":          {strings.Repeat("a", 1_500_000), mail.CodeProtocol, form},
	}
}

// imapOver is a script in one of the modes: what comes before the answer to
// LOGIN is the same for all.
func imapOver(t *testing.T, mode mail.TLSMode, answers ...string) mail.Mailbox {
	t.Helper()
	const able = "IMAP4rev1 AUTH=PLAIN SASL-IR"
	greeting, before := "* OK [CAPABILITY "+able+"] siap\r\n", []string(nil)
	if mode == mail.TLSStartTLS {
		greeting = "* OK [CAPABILITY STARTTLS] siap\r\n"
		before = []string{"* OK [ALERT] a \"(( {5}\r\n%t OK mulai\r\n\x01", "* CAPABILITY " + able + "\r\n%t OK ada\r\n"}
	}
	if mode == mail.TLSImplicit {
		greeting = "\x01" + greeting
	}
	m := imapScript(t, greeting, append(before, answers...)...)
	m.Server.TLS = mode
	return m
}

// A server that we were told to read may be anybody's tomorrow: no answer costs
// more than it is bounded to, in whatever mode it comes.
func TestMailboxOfAHostileServer(t *testing.T) {
	t.Parallel()
	login, open := "%t OK [CAPABILITY IMAP4rev1] masuk\r\n", "* 1 EXISTS\r\n%t OK [READ-ONLY] dibuka\r\n"
	found, size := "* SEARCH 1\r\n%t OK ada\r\n", "* 1 FETCH (UID 1 RFC822.SIZE 4194304)\r\n%t OK ada\r\n"
	for _, mode := range []mail.TLSMode{mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone} {
		for name, c := range hostile() {
			t.Run(string(mode)+"/"+name, func(t *testing.T) {
				t.Parallel()
				got, err := read(t.Context(), imapOver(t, mode, login, open, found, size, c.answer))
				if len(got) != 0 || code(err) != c.code || !strings.Contains(fmt.Sprint(err), c.text) {
					t.Fatalf("%d messages, error %v (code %q), want %q with %q", len(got), err, code(err), c.code, c.text)
				}
			})
		}
		t.Run(string(mode)+"/before_the_login", func(t *testing.T) {
			t.Parallel()
			if got, err := read(t.Context(), imapOver(t, mode, "* CAPABILITY (\r\n\x00")); len(got) != 0 || code(err) != mail.CodeProtocol {
				t.Errorf("%d messages, error %v", len(got), err)
			}
			end := "%t OK {4000000}\r\n" + hostile()["nested"].answer
			if got, err := read(t.Context(), imapOver(t, mode, end, open)); len(got) != 0 || code(err) != mail.CodeUnbounded {
				t.Errorf("%d messages, error %v", len(got), err)
			}
		})
	}
}

// What looks hostile and is a message, or words for people, is handed on as it
// came.
func TestMailboxHandsOnWhatCame(t *testing.T) {
	t.Parallel()
	body := "Subject: ((((\r\n\r\n" + strings.Repeat("(", 1_500_000) + "\"{5}\r\n)\r\n* 1 FETCH (((("
	login, open := "%t OK [CAPABILITY IMAP4rev1] \"({5}\r\n", "* FLAGS (\\Seen \\* a)\r\n* 1 EXISTS\r\n* OK [PERMANENTFLAGS (\\*)] (\r\n%t OK [READ-ONLY] ((\r\n"
	found, size := "* SEARCH 1\r\n%t OK ada\r\n", fmt.Sprintf("* 1 FETCH (UID 1 RFC822.SIZE %d)\r\n%%t OK ada\r\n", len(body))
	listed := "* LIST (\\Noselect) \"/\" \"a\\\"(\\\\\"\r\n* LIST () NIL {4}\r\n((\"a\r\n" +
		"* 1 FETCH (UID 9 BODYSTRUCTURE " + strings.Repeat("(", 60) + `"a" "b" NIL NIL NIL "7bit" 5` + strings.Repeat(") \"mixed\"", 59) + "))\r\n"
	message := fmt.Sprintf("* 1 FETCH (FLAGS () UID 1 BODY[] {%d}\r\n%s)\r\n%%t OK ada\r\n", len(body), body)
	for _, mode := range []mail.TLSMode{mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			got, err := read(t.Context(), imapOver(t, mode, login, open, listed+found, size, message, "* BYE\r\n%t OK\r\n"))
			if want := []string{"1 " + body}; err != nil || !slices.Equal(got, want) {
				t.Errorf("%d messages: %v", len(got), err)
			}
		})
	}
}
