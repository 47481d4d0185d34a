package crypto

import (
	"bytes"
	stdcrypto "crypto"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const draft = "sandi-kriptogram/1\nentri K1/2026\nkonsep 1\nmakna paraf: telah disandikan; ttd: diperintahkan dikirim\n"

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func signed(tb testing.TB, k *Key, text string, at time.Time) []byte {
	tb.Helper()
	sig, micalg, err := SignText(k, strings.NewReader(text), at)
	if err != nil {
		tb.Fatal(err)
	}
	if micalg != "pgp-sha512" {
		tb.Fatalf("micalg %s", micalg)
	}
	return sig
}

func TestSignTextPacket(t *testing.T) {
	t.Parallel()
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		k := unlockedKey(t, kind, "satu")
		sig := signed(t, k, draft, monday.Add(700*time.Millisecond))
		if !bytes.HasPrefix(sig, []byte("-----BEGIN PGP SIGNATURE-----\n\n")) || !bytes.HasSuffix(sig, []byte("-----END PGP SIGNATURE-----\n")) {
			t.Errorf("armor %q", sig)
		}
		if lines := bytes.Split(sig, []byte("\n")); lines[len(lines)-3][0] != '=' {
			t.Errorf("no checksum line: %q", lines[len(lines)-3])
		}
		p, _, err := parseSignature(sig)
		if err != nil {
			t.Fatal(err)
		}
		if p.Version != 4 || p.SigType != packet.SigTypeText || p.Hash != stdcrypto.SHA512 || p.Notations != nil || !p.CreationTime.Equal(monday) {
			t.Errorf("%s: %+v", kind, p)
		}
		issuer, err := SignatureIssuer(sig)
		if err != nil || issuer != k.Certificate().Fingerprint() {
			t.Errorf("issuer %s, %v", issuer, err)
		}
	}
}

