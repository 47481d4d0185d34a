package mail_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sandi/mail"
)

func code(err error) string {
	var c interface{ Code() string }
	if errors.As(err, &c) {
		return c.Code()
	}
	return ""
}

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"persandian@contoh.sanapati.test":        "persandian@contoh.sanapati.test",
		"sandi.jateng@Contoh.SANAPATI.test":      "sandi.jateng@contoh.sanapati.test",
		"a@b":                                    "a@b",
		"Kepala+arsip=1@x-1.go.id":               "Kepala+arsip=1@x-1.go.id",
		strings.Repeat("l", 64) + "@go.id":       strings.Repeat("l", 64) + "@go.id",
		"a@" + strings.Repeat("d", 63) + ".id":   "a@" + strings.Repeat("d", 63) + ".id",
		"o'neil_#$&*/?^~-@xn--bcher-kva.example": "o'neil_#$&*/?^~-@xn--bcher-kva.example",
	}
	for in, want := range good {
		a, err := mail.ParseAddress(in)
		if err != nil || a.String() != want || a.Domain() != want[strings.IndexByte(want, '@')+1:] {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", in, a, err, want)
		}
	}
	bad := []string{
		"", "a", "@b", "a@", "a@@b", "a@b@c", ".a@b", "a.@b", "a..b@c", "-a@b", "a@-b", "a@b-", "a@b..c", "a@.b", "a@b.",
		"a b@c", "a@b c", `"a b"@c`, "a@[127.0.0.1]", "<a@b>", "a@b>", "a@b> SIZE=1", "A <a@b>", "a@b,c@d",
		"a@b\r\nRCPT TO:<c@d>", "a\r\n@b", "a@b\n", "a@b\x00", "a\x00@b", "é@b", "a@é", "a@b\u2028", "a%c@b", "a!b@c", "a|b@c", "a`b@c", "a@b_c",
		strings.Repeat("l", 65) + "@go.id", "a@" + strings.Repeat("d", 64) + ".id", "a@" + strings.Repeat("abcdefg.", 32) + "id",
	}
	for _, in := range bad {
		if a, err := mail.ParseAddress(in); code(err) != mail.CodeAddress || a != (mail.Address{}) {
			t.Errorf("ParseAddress(%q) = %q, %v; want refusal", in, a, err)
		}
	}
	if (mail.Address{}).String() != "" {
		t.Error("zero address has a text")
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b", "sandi.jateng@contoh.sanapati.test", "a@b> x", "a@b\r\n", "é@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := mail.ParseAddress(s)
		if err != nil {
			if code(err) != mail.CodeAddress {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		if !strings.EqualFold(a.String(), s) || len(s) > 254 || strings.ContainsAny(s, " \t\r\n\x00<>\",;:\\()[]") {
			t.Fatalf("accepted %q as %q", s, a)
		}
		if b, err := mail.ParseAddress(a.String()); err != nil || b != a {
			t.Fatalf("%q is not read back: %v", a, err)
		}
	})
}

func TestNewMessageID(t *testing.T) {
	t.Parallel()
	id, err := mail.NewMessageID(bytes.NewReader([]byte("0123456789abcdef")), "Contoh.test")
	if want := "30313233343536373839616263646566@contoh.test"; err != nil || id != want {
		t.Fatalf("got %q, %v; want %q", id, err, want)
	}
	if got := mail.EnvelopeID(id); got != "30313233343536373839616263646566" {
		t.Errorf("EnvelopeID = %q", got)
	}
	if _, err := mail.NewMessageID(strings.NewReader("short"), "contoh.test"); err == nil {
		t.Error("short random source accepted")
	}
	if _, err := mail.NewMessageID(bytes.NewReader(make([]byte, 16)), "a\r\nb"); code(err) != mail.CodeAddress {
		t.Errorf("bad domain: %v", err)
	}
}
