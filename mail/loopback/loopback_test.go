package loopback_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/textproto"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sandi/mail"
	"sandi/mail/loopback"
)

func TestServerKeepsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A file that is there already is never touched.
	if err := os.WriteFile(filepath.Join(dir, "0001.eml"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := loopback.Start(loopback.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := textproto.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, step := range []struct {
		say  string
		want int
	}{
		{"", 220},
		{"EHLO desk.test", 250},
		{"MAIL FROM:<a@b.test>", 250},
		{"RCPT TO:<c@d.test>", 250},
		{"RCPT TO:<e@f.test>", 452},
		{"DATA", 354},
		{"Subject: x\r\n\r\n..dot\r\n.", 250},
		{"MAIL FROM:<a@b.test>", 250},
		{"RCPT TO:<c@d.test>", 250},
		{"DATA", 354},
		{"never ended", 0},
	} {
		if step.say != "" {
			if err := conn.PrintfLine("%s", step.say); err != nil {
				t.Fatal(err)
			}
		}
		if step.want != 0 {
			if _, _, err := conn.ReadResponse(step.want); err != nil {
				t.Fatalf("%q: %v", step.say, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := conn.R.ReadByte(); err == nil {
		t.Error("connection outlives the server")
	}
	messages := s.Messages()
	if len(messages) != 1 || string(messages[0].Data) != "Subject: x\r\n\r\n.dot\r\n" || messages[0].QueueID != "0002" {
		t.Errorf("%+v", messages)
	}
	for name, want := range map[string]string{"0001.eml": "mine", "0002.eml": "Subject: x\r\n\r\n.dot\r\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestServerLoginRequired(t *testing.T) {
	t.Parallel()
	s, err := loopback.Start(loopback.Options{Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := textproto.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, step := range []struct {
		say  string
		want int
	}{
		{"", 220},
		{"EHLO desk.test", 250},
		{"MAIL FROM:<a@b.test>", 502},
		{"AUTH LOGIN", 334},
		{"dQ==", 334},
		{"eA==", 535},
		{"AUTH PLAIN AHUAeA==", 535},
		{"MAIL FROM:<a@b.test>", 502},
		{"AUTH LOGIN", 334},
		{"dQ==", 334},
		{"cA==", 235},
		{"MAIL FROM:<a@b.test>", 250},
	} {
		if step.say != "" {
			if err := conn.PrintfLine("%s", step.say); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := conn.ReadResponse(step.want); err != nil {
			t.Fatalf("%q: %v", step.say, err)
		}
	}
}

func TestServerCertificate(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	s, err := loopback.Start(loopback.Options{TLS: mail.TLSImplicit, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CAPEM())
	for _, c := range []struct {
		name string
		at   time.Time
		good bool
	}{
		{"localhost", at, true},
		{"127.0.0.1", at, true},
		{"mail.test", at, false},
		{"localhost", at.AddDate(2, 0, 0), false},
		{"localhost", at.AddDate(0, 0, -1), false},
	} {
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: pool, ServerName: c.name, Time: func() time.Time { return c.at }})
		if (err == nil) != c.good {
			t.Errorf("%s at %s: %v", c.name, c.at, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// TestServerClosedAtOnce must not hang: the listener may not be served yet.
func TestServerClosedAtOnce(t *testing.T) {
	t.Parallel()
	for range 50 {
		s, err := loopback.Start(loopback.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := loopback.Start(loopback.Options{TLS: "x"}); err == nil {
		s.Close()
		t.Error("unknown TLS mode served in clear")
	}
}