// What verifies, and what does not.
func TestVerifyText(t *testing.T) {
	t.Parallel()
	paraf, head := unlockedKey(t, KindV4, "sandiman"), unlockedKey(t, KindRSA3072, "kasi")
	bySubkey := specialKey(t, nil, func(e *openpgp.Entity) {
		if err := e.AddSigningSubkey(libraryConfig(monday.AddDate(0, 0, -1))); err != nil {
			t.Fatal(err)
		}
	})
	sig := signed(t, head, draft, monday)
	subkeySig := signed(t, bySubkey, draft, monday)
	good := func(by *Key) Signature {
		return Signature{Signer: by.Certificate().Fingerprint(), SignedAt: monday, Hash: "SHA-512", Text: true}
	}
	raw, err := dearmor(sig, maxSignature, openpgp.SignatureType)
	if err != nil {
		t.Fatal(err)
	}
	parafRaw, err := dearmor(signed(t, paraf, draft, monday), maxSignature, openpgp.SignatureType)
	if err != nil {
		t.Fatal(err)
	}
	revokedLater := func(reason packet.ReasonForRevocation) *Certificate {
		e := reparsed(t, head)
		revoke(t, monday.AddDate(0, 1, 0), reason)(e)
		return keyOf(t, e).Certificate()
	}
	other := func(kind packet.SignatureType, digest stdcrypto.Hash, notations ...*packet.Notation) []byte {
		return handmade(t, head, draft, kind, digest, notations...)
	}
	for _, test := range []struct {
		name string
		text string
		sig  []byte
		by   *Certificate
		at   time.Time
		want Signature
		code string
	}{
		{name: "good", text: draft, sig: sig, want: good(head)},
		{name: "good with CRLF line ends", text: crlf(draft), sig: sig, want: good(head)},
		{name: "good in binary", text: draft, sig: raw, want: good(head)},
		{name: "good by a subkey", text: draft, sig: subkeySig, by: bySubkey.Certificate(), want: good(bySubkey)},
		{name: "after the key expired", text: draft, sig: sig, at: monday.AddDate(5, 0, 0), want: good(head)},
		{name: "clock five minutes behind", text: draft, sig: sig, at: monday.Add(-MaxClockSkew), want: good(head)},
		{name: "from the future", text: draft, sig: sig, at: monday.Add(-MaxClockSkew - time.Second), code: "crypto.signature_bad"},
		{name: "key superseded later", text: draft, sig: sig, by: revokedLater(packet.KeySuperseded), want: good(head)},
		{name: "key compromised later", text: draft, sig: sig, by: revokedLater(packet.KeyCompromised), code: "crypto.signature_bad"},
		{name: "paraf offered as ttd", text: draft, sig: parafRaw, code: "crypto.signer_unknown"},
		{name: "ttd over draft 1 for draft 2", text: strings.Replace(draft, "konsep 1", "konsep 2", 1), sig: sig, code: "crypto.signature_bad"},
		{name: "extra line", text: draft + "penerima 3/3\n", sig: sig, code: "crypto.signature_bad"},
		{name: "trailing blank", text: strings.Replace(draft, "konsep 1", "konsep 1 ", 1), sig: sig, code: "crypto.signature_bad"},
		{name: "no last line end", text: strings.TrimSuffix(draft, "\n"), sig: sig, code: "crypto.signature_bad"},
		{name: "binary type", text: draft, sig: other(packet.SigTypeBinary, stdcrypto.SHA512), code: "crypto.signature_type"},
		{name: "SHA-256", text: draft, sig: other(packet.SigTypeText, stdcrypto.SHA256), want: Signature{Signer: good(head).Signer, SignedAt: monday, Hash: "SHA-256", Text: true}},
		{name: "SHA-1", text: draft, sig: other(packet.SigTypeText, stdcrypto.SHA1), code: "crypto.signature_bad"},
		{name: "critical notation", text: draft, sig: other(packet.SigTypeText, stdcrypto.SHA512, &packet.Notation{Name: "x@y", IsCritical: true}), code: "crypto.signature_bad"},
		{name: "two signatures", text: draft, sig: append(bytes.Clone(raw), parafRaw...), code: "crypto.signature_type"},
		{name: "two armored blocks", text: draft, sig: append(bytes.Clone(sig), sig...), code: "crypto.malformed"},
		{name: "a certificate", text: draft, sig: head.Certificate().Bytes(), code: "crypto.signature_type"},
		{name: "empty", text: draft, code: "crypto.malformed"},
		{name: "cut", text: draft, sig: raw[:len(raw)-1], code: "crypto.malformed"},
		{name: "too large", text: draft, sig: make([]byte, maxSignature+1), code: "crypto.too_large"},
		{name: "version 6", text: draft, sig: rawPacket{tag: tagSignature, body: []byte{6, 1, 27, 10}}.bytes(), code: "crypto.signature_type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.by == nil {
				test.by = head.Certificate()
			}
			if test.at.IsZero() {
				test.at = monday
			}
			got, err := VerifyText(strings.NewReader(test.text), test.sig, test.by, test.at)
			if codeOf(err) != test.code {
				t.Fatalf("got %v, want %q", err, test.code)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// handmade signs in ways that SignText does not.
func handmade(tb testing.TB, k *Key, text string, kind packet.SignatureType, digest stdcrypto.Hash, notations ...*packet.Notation) []byte {
	tb.Helper()
	cfg := libraryConfig(monday)
	key, err := k.signingKey(monday)
	if err != nil {
		tb.Fatal(err)
	}
	sig := newSignature(key.PublicKey, kind, digest, monday)
	sig.Notations = notations
	h, err := sig.PrepareSign(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w := io.Writer(h)
	if kind == packet.SigTypeText {
		w = openpgp.NewCanonicalTextHash(h)
	}
	io.WriteString(w, text)
	if err := sig.Sign(h, key.PrivateKey, cfg); err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	if err := sig.Serialize(&out); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestVerifyForeign(t *testing.T) {
	t.Parallel()
	k := unlockedKey(t, KindRSA3072, "kasi")
	for name, test := range map[string]struct {
		sig  []byte
		code string
	}{
		"text":               {handmade(t, k, draft, packet.SigTypeText, stdcrypto.SHA256), ""},
		"binary over LF":     {handmade(t, k, draft, packet.SigTypeBinary, stdcrypto.SHA256), ""},
		"binary over CRLF":   {handmade(t, k, crlf(draft), packet.SigTypeBinary, stdcrypto.SHA256), ""},
		"binary over others": {handmade(t, k, draft+" ", packet.SigTypeBinary, stdcrypto.SHA256), "crypto.signature_bad"},
		"certification":      {handmade(t, k, draft, packet.SigTypeGenericCert, stdcrypto.SHA256), "crypto.signature_type"},
	} {
		for form, text := range map[string]string{"LF": draft, "CRLF": crlf(draft)} {
			got, err := VerifyForeign([]byte(text), test.sig, k.Certificate(), monday)
			if codeOf(err) != test.code {
				t.Errorf("%s, %s: %v", name, form, err)
			}
			if err == nil && (got.Signer != k.Certificate().Fingerprint() || got.Text != (name == "text")) {
				t.Errorf("%s, %s: %+v", name, form, got)
			}
		}
	}
}

func TestSignTextRefuses(t *testing.T) {
	t.Parallel()
	locked, err := ParseKey(lockedKey(t, KindV4, "satu"))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("medium gone")
	for name, test := range map[string]struct {
		k    *Key
		text io.Reader
		at   time.Time
		want error
	}{
		"locked":      {locked, strings.NewReader(draft), monday, ErrPassphrase},
		"v6":          {unlockedKey(t, KindV6, "satu"), strings.NewReader(draft), monday, ErrV4Required},
		"expired":     {unlockedKey(t, KindV4, "satu"), strings.NewReader(draft), monday.AddDate(3, 0, 0), ErrExpired},
		"broken text": {unlockedKey(t, KindV4, "satu"), iotest.ErrReader(broken), monday, broken},
	} {
		if sig, _, err := SignText(test.k, test.text, test.at); !errors.Is(err, test.want) || sig != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	k := unlockedKey(t, KindV4, "satu")
	sig := signed(t, k, draft, monday)
	if _, err := VerifyText(iotest.ErrReader(broken), sig, k.Certificate(), monday); !errors.Is(err, broken) {
		t.Errorf("verify: %v", err)
	}
}

// Any text verifies with either line end, and no other text does.
func TestSignTextAnyText(t *testing.T) {
	t.Parallel()
	k := unlockedKey(t, KindV4, "satu")
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[ -~]{0,40}`), 1, 8)
		text := strings.Join(lines.Draw(rt, "lines"), "\n") + "\n"
		other := strings.Join(lines.Draw(rt, "other"), "\n") + "\n"
		sig := signed(t, k, text, monday)
		for _, form := range []string{text, crlf(text), other, crlf(other)} {
			_, err := VerifyText(strings.NewReader(form), sig, k.Certificate(), monday)
			same := strings.ReplaceAll(form, "\r\n", "\n") == text
			if same != (err == nil) || (err != nil && !errors.Is(err, ErrSignatureBad)) {
				rt.Fatalf("%q signed, %q checked: %v", text, form, err)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	k := unlockedKey(f, KindV4, "satu")
	genuine := signed(f, k, draft, monday)
	f.Add(genuine)
	f.Add(handmade(f, k, draft, packet.SigTypeBinary, stdcrypto.SHA256))
	f.Add(signed(f, unlockedKey(f, KindRSA3072, "kasi"), draft, monday))
	c := k.Certificate()
	f.Fuzz(func(t *testing.T, sig []byte) {
		if _, err := SignatureIssuer(sig); err != nil && !strings.HasPrefix(codeOf(err), "crypto.") {
			t.Fatalf("uncoded error %v", err)
		}
		for _, text := range []string{draft, "naskah lain\n"} {
			got, err := VerifyForeign([]byte(text), sig, c, monday)
			if err != nil && !strings.HasPrefix(codeOf(err), "crypto.") {
				t.Fatalf("uncoded error %v", err)
			}
			if err == nil && (text != draft || got.Signer != c.Fingerprint()) {
				t.Fatalf("forged: %+v over %q", got, text)
			}
		}
	})
}

// The text that is signed is the library's canonical one, however it is cut.
func TestCanonicalText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		want, got := sha256.New(), &canonicalText{out: sha256.New()}
		library := openpgp.NewCanonicalTextHash(want)
		for _, p := range rapid.SliceOf(rapid.SliceOf(rapid.SampledFrom([]string{"a", "\r\n", "\r\n", "\r\n", "\n", "\r"}))).Draw(rt, "text") {
			// A CRLF may be cut too.
			text := strings.Join(p, "")
			cut := rapid.IntRange(0, len(text)).Draw(rt, "cut")
			for _, p := range []string{text[:cut], text[cut:]} {
				if n, err := got.Write([]byte(p)); n != len(p) || err != nil {
					rt.Fatalf("%d of %d, %v", n, len(p), err)
				}
			}
			library.Write([]byte(text))
		}
		got.end()
		if !bytes.Equal(got.out.Sum(nil), want.Sum(nil)) {
			rt.Fatal("another text")
		}
	})
}
