package cmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"

	"sandi/cmd/internal/term"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

// The password of the mailbox and the passphrases in a script's office.
const (
	testPassword = "kata sandi uji"
	testPhrase   = "frasa sandi uji"
)

// cmdGateway starts a practice gateway for a script: `gateway starttls [reject=ADDRESS] [drop=ADDRESS] [at=$GATEWAY]`. It sets
// GATEWAY and writes ca.pem; what it accepts lies in server/. With drop it goes away, unanswered, after the final dot of the first
// message to that address. `gateway hangup` is one that goes away after the final dot of every message,
// `gateway stop` ends whichever runs.
func cmdGateway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: gateway starttls|implicit|hangup|stop [reject=ADDRESS] [at=ADDRESS]")
	}
	stopGateway(ts)
	var reject, drop, at string
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "reject":
			reject = value
		case "drop":
			drop = value
		case "at":
			at = value
		default:
			ts.Fatalf("gateway: unknown option %q", arg)
		}
	}
	switch args[0] {
	case "stop":
	case "hangup":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		go hangUp(l)
		keepGateway(ts, l)
		ts.Setenv("GATEWAY", l.Addr().String())
	default:
		dir := ts.MkAbs("server")
		ts.Check(os.MkdirAll(dir, 0o700))
		var s *loopback.Server
		var dropping atomic.Bool
		gone := make(chan struct{})
		var once sync.Once
		var err error
		s, err = loopback.Start(loopback.Options{
			Addr: at, Dir: dir, Username: "persandian", Password: testPassword, TLS: mail.TLSMode(args[0]),
			Hook: func(stage, arg string) *smtp.SMTPError {
				if stage == "rcpt" && reject != "" && strings.EqualFold(arg, reject) {
					return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
				}
				switch {
				case stage == "rcpt":
					dropping.Store(drop != "" && strings.EqualFold(arg, drop))
				case stage == "dot" && dropping.Load():
					once.Do(func() {
						go func() {
							defer close(gone)
							s.Close()
						}()
					})
					<-gone
					return &smtp.SMTPError{Code: 421, Message: "going away"}
				}
				return nil
			},
		})
		ts.Check(err)
		keepGateway(ts, s)
		ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), s.CAPEM(), 0o600))
		ts.Setenv("GATEWAY", s.Addr())
	}
}

// running is the gateway of a script; scripts run in parallel, each with its own.
type running struct{ close io.Closer }

func keepGateway(ts *testscript.TestScript, c io.Closer) {
	ts.Value(gatewayKey{}).(*running).close = c
	ts.Defer(func() { _ = c.Close() })
}

func stopGateway(ts *testscript.TestScript) {
	r := ts.Value(gatewayKey{}).(*running)
	if r.close != nil {
		_ = r.close.Close() // it may be gone by itself
		r.close = nil
	}
}

type gatewayKey struct{}

// withGateway gives a script its place for a gateway.
func withGateway(env *testscript.Env) { env.Values[gatewayKey{}] = &running{} }

// hangUp is a gateway without login that takes every message and goes away instead of answering the final dot.
func hangUp(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in := bufio.NewScanner(c)
			say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
			say("220 localhost ESMTP")
			for in.Scan() {
				switch verb := strings.ToUpper(in.Text()); {
				case strings.HasPrefix(verb, "EHLO"):
					say("250 localhost")
				case strings.HasPrefix(verb, "DATA"):
					say("354 go ahead")
					for in.Scan() && in.Text() != "." {
					}
					return
				default:
					say("250 ok")
				}
			}
		}()
	}
}

// cmdOffice makes a desk with its people by the real commands: `office` after `gateway`. It leaves jateng.key and batang.key with
// their certificates, those of our officers, letters, and phrases.txt and sending.txt for --passphrase-fd.
func cmdOffice(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: office [none]")
	}
	dir := ts.MkAbs(".")
	desk := filepath.Join(dir, "meja")
	ts.Setenv("SANDI_DESK", desk)
	now := time.Now()
	if s := ts.Getenv("SANDI_TEST_NOW"); s != "" {
		var err error
		now, err = time.Parse(time.RFC3339, s)
		ts.Check(err)
	}
	gateway := []string{"--gateway", ts.Getenv("GATEWAY"), "--tls", "starttls", "--gateway-user", "persandian", "--ca", filepath.Join(dir, "ca.pem")}
	if len(args) == 1 {
		gateway = []string{"--gateway", ts.Getenv("GATEWAY"), "--tls", "none", "--gateway-user", "", "--ca", ""}
	}
	makeOffice(ts, dir, desk, gateway, now)
}

