package term

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script answers questions from a list and notes how they were asked.
type script struct {
	answers []string
	asked   []string
}

func (s *script) Available() bool { return true }

func (s *script) Ask(prompt string, echo bool) ([]byte, error) {
	if !echo {
		prompt += " (hidden)"
	}
	s.asked = append(s.asked, prompt)
	if len(s.answers) == 0 {
		return nil, ErrInterrupted
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return []byte(a), nil
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	c := &script{answers: []string{"  jateng ", " rahasia "}}
	tm := New(strings.NewReader(""), io.Discard, io.Discard, c)
	name, err := tm.Ask("Tujuan:")
	if err != nil || name != "jateng" {
		t.Errorf("Ask = %q, %v", name, err)
	}
	secret, err := tm.Secret("Frasa sandi:")
	if err != nil || string(secret) != " rahasia " {
		t.Errorf("Secret = %q, %v", secret, err)
	}
	if _, err := tm.Ask("Lagi:"); !errors.Is(err, ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	if want := []string{"Tujuan:", "Frasa sandi: (hidden)", "Lagi:"}; !slices.Equal(c.asked, want) {
		t.Errorf("asked %q, want %q", c.asked, want)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	yes := func(s string) (bool, bool) { return s == "y", s == "y" || s == "t" }
	for name, tc := range map[string]struct {
		answers []string
		def     bool
		want    bool
		err     error
	}{
		"yes":               {[]string{"y"}, false, true, nil},
		"no":                {[]string{"t"}, true, false, nil},
		"enter_is_default":  {[]string{""}, true, true, nil},
		"asks_again":        {[]string{"apa", "hm", "y"}, false, true, nil},
		"gives_up_at_three": {[]string{"apa", "hm", "eh", "y"}, true, false, ErrNoAnswer},
		"interrupted":       {nil, true, false, ErrInterrupted},
	} {
		got, err := New(nil, nil, nil, &script{answers: tc.answers}).Confirm("?", yes, tc.def)
		if got != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWithoutConsole(t *testing.T) {
	t.Parallel()
	tm := New(strings.NewReader("y\n"), io.Discard, io.Discard, nil)
	if tm.CanPrompt() || tm.OutIsTerminal() {
		t.Error("a terminal is seen where none is")
	}
	if _, err := tm.Ask("?"); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("Ask: %v", err)
	}
	if _, err := tm.Secret("?"); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("Secret: %v", err)
	}
}

// kept holds two files with one descriptor: neither may be collected and close it under another test.
var kept []any

func TestSecretsFromFD(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets")
	long := strings.Repeat("x", maxSecret)
	if err := os.WriteFile(path, []byte("satu dua \r\ntiga\n"+long+"\nakhir"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	tm := New(nil, nil, nil, nil)
	lines, err := tm.SecretsFromFD(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	kept = append(kept, f, lines)
	for _, want := range []string{"satu dua ", "tiga", long, "akhir"} {
		// The same descriptor goes on where it was.
		same, err := tm.SecretsFromFD(int(f.Fd()))
		if err != nil || same != lines {
			t.Fatalf("second SecretsFromFD: %v", err)
		}
		got, err := lines.Next()
		if err != nil || string(got) != want {
			t.Errorf("Next = %q, %v, want %q", got, err, want)
		}
	}
	if _, err := lines.Next(); !errors.Is(err, ErrNoSecret) {
		t.Errorf("after the last line: %v", err)
	}
}

func TestSecretsFromFDRefuses(t *testing.T) {
	t.Parallel()
	for _, fd := range []int{-1, 1, 2, 999} {
		if _, err := New(nil, nil, nil, nil).SecretsFromFD(fd); !errors.Is(err, ErrNoSecret) {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "empty line": "\nx\n", "only CRLF": "\r\n", "too long": strings.Repeat("x", maxSecret+5) + "\n"} {
		lines, err := New(strings.NewReader(text), nil, nil, nil).SecretsFromFD(0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := lines.Next()
		if !errors.Is(err, ErrNoSecret) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func TestProgressIsSilentOffTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := New(nil, io.Discard, &b, nil).Progress("x", 100)
	p.Add(50)
	if n, err := p.Write(make([]byte, 50)); n != 50 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	p.Done()
	if b.Len() > 0 {
		t.Errorf("wrote %q", b.String())
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	r := strings.NewReader("satu\r\ndua\n\ntiga")
	for _, want := range []string{"satu", "dua", "", "tiga"} {
		if got, err := readLine(r); err != nil || string(got) != want {
			t.Errorf("readLine = %q, %v, want %q", got, err, want)
		}
	}
	if _, err := readLine(r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := readLine(strings.NewReader(strings.Repeat("x", maxAnswer+1))); err == nil {
		t.Error("endless line accepted")
	}
}
