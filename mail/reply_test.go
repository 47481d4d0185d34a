package mail_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandi/mail"
)

func TestParseReply(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 512-6)
	good := []struct {
		in   string
		want mail.Reply
	}{
		{"250 ok\r\n", mail.Reply{Code: 250, Lines: []string{"ok"}}},
		{"250\r\n", mail.Reply{Code: 250, Lines: []string{""}}},
		{"250 \r\n", mail.Reply{Code: 250, Lines: []string{""}}},
		{"250-a\r\n250-\r\n250 b\r\nrest", mail.Reply{Code: 250, Lines: []string{"a", "", "b"}}},
		{"250 2.0.0 Ok: queued as 4XyZ\r\n", mail.Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"2.0.0 Ok: queued as 4XyZ"}}},
		{"550 5.7.1\r\n", mail.Reply{Code: 550, Enhanced: "5.7.1", Lines: []string{"5.7.1"}}},
		{"550 4.7.1 other class\r\n", mail.Reply{Code: 550, Lines: []string{"4.7.1 other class"}}},
		{"354 a\tb\r\n", mail.Reply{Code: 354, Lines: []string{"a\tb"}}},
		{"250 " + long + "\r\n", mail.Reply{Code: 250, Lines: []string{long}}},
		{strings.Repeat("250-x\r\n", 99) + "250 y\r\n", mail.Reply{Code: 250, Lines: append(strings.Split(strings.Repeat("x ", 98)+"x", " "), "y")}},
	}
	for _, c := range good {
		got, err := mail.ParseReply(bufio.NewReader(strings.NewReader(c.in)))
		if err != nil {
			t.Errorf("%.40q: %v", c.in, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%.40q: %s", c.in, d)
		}
	}
	bad := map[string]string{
		"bare_lf":           "250 ok\n",
		"bare_lf_inside":    "250-a\n250 b\r\n",
		"bare_cr":           "250 a\rb\r\n",
		"two_cr":            "250 a\r\r\n",
		"mixed_codes":       "250-a\r\n251 b\r\n",
		"too_long":          "250 " + long + "x\r\n",
		"too_many":          strings.Repeat("250-x\r\n", 100) + "250 y\r\n",
		"eight_bit":         "250 caf\xc3\xa9\r\n",
		"escape":            "250 \x1b[2J\r\n",
		"nul":               "250 \x00\r\n",
		"no_code":           "ok\r\n",
		"short_code":        "25\r\n",
		"four_digits":       "2500 ok\r\n",
		"class_one":         "150 ok\r\n",
		"class_six":         "650 ok\r\n",
		"second_digit":      "290 ok\r\n",
		"separator":         "250_ok\r\n",
		"leading_blank":     " 250 ok\r\n",
		"empty_line":        "\r\n",
		"http":              "HTTP/1.1 400 Bad Request\r\n",
		"tls_record":        "\x15\x03\x01\x00\x02\x02\x0a",
		"empty":             "",
		"half":              "25",
		"no_line_end":       "250 ok",
		"cr_only":           "250 ok\r",
		"never_ending_list": "250-a\r\n250-b\r\n",
	}
	for name, in := range bad {
		got, err := mail.ParseReply(bufio.NewReader(strings.NewReader(in)))
		if code(err) != mail.CodeProtocol || !cmp.Equal(got, mail.Reply{}) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for i := range "250-a\r\n250 b\r" {
		if _, err := mail.ParseReply(bufio.NewReader(strings.NewReader("250-a\r\n250 b\r\n"[:i]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d octets: %v", i, err)
		}
	}
}

// TestParseReplyBounded reads an endless line: the parser stops by itself.
func TestParseReplyBounded(t *testing.T) {
	t.Parallel()
	src := &endless{}
	if _, err := mail.ParseReply(bufio.NewReader(src)); code(err) != mail.CodeProtocol {
		t.Fatal(err)
	}
	if src.n > 16<<10 {
		t.Errorf("read %d octets of one line", src.n)
	}
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '2'
	}
	e.n += len(p)
	return len(p), nil
}

func FuzzParseReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250 2.1.5 x\r\n354\r\n", "250 a\n", "25", "250-\r\n250\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := bufio.NewReader(strings.NewReader(s))
		r, err := mail.ParseReply(in)
		if err != nil {
			if code(err) != mail.CodeProtocol {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		// What was read, written again, is a prefix of the input: nothing was
		// skipped, taken twice or read beyond the last line.
		var b strings.Builder
		for i, l := range r.Lines {
			sep := "-"
			if i == len(r.Lines)-1 {
				sep = " "
				if !strings.HasPrefix(s[b.Len():], fmt.Sprintf("%03d ", r.Code)) {
					sep = ""
				}
			}
			fmt.Fprintf(&b, "%03d%s%s\r\n", r.Code, sep, l)
		}
		rest, _ := io.ReadAll(in)
		if b.String()+string(rest) != s {
			t.Fatalf("%q was read as %q and %q", s, b.String(), rest)
		}
	})
}