// fatal is a test or a script.
type fatal interface {
	Fatalf(format string, args ...any)
}

// cheap is the least cost of a passphrase: tests make many keys.
var cheap = crypto.S2KCost{MemoryExponent: 10, Passes: 1, Parallelism: 1}

// makeOffice makes the desk and leaves the files around it in dir.
func makeOffice(ts fatal, dir, desk string, gateway []string, now time.Time) {
	check := func(err error) {
		if err != nil {
			ts.Fatalf("office: %v", err)
		}
	}
	// Where the desk lies it learns from whoever works with it first.
	nowhere := func(string) (string, error) { return "", nil }
	hooks := Hooks{S2K: cheap, Now: func() time.Time { return now }, Place: nowhere, folder: desk}
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) { check(os.WriteFile(file(name), data, 0o600)) }
	public := func(key, name string) {
		data, err := os.ReadFile(key)
		check(err)
		cert, err := crypto.CertificateOfSecret(data)
		check(err)
		write(name, cert.Armor())
	}
	run := func(args ...string) {
		var out strings.Builder
		console := &scripted{out: &out, answers: []string{testPhrase, testPhrase}}
		if n := Main(append([]string{"--lang", "en"}, args...), term.New(strings.NewReader(""), &out, &out, console), hooks); n != 0 {
			ts.Fatalf("office: %v: status %d\n%s", args, n, out.String())
		}
	}
	for name, kind := range map[string]crypto.KeyKind{"jateng": crypto.KindV4, "batang": crypto.KindV6} {
		secret, err := crypto.GenerateKey(crypto.GenerateParams{
			Name: name, Email: name + "@contoh.test", Passphrase: []byte(testPhrase), Kind: kind, Cost: cheap, Now: now.Add(-time.Hour),
			Lifetime: 365 * 24 * time.Hour,
		})
		check(err)
		write(name+".key", secret)
		public(file(name+".key"), name+".asc")
	}
	run(append([]string{"init", "--office", "Dinas Uji", "--from", "persandian@contoh.test", "--archive-key-out", file("arsip.key")}, gateway...)...)
	run("officer", "add", "sandiman", "--role", "sandiman", "--name", "Sandiman", "--new-key")
	run("officer", "add", "kasi", "--role", "kepala-seksi", "--name", "Kepala Seksi", "--new-key", "--key-out", file("kasi.key"))
	run("officer", "add", "operator", "--role", "operator", "--name", "Operator")
	run("applicant", "add", "umum", "--unit", "Bagian Umum")
	for _, name := range []string{"jateng", "batang"} {
		run("correspondent", "add", name, "--unit", "Diskominfo "+name, "--address", "sandi."+name+"@contoh.test", "--cert", file(name+".asc"))
		data, err := os.ReadFile(file(name + ".asc"))
		check(err)
		cert, err := crypto.ParseCertificate(data)
		check(err)
		run("correspondent", "confirm", name, "--fingerprint", string(cert.Fingerprint()), "--by", "operator", "--channel", "telepon")
	}
	public(filepath.Join(desk, "keys", "sandiman.key"), "sandiman.asc")
	public(file("kasi.key"), "kasi.asc")
	check(demoPDF(file("surat.pdf"), 2))
	check(demoScan(file("pindaian.pdf"), 1))
	write("perihal.txt", []byte("Rencana yang tidak boleh tampak\n"))
	write("phrases.txt", []byte(testPhrase+"\n"))
	write("wrong.txt", []byte("bukan frasanya\n"))
	write("sending.txt", []byte(testPhrase+"\n"+testPassword+"\n"))
	write("password.txt", []byte(testPassword+"\n"))
}

// cmdNotice writes what a server says about the first copy of an entry: `notice failed show.json notis.eml`, where show.json is
// what `agenda show --json` said.
func cmdNotice(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: notice ACTION SHOWN FILE")
	}
	var shown entryView
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &shown))
	if len(shown.Copies) == 0 || shown.Copies[0].MessageID == nil {
		ts.Fatalf("notice: %s shows no message", args[1])
	}
	status := map[string]string{"delivered": "2.0.0", "failed": "5.1.1"}[args[0]]
	text := fmt.Sprintf(`From: MAILER-DAEMON@mx.test
Date: %[1]s
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
Original-Envelope-Id: %[2]s

Final-Recipient: rfc822; sandi.%[5]s@contoh.test
Action: %[3]s
Status: %[4]s

--b--
`, time.Now().Add(-time.Minute).Format(time.RFC1123Z), mail.EnvelopeID(*shown.Copies[0].MessageID), args[0], status,
		shown.Copies[0].Correspondent)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// cmdAnswer writes an answer of somebody to the first copy of an entry: `answer show.json orang@lain.test jawab.eml`.
