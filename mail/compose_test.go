package mail_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sandi/mail"
)

// sequence is a random source that never repeats within a test.
type sequence struct{ n byte }

func (s *sequence) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = s.n
		s.n++
	}
	return len(p), nil
}

func part(name, media, content string) mail.Part {
	return mail.Part{Name: name, Media: media, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// textSigner collects a text and signs it at its end.
type textSigner struct {
	bytes.Buffer
	micalg string
	sign   func(text io.Reader) ([]byte, error)
}

func (s *textSigner) Micalg() string        { return s.micalg }
func (s *textSigner) Sign() ([]byte, error) { return s.sign(&s.Buffer) }

// digestSigner "signs" by digest: enough to see which octets were signed.
func digestSigner() mail.Signer {
	return &textSigner{micalg: "pgp-sha512", sign: func(text io.Reader) ([]byte, error) {
		h := sha256.New()
		if _, err := io.Copy(h, text); err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, "-----BEGIN PGP SIGNATURE-----\n\n%x\n-----END PGP SIGNATURE-----\n", h.Sum(nil)), nil
	}}
}

func signatureOf(t interface {
	Helper()
	Fatal(...any)
}, text io.Reader,
) string {
	t.Helper()
	s := digestSigner()
	if _, err := io.Copy(s, text); err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return string(sig)
}

func letter(t testing.TB) mail.Message {
	return mail.Message{
		From: address(t, "persandian@contoh.sanapati.test"), To: address(t, "sandi.jateng@contoh.sanapati.test"),
		Subject: "Kiriman persandian", Date: time.Date(2026, 11, 20, 2, 31, 7, 0, time.UTC),
		MessageID: "30313233343536373839616263646566@contoh.sanapati.test",
		Cover:     []byte("sandi-pengantar/1\nnomor 017/DKI/XI/2026\n\nYth. rekan sandi – terlampir.\nFrom kami\n>From lagi\n.\nblank \n"),
		Parts: []mail.Part{
			part("kriptogram.pgp", "application/octet-stream", strings.Repeat("0123456789", 9)),
			part("kriptogram.txt", "text/plain; charset=utf-8", "sandi-kriptogram/1\n"),
			part("kriptogram.txt.paraf.asc", "application/octet-stream", ""),
		},
	}
}

const goldenSigned = `From: persandian@contoh.sanapati.test
To: sandi.jateng@contoh.sanapati.test
Subject: Kiriman persandian
Date: Fri, 20 Nov 2026 09:31:07 +0700
Message-ID: <30313233343536373839616263646566@contoh.sanapati.test>
MIME-Version: 1.0
Content-Type: multipart/signed; boundary="=-sandi-AAECAwQFBgcICQoLDA0ODw";
 protocol="application/pgp-signature"; micalg="pgp-sha512"

This is an OpenPGP/MIME signed message (RFC 3156).
--=-sandi-AAECAwQFBgcICQoLDA0ODw
Content-Type: multipart/mixed; boundary="=-sandi-EBESExQVFhcYGRobHB0eHw";
 hp="clear"; protected-headers="v1"
From: persandian@contoh.sanapati.test
To: sandi.jateng@contoh.sanapati.test
Subject: Kiriman persandian
Date: Fri, 20 Nov 2026 09:31:07 +0700
Message-ID: <30313233343536373839616263646566@contoh.sanapati.test>

--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

sandi-pengantar/1
nomor 017/DKI/XI/2026

Yth. rekan sandi =E2=80=93 terlampir.
=46rom kami
=3EFrom lagi
=2E
blank=20

--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: application/octet-stream; name="kriptogram.pgp"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="kriptogram.pgp"

MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2
Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5
--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: text/plain; charset=utf-8; name="kriptogram.txt"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="kriptogram.txt"

c2FuZGkta3JpcHRvZ3JhbS8xCg==
--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: application/octet-stream; name="kriptogram.txt.paraf.asc"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="kriptogram.txt.paraf.asc"


--=-sandi-EBESExQVFhcYGRobHB0eHw--

--=-sandi-AAECAwQFBgcICQoLDA0ODw
Content-Type: application/pgp-signature; name="signature.asc"
Content-Transfer-Encoding: 7bit

-----BEGIN PGP SIGNATURE-----

DIGEST
-----END PGP SIGNATURE-----

--=-sandi-AAECAwQFBgcICQoLDA0ODw--
`

func TestComposeSigned(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := mail.Compose(&got, letter(t), digestSigner(), &sequence{}); err != nil {
		t.Fatal(err)
	}
	crlf := strings.ReplaceAll(goldenSigned, "\n", "\r\n")
	// The signed entity as RFC 3156 §5 cuts it out, by hand.
	from := strings.Index(crlf, "Content-Type: multipart/mixed")
	to := strings.Index(crlf, "\r\n--=-sandi-AAECAwQFBgcICQoLDA0ODw\r\nContent-Type: application/pgp-signature")
	want := strings.Replace(crlf, "DIGEST", fmt.Sprintf("%x", sha256.Sum256([]byte(crlf[from:to]))), 1)
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
}

func TestComposeUnsigned(t *testing.T) {
	t.Parallel()
	m := letter(t)
	m.Cover, m.Parts = []byte("Terlampir.\n"), []mail.Part{part("S1-2026.pdf", "application/pdf", "%PDF")}
	var got bytes.Buffer
	if err := mail.Compose(&got, m, nil, &sequence{}); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`From: persandian@contoh.sanapati.test
To: sandi.jateng@contoh.sanapati.test
Subject: Kiriman persandian
Date: Fri, 20 Nov 2026 09:31:07 +0700
Message-ID: <30313233343536373839616263646566@contoh.sanapati.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=-sandi-EBESExQVFhcYGRobHB0eHw"

--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Terlampir.

--=-sandi-EBESExQVFhcYGRobHB0eHw
Content-Type: application/pdf; name="S1-2026.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="S1-2026.pdf"

JVBERg==
--=-sandi-EBESExQVFhcYGRobHB0eHw--
`, "\n", "\r\n")
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	smuggling := []string{"\r\n.\r\n", "\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r\n", "\r\n.\n", "\x00", "\r\nBcc: x@y", "\nBcc: x@y", "\x1b[2J", "\x7f", "\u0085", "\u2028", "\u2029", "\u202e", "\u2066", "\u061c"}
	cases := map[string]func(m *mail.Message){
		"no_sender":      func(m *mail.Message) { m.From = mail.Address{} },
		"no_recipient":   func(m *mail.Message) { m.To = mail.Address{} },
		"no_subject":     func(m *mail.Message) { m.Subject = "" },
		"blank_subject":  func(m *mail.Message) { m.Subject = "x " },
		"broken_subject": func(m *mail.Message) { m.Subject = "\xff" },
		"no_date":        func(m *mail.Message) { m.Date = time.Time{} },
		"no_id":          func(m *mail.Message) { m.MessageID = "" },
		"id_brackets":    func(m *mail.Message) { m.MessageID = "<a@b>" },
		"broken_cover":   func(m *mail.Message) { m.Cover = []byte("\xff\n") },
		"name_path":      func(m *mail.Message) { m.Parts[0].Name = "../kriptogram.pgp" },
		"name_quote":     func(m *mail.Message) { m.Parts[0].Name = `a";b="c` },
		"name_hidden":    func(m *mail.Message) { m.Parts[0].Name = ".bashrc" },
		"name_empty":     func(m *mail.Message) { m.Parts[0].Name = "" },
		"media_nested":   func(m *mail.Message) { m.Parts[0].Media = "multipart/mixed" },
		"media_message":  func(m *mail.Message) { m.Parts[0].Media = "message/rfc822" },
		"media_signed":   func(m *mail.Message) { m.Parts[0].Media = "application/pgp-signature" },
		"media_crypt":    func(m *mail.Message) { m.Parts[0].Media = "application/pgp-encrypted" },
		"media_header":   func(m *mail.Message) { m.Parts[0].Media = "text/plain\r\nBcc: x@y" },
		"media_param":    func(m *mail.Message) { m.Parts[0].Media = `text/plain; name="x"` },
		"parts_too_many": func(m *mail.Message) {
			for range 64 {
				m.Parts = append(m.Parts, m.Parts[0])
			}
		},
	}
	for _, s := range smuggling {
		cases[fmt.Sprintf("subject_%q", s)] = func(m *mail.Message) { m.Subject = "Kiriman" + s + "x" }
		cases[fmt.Sprintf("id_%q", s)] = func(m *mail.Message) { m.MessageID = "a" + s + "@b" }
		cases[fmt.Sprintf("name_%q", s)] = func(m *mail.Message) { m.Parts[0].Name = "a" + s + "b" }
		if strings.Trim(s, "\n.") != "" && s[0] != '\n' {
			cases[fmt.Sprintf("cover_%q", s)] = func(m *mail.Message) { m.Cover = []byte("a" + s + "b\n") }
		}
	}
	for name, spoil := range cases {
		m := letter(t)
		spoil(&m)
		for _, sign := range []mail.Signer{nil, digestSigner()} {
			var out bytes.Buffer
			if err := mail.Compose(&out, m, sign, &sequence{}); code(err) != mail.CodeContent || out.Len() != 0 {
				t.Errorf("%s: error %v after %d octets", name, err, out.Len())
			}
		}
	}
}

func TestComposeSignerFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("key locked")
	armor := "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
	all := func(sig, micalg string) mail.Signer {
		return &textSigner{micalg: micalg, sign: func(io.Reader) ([]byte, error) { return []byte(sig), nil }}
	}
	cases := map[string]mail.Signer{
		"error":     &textSigner{micalg: "pgp-sha512", sign: func(io.Reader) ([]byte, error) { return nil, broken }},
		"stops":     stopped{all(armor, "pgp-sha512"), broken},
		"no_armor":  all("signature", "pgp-sha512"),
		"message":   all(strings.ReplaceAll(armor, "SIGNATURE", "MESSAGE"), "pgp-sha512"),
		"long_line": all(strings.Replace(armor, "x", strings.Repeat("x", 77), 1), "pgp-sha512"),
		"injection": all(strings.Replace(armor, "x", "x\r.\r", 1), "pgp-sha512"),
		"no_hash":   all(armor, ""),
		"bad_hash":  all(armor, `pgp-sha512"; x="`),
	}
	for name, sign := range cases {
		if err := mail.Compose(io.Discard, letter(t), sign, &sequence{}); err == nil {
			t.Errorf("%s: accepted", name)
		} else if (name == "error" || name == "stops") && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := mail.Compose(io.Discard, letter(t), all(armor, "pgp-sha512"), strings.NewReader("short")); err == nil {
		t.Error("short random source accepted")
	}
}

