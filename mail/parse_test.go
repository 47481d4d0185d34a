package mail_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandi/mail"
)

func composed(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	if err := mail.Compose(&b, letter(t), digestSigner(), &sequence{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(s string) (*mail.Parsed, error) {
	return mail.Parse(strings.NewReader(s), int64(len(s)))
}

func names(p *mail.Parsed) []string {
	var out []string
	for _, part := range p.Parts {
		out = append(out, fmt.Sprintf("%s %s %v", part.Name, part.Media, part.Signed))
	}
	return out
}

func TestParseGatewayChanges(t *testing.T) {
	t.Parallel()
	const outer, inner = "--=-sandi-AAECAwQFBgcICQoLDA0ODw", "--=-sandi-EBESExQVFhcYGRobHB0eHw"
	loose := []string{
		"kriptogram.pgp application/octet-stream true", "kriptogram.txt text/plain true",
		"kriptogram.txt.paraf.asc application/octet-stream true",
	}
	footer := "Content-Type: text/plain\r\n\r\nScanned.\r\n"
	whole := composed(t)
	header, body, _ := strings.Cut(whole, "\r\nMIME-Version")
	cases := []struct {
		name, text string
		intact     bool
		parts      []string
	}{
		{"unchanged", whole, true, loose},
		{"added_on_top", "Received: from a\r\n (b)\r\nX-Spam: no\r\n" + whole, true, loose},
		{"lf_storage", strings.ReplaceAll(whole, "\r\n", "\n"), true, loose},
		{"epilogue", whole + "footer\r\n", true, loose},
		{"footer_in_cover", strings.Replace(whole, "blank=20\r\n", "blank=20\r\n-- scanned\r\n", 1), false, loose},
		{
			"part_inside", strings.Replace(whole, inner+"--\r\n", inner+"\r\n"+footer+inner+"--\r\n", 1), false,
			append(loose[:3:3], " text/plain true"),
		},
		{
			"part_beside_signature", strings.Replace(whole, outer+"--\r\n", outer+"\r\n"+footer+outer+"--\r\n", 1), true,
			append(loose[:3:3], " text/plain false"),
		},
		{
			"wrapped", header + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\nX" + body + "\r\n--w\r\n" + footer + "--w--\r\n", true,
			append(loose[:3:3], " text/plain false"),
		},
	}
	for _, c := range cases {
		p, err := parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.parts, names(p)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if got := signatureOf(t, p.SignedText()) == string(p.Signature()); !p.Signed || got != c.intact {
			t.Errorf("%s: signed %v, intact %v", c.name, p.Signed, got)
		}
		if !bytes.HasPrefix(p.Cover, []byte("sandi-pengantar/1\n")) || p.MicAlg != "pgp-sha512" {
			t.Errorf("%s: cover %q, micalg %q", c.name, p.Cover, p.MicAlg)
		}
		want := map[string]string{
			"From": p.From, "To": p.To, "Subject": "Kiriman persandian", "Date": "Fri, 20 Nov 2026 09:31:07 +0700",
			"Message-ID": "30313233343536373839616263646566@contoh.sanapati.test",
		}
		if d := cmp.Diff(want, p.ProtectedHeader); d != "" || !p.Protected {
			t.Errorf("%s: %s", c.name, d)
		}
		if p.Part("kriptogram.txt") == nil || p.Part("no") != nil {
			t.Errorf("%s: Part", c.name)
		}
	}
}

func TestParseForeign(t *testing.T) {
	t.Parallel()
	p, err := parse("From: \"Sandi\" <A@B.test>\nTo: undisclosed\nSubject: =?utf-8?Q?a=0D=0AB=1B[2J?=\nDate: yesterday\n\nhello\nFrom here\n")
	if err != nil {
		t.Fatal(err)
	}
	if p.From != "A@b.test" || p.To != "undisclosed" || p.Subject != "a\ufffd\ufffdB\ufffd[2J" || !p.Date.IsZero() ||
		string(p.Cover) != "hello\nFrom here\n" || p.Signed || p.Protected || p.Signature() != nil || len(p.Parts) != 0 {
		t.Errorf("%+v", p)
	}
	if b, err := io.ReadAll(p.SignedText()); len(b) != 0 || err != nil {
		t.Errorf("signed text of an unsigned message: %q, %v", b, err)
	}
	p, err = parse("Subject: x\n\nbody")
	if err != nil || string(p.Cover) != "body" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = parse("Content-Type: application/pdf; name*=utf-8''Daftar%20%C3%A9.pdf\nContent-Transfer-Encoding: base64\n\nJVBE*\n")
	if err != nil || p.Cover != nil || len(p.Parts) != 1 || p.Parts[0].Name != "Daftar é.pdf" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := io.ReadAll(p.Parts[0].Open()); code(err) != mail.CodeParse {
		t.Errorf("broken base64: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	whole := composed(t)
	nested := "x\n"
	for i := range 1000 {
		nested = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s\n--b%d--\n", i, i, nested, i)
	}
	many := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 100000) + "--b--\n"
	cases := map[string]string{
		"empty":          "",
		"no_header":      "\r\nbody\r\n",
		"no_field":       "hello\r\n\r\n",
		"blank_first":    " a: b\r\n\r\n",
		"name_blank":     "a b: c\r\n\r\n",
		"name_control":   "a\x01: c\r\n\r\n",
		"huge_header":    strings.Repeat("X: y\r\n", 20000) + "\r\n",
		"huge_line":      "X: " + strings.Repeat("y", 200000) + "\r\n\r\n",
		"twice_from":     "From: x@y\r\n" + whole,
		"twice_type":     "Content-Type: text/plain\r\n" + whole,
		"truncated":      whole[:len(whole)/2],
		"no_final_mark":  strings.TrimSuffix(whole, "--\r\n"),
		"no_boundary":    "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n----\r\n",
		"no_parts":       "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
		"deep":           nested,
		"many":           many,
		"encoding":       "Content-Transfer-Encoding: x-uuencode\r\n\r\nx\r\n",
		"cover_encoding": "Content-Transfer-Encoding: base64\r\n\r\n%%%\r\n",
		"cover_huge":     "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcde\n", 70000),
	}
	for name, in := range cases {
		if p, err := parse(in); code(err) != mail.CodeParse || p != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	whole := composed(f)
	f.Add([]byte(whole))
	f.Add([]byte(strings.ReplaceAll(whole, "\r\n", "\n")))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := mail.Parse(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			if code(err) != mail.CodeParse {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		for i := range p.Parts {
			got, err := io.ReadAll(p.Parts[i].Open())
			if err != nil {
				if code(err) != mail.CodeParse {
					t.Fatalf("error without code: %v", err)
				}
				continue
			}
			if len(got) > len(in) {
				t.Fatalf("part of %d octets in a message of %d", len(got), len(in))
			}
		}
		text, err := io.ReadAll(p.SignedText())
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range text {
			if c == '\n' && (i == 0 || text[i-1] != '\r') {
				t.Fatal("signed text with bare LF")
			}
		}
		for _, s := range []string{p.From, p.To, p.Subject, p.MessageID} {
			if strings.ContainsAny(s, "\r\n\x00\x1b") {
				t.Fatalf("control in %q", s)
			}
		}
	})
}

// TestComposeForGPG has gpg check the outer signature, cut out by us from CRLF
// and LF storage.
func TestComposeForGPG(t *testing.T) {
	t.Parallel()
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Skip("gpg is not installed")
	}
	home, err := os.MkdirTemp("", "gpg") // a socket path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	run := func(stdin io.Reader, args ...string) ([]byte, error) {
		c := exec.CommandContext(t.Context(), gpg, append([]string{"--homedir", home, "--batch", "--yes", "--quiet"}, args...)...)
		c.Stdin = stdin
		return c.Output()
	}
	if _, err := run(nil, "--passphrase", "", "--quick-gen-key", "sandiman@contoh.test", "ed25519", "sign", "1d"); err != nil {
		t.Skipf("gpg cannot make a key here: %v", err)
	}
	sign := &textSigner{micalg: "pgp-sha512", sign: func(r io.Reader) ([]byte, error) {
		return run(r, "--passphrase", "", "--textmode", "--armor", "--digest-algo", "SHA512", "--detach-sign")
	}}
	var b bytes.Buffer
	if err := mail.Compose(&b, letter(t), sign, &sequence{}); err != nil {
		t.Fatal(err)
	}
	for _, stored := range []string{b.String(), strings.ReplaceAll(b.String(), "\r\n", "\n")} {
		p, err := parse(stored)
		if err != nil {
			t.Fatal(err)
		}
		sig := filepath.Join(t.TempDir(), "s.asc")
		if err := os.WriteFile(sig, p.Signature(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := run(p.SignedText(), "--verify", sig, "-"); err != nil {
			t.Errorf("gpg: %v", err)
		}
	}
}