func cmdAnswer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: answer SHOWN FROM FILE")
	}
	var shown entryView
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &shown))
	text := fmt.Sprintf("From: %s\nIn-Reply-To: <%s>\n\nDITERIMA\n", args[1], *shown.Copies[0].MessageID)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// cmdJSON reads fields of the JSON lines on a file: `json FILE entries.0.state sent`. Every line that has the field counts; one
// must have the value, written out or as a pattern that fits the whole of it. `json FILE entry=S7 state sent` looks only at the
// lines with that entry. `json FILE lines 3` counts the lines.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: json FILE [PATH=VALUE...] PATH VALUE")
	}
	path, want := args[len(args)-2], args[len(args)-1]
	pattern, err := regexp.Compile("(?s)^(?:" + want + ")$")
	fits := func(word string) bool { return word == want || err == nil && pattern.MatchString(word) }
	found := false
	var seen []string
	lines := jsonLines(ts, args[0])
	if path == "lines" {
		seen, found = []string{strconv.Itoa(len(lines))}, strconv.Itoa(len(lines)) == want
		lines = nil
	}
lines:
	for _, v := range lines {
		for _, only := range args[1 : len(args)-2] {
			where, value, _ := strings.Cut(only, "=")
			if !slices.Contains(wordsAt(v, where), value) {
				continue lines
			}
		}
		words := wordsAt(v, path)
		seen = append(seen, words...)
		found = found || slices.ContainsFunc(words, fits)
	}
	if found == neg {
		ts.Fatalf("json: %s is %q, want %q (not: %v)", path, seen, want, neg)
	}
}

// cmdPick writes the values at a path, one a line, to a file: `pick list.json entries.*.name names.txt`. None is an error.
func cmdPick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: pick FILE PATH OUT")
	}
	var words []string
	for _, v := range jsonLines(ts, args[0]) {
		words = append(words, wordsAt(v, args[1])...)
	}
	if len(words) == 0 {
		ts.Fatalf("pick: nothing at %s", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(words, "\n")+"\n"), 0o600))
}

func jsonLines(ts *testscript.TestScript, file string) []any {
	var all []any
	for line := range strings.Lines(ts.ReadFile(file)) {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			ts.Fatalf("json: %v in %q", err, line)
		}
		all = append(all, v)
	}
	return all
}

// wordsAt are the values that a path leads to, written as JSON without the quotes of a text.
func wordsAt(v any, path string) []string {
	var words []string
	for _, got := range at(v, strings.Split(path, ".")) {
		if text, ok := got.(string); ok {
			words = append(words, text)
			continue
		}
		text, err := json.Marshal(got)
		if err == nil {
			words = append(words, string(text))
		}
	}
	return words
}

// at follows a path into a value; numbers index arrays, `*` takes all elements, `len` is the length.
func at(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	key, rest := path[0], path[1:]
	switch x := v.(type) {
	case map[string]any:
		if inner, ok := x[key]; ok {
			return at(inner, rest)
		}
	case []any:
		if key == "len" {
			return at(len(x), rest)
		}
		var all []any
		for i, inner := range x {
			if key == "*" || key == strconv.Itoa(i) {
				all = append(all, at(inner, rest)...)
			}
		}
		return all
	}
	return nil
}

// TestDemo runs the whole practice.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the practice takes seconds")
	}
	t.Setenv("LC_ALL", "")
	dir := filepath.Join(t.TempDir(), "latihan")
	var out strings.Builder
	hooks := Hooks{S2K: cheap}
	n := Main([]string{"--lang", "id", "demo", "--keep", dir}, term.New(strings.NewReader(""), &out, &out, nil), hooks)
	if n != 0 {
		t.Fatalf("status %d\n%s", n, out.String())
	}
	for _, want := range []string{
		"naskah-jateng.pdf sama byte demi byte", "naskah-batang.pdf sama byte demi byte", "13 pesan diterima server",
		"Buku kriptogram", "$ sandi agenda verify",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the practice", want)
		}
	}
}