// stopped is a signer that takes no text.
type stopped struct {
	mail.Signer
	err error
}

func (s stopped) Write([]byte) (int, error) { return 0, s.err }

func TestComposeSourceFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("medium gone")
	cases := map[string]mail.Part{
		"open": {Name: "a", Media: "application/pdf", Open: func() (io.ReadCloser, error) { return nil, broken }},
		"read": {Name: "a", Media: "application/pdf", Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("abc"), failing{broken})), nil
		}},
	}
	for name, p := range cases {
		m := letter(t)
		m.Parts = []mail.Part{p}
		if err := mail.Compose(io.Discard, m, digestSigner(), &sequence{}); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := mail.Compose(failing{broken}, letter(t), digestSigner(), &sequence{}); !errors.Is(err, broken) {
		t.Errorf("output that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// lineRules checks what every message must obey on the wire and in an mbox.
func lineRules(t interface{ Fatalf(string, ...any) }, msg []byte) {
	if !bytes.HasSuffix(msg, []byte("\r\n")) {
		t.Fatalf("message does not end in CRLF")
	}
	inHeader := true
	for i, l := range strings.Split(strings.TrimSuffix(string(msg), "\r\n"), "\r\n") {
		limit := 76
		switch {
		case l == "":
			inHeader = false
		case strings.HasPrefix(l, "--=-sandi-"):
			inHeader = true
		}
		if inHeader {
			limit = 77
		}
		for j := range len(l) {
			if c := l[j]; c < ' ' && c != '\t' || c > '~' {
				t.Fatalf("line %d: octet %#x", i, c)
			}
		}
		if len(l) > limit || strings.TrimRight(l, " \t") != l {
			t.Fatalf("line %d: too long or blank at its end: %q", i, l)
		}
		if strings.HasPrefix(strings.TrimLeft(l, ">"), "From ") || strings.HasPrefix(l, ".") {
			t.Fatalf("line %d: %q", i, l)
		}
	}
}

func genText(label string, t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"From ", ">From ", ">>From x", ".", "..", "=", "=?utf-8?Q?x?=", "--=-sandi-", "\n", "\n\n", " ", "  \n", "\t\n", "é", "–", "𝄞", "--\n", strings.Repeat("x", 75), strings.Repeat("a ", 40)}),
		rapid.StringMatching(`[ -~]{0,30}`),
	)
	return strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, label), "")
}

func TestComposeParseProperty(t *testing.T) {
	t.Parallel()
	from, to := address(t, "persandian@contoh.test"), address(t, "a.b@c.test")
	rapid.Check(t, func(t *rapid.T) {
		subject := strings.TrimSpace(strings.NewReplacer("\n", " ", "\t", " ").Replace(genText("subject", t)))
		if subject == "" || len(subject) > 500 {
			subject = "Kiriman"
		}
		m := mail.Message{
			From: from, To: to, Subject: subject, MessageID: "0123@contoh.test", Cover: []byte(genText("cover", t)),
			Date: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "date"), 0),
		}
		contents := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 4).Draw(t, "contents")
		for i, c := range contents {
			if i == 0 {
				c = bytes.Repeat(c, rapid.IntRange(0, 300).Draw(t, "repeat"))
				contents[0] = c
			}
			m.Parts = append(m.Parts, part(fmt.Sprintf("part-%d.bin", i), "application/octet-stream", string(c)))
		}
		sign := digestSigner()
		if rapid.Bool().Draw(t, "unsigned") {
			sign = nil
		}
		var buf bytes.Buffer
		if err := mail.Compose(&buf, m, sign, &sequence{}); err != nil {
			t.Fatal(err)
		}
		lineRules(t, buf.Bytes())
		for _, stored := range [][]byte{
			buf.Bytes(), bytes.ReplaceAll(buf.Bytes(), []byte("\r\n"), []byte("\n")),
			append([]byte("From a@b Fri Nov 20 02:31:07 2026\nReturn-Path: <a@b>\nReceived: from x\n\tby y\n"), buf.Bytes()...),
		} {
			p, err := mail.Parse(bytes.NewReader(stored), int64(len(stored)))
			if err != nil {
				t.Fatal(err)
			}
			if p.From != m.From.String() || p.To != m.To.String() || p.Subject != m.Subject || p.MessageID != m.MessageID || !p.Date.Equal(m.Date) {
				t.Fatalf("header %q became %+v", m.Subject, p)
			}
			if string(p.Cover) != string(m.Cover) {
				t.Fatalf("cover %q became %q", m.Cover, p.Cover)
			}
			if len(p.Parts) != len(contents) {
				t.Fatalf("%d parts became %d", len(contents), len(p.Parts))
			}
			for i := range p.Parts {
				got, err := io.ReadAll(p.Parts[i].Open())
				if err != nil || !bytes.Equal(got, contents[i]) || p.Parts[i].Size != int64(len(got)) ||
					p.Parts[i].Name != m.Parts[i].Name || p.Parts[i].Media != m.Parts[i].Media || p.Parts[i].Signed != (sign != nil) {
					t.Fatalf("part %d became %+v, %v", i, p.Parts[i], err)
				}
			}
			if p.Signed != (sign != nil) || p.Protected != p.Signed {
				t.Fatalf("signed %v protected %v", p.Signed, p.Protected)
			}
			if p.Signed && signatureOf(t, p.SignedText()) != string(p.Signature()) {
				t.Fatal("signed text is not what was signed")
			}
			if p.Signed && p.ProtectedHeader["Subject"] != p.Subject {
				t.Fatalf("protected %q", p.ProtectedHeader)
			}
		}
	})
}

func TestEncodedSize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 114, 115, 100000} {
		m := letter(t)
		size := func(content string) int64 {
			m.Parts = []mail.Part{part("a", "application/pdf", content)}
			var b bytes.Buffer
			if err := mail.Compose(&b, m, nil, &sequence{}); err != nil {
				t.Fatal(err)
			}
			return int64(b.Len())
		}
		// The last line's CRLF belongs to the delimiter, which an empty part has too.
		got := size(strings.Repeat("x", n)) - size("")
		if want := mail.EncodedSize(int64(n)) - 2; n > 0 && got != want || n == 0 && mail.EncodedSize(0) != 0 {
			t.Errorf("%d octets: %d more, EncodedSize says %d", n, got, want)
		}
	}
}

func TestSenderOf(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"From: a.b@contoh.test\r\nTo: c@contoh.test\r\n\r\nisi\r\n": "a.b@contoh.test",
		"From:\r\n a.b@contoh.test\r\n\r\n":                         "a.b@contoh.test",
		"To: c@contoh.test\r\n\r\n":                                 "",
		"From: A <a@contoh.test>\r\n\r\n":                           "",
		"tanpa kepala":                                              "",
	}
	for text, want := range cases {
		got, err := mail.SenderOf(strings.NewReader(text))
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
