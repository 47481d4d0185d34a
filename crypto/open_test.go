package crypto

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// verdict opens and returns the verdict, or the code of the error.
func verdict(tb testing.TB, file []byte, p OpenParams) string {
	tb.Helper()
	if p.Now.IsZero() {
		p.Now = monday
	}
	got, err := Open(tb.Context(), io.Discard, bytes.NewReader(file), p)
	if err != nil {
		return codeOf(err)
	}
	return string(got.Inner.Verdict)
}

// Who marked the letter, for whom, and when.
func TestOpenVerdicts(t *testing.T) {
	t.Parallel()
	sandiman, stranger := unlockedKey(t, KindV4, "sandiman"), unlockedKey(t, KindV4, "asing")
	one, two := unlockedKey(t, KindV4, "satu"), unlockedKey(t, KindRSA3072, "dua")
	trusted := []*Certificate{unlockedKey(t, KindV4, "lain").Certificate(), sandiman.Certificate()}
	genuine := func(p SealParams) []byte {
		p.Recipients = append(p.Recipients, recipients(t, one)...)
		_, file := seal(t, []byte("naskah"), p)
		return file
	}
	// by lets the library itself write a message, in ways Seal does not.
	by := func(params openpgp.EncryptParams, to ...*Key) []byte {
		var file bytes.Buffer
		var list []*openpgp.Entity
		for _, k := range to {
			list = append(list, k.entity)
		}
		if params.Config == nil {
			params.Config = libraryConfig(monday)
		}
		w, err := openpgp.EncryptWithParams(&file, list, nil, &params)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "naskah")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	noIntended := libraryConfig(monday)
	noIntended.CheckIntendedRecipients = new(bool)
	compressed := libraryConfig(monday)
	compressed.DefaultCompressionAlgo = packet.CompressionZLIB
	future := monday.Add(MaxClockSkew)
	revokedCertificate := specialKey(t, nil, nil)
	revokedFile := genuine(SealParams{Signer: revokedCertificate})
	e := reparsed(t, revokedCertificate)
	revoke(t, monday.Add(-time.Hour), packet.KeyCompromised)(e)
	revokedNow := keyOf(t, e).Certificate()

	for _, test := range []struct {
		name string
		file []byte
		p    OpenParams
		want string
	}{
		{"genuine", genuine(SealParams{Signer: sandiman}), OpenParams{Key: one, Signers: trusted}, "good"},
		{"genuine, nobody to compare with", genuine(SealParams{Signer: sandiman}), OpenParams{Key: one}, "unchecked"},
		{"unsigned", genuine(SealParams{}), OpenParams{Key: one, Signers: trusted}, "absent"},
		{"re-signed by another office", genuine(SealParams{Signer: stranger}), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"signed by the recipient himself", genuine(SealParams{Signer: one}), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"signed by the recipient, who is trusted", genuine(SealParams{Signer: one}), OpenParams{Key: one, Signers: []*Certificate{one.Certificate()}}, "good"},
		{"signer compromised since", revokedFile, OpenParams{Key: one, Signers: []*Certificate{revokedNow}}, "bad"},
		{"sender's clock five minutes ahead", genuine(SealParams{Signer: sandiman, Now: future}), OpenParams{Key: one, Signers: trusted}, "good"},
		{"sender's clock further ahead", genuine(SealParams{Signer: sandiman, Now: future.Add(time.Second)}), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"opened after the signer's key expired", genuine(SealParams{Signer: sandiman}), OpenParams{Key: one, Signers: trusted, Now: monday.AddDate(5, 0, 0)}, "good"},
		{"foreign, no intended recipients", by(openpgp.EncryptParams{Signers: []*openpgp.Entity{sandiman.entity}, Config: noIntended}, one), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"foreign, compressed", by(openpgp.EncryptParams{Signers: []*openpgp.Entity{sandiman.entity}, Config: compressed}, one), OpenParams{Key: one, Signers: trusted}, "good"},
		{"foreign, text signature", by(openpgp.EncryptParams{Signers: []*openpgp.Entity{sandiman.entity}, TextSig: true}, one), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"foreign, signed twice", by(openpgp.EncryptParams{Signers: []*openpgp.Entity{sandiman.entity, stranger.entity}}, one), OpenParams{Key: one, Signers: trusted}, "bad"},
		{"for somebody else", genuine(SealParams{Signer: sandiman}), OpenParams{Key: two, Signers: trusted}, "crypto.not_recipient"},
		{"with a passphrase packet", by(openpgp.EncryptParams{Passwords: [][]byte{passphrase}}, one), OpenParams{Key: one}, "crypto.envelope"},
		{"no key", genuine(SealParams{}), OpenParams{}, "crypto.no_secret_key"},
		{"letter over the limit", genuine(SealParams{}), OpenParams{Key: one, MaxPlaintext: 5}, "crypto.too_large"},
		{"letter at the limit", genuine(SealParams{}), OpenParams{Key: one, MaxPlaintext: 6}, "absent"},
		{"empty sidecar", genuine(SealParams{}), OpenParams{Key: one, Sidecar: []byte{}}, "crypto.envelope"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := verdict(t, test.file, test.p); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}

	// Forwarding: a recipient re-enciphers the session key to a third office.
	for _, first := range []*Key{one, two} {
		s, file := seal(t, []byte("naskah"), SealParams{Recipients: recipients(t, first), Signer: sandiman})
		third := unlockedKey(t, KindV4, "tiga")
		extra, err := s.Sidecar(third.Certificate(), "")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := splitPackets(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, forwarded := range map[string][]byte{"added": append(bytes.Clone(extra), file...), "alone": append(bytes.Clone(extra), packets[1].bytes()...)} {
			if got := verdict(t, forwarded, OpenParams{Key: third, Signers: trusted}); got != "bad" {
				t.Errorf("forwarded, %s: %s", name, got)
			}
		}
	}
}

// A bad mark of origin keeps its notations to itself.
func TestOpenBadVerdictShowsNoNotations(t *testing.T) {
	t.Parallel()
	k, stranger := unlockedKey(t, KindV4, "satu"), unlockedKey(t, KindV4, "asing")
	_, file := seal(t, []byte("x"), SealParams{Recipients: recipients(t, k), Signer: stranger, Notations: letterNotations})
	got, err := Open(t.Context(), io.Discard, bytes.NewReader(file), OpenParams{Key: k, Signers: []*Certificate{unlockedKey(t, KindV4, "sandiman").Certificate()}, Now: monday})
	if err != nil {
		t.Fatal(err)
	}
	if got.Inner.Verdict != VerdictBad || got.Inner.Notations != nil || got.Inner.IntendedRecipients != nil || got.Inner.Signer != stranger.Certificate().Fingerprint() {
		t.Errorf("got %+v", got.Inner)
	}
}

// However a kriptogram is cut or changed, opening ends in an error or, where
// only the packets' framing differs, in the same letter.
func TestOpenDamaged(t *testing.T) {
	t.Parallel()
	letter := bytes.Repeat([]byte("Naskah. "), 400)
	sandiman := unlockedKey(t, KindV4, "sandiman")
	for _, kind := range []KeyKind{KindRSA3072, KindV6} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := unlockedKey(t, kind, "satu")
			_, file := seal(t, letter, SealParams{Recipients: recipients(t, k), Signer: sandiman})
			p := OpenParams{Key: k, Signers: []*Certificate{sandiman.Certificate()}, Now: monday}
			check := func(what string, at int, damaged []byte) {
				var plain bytes.Buffer
				_, err := Open(t.Context(), &plain, bytes.NewReader(damaged), p)
				if err == nil && !bytes.Equal(plain.Bytes(), letter) {
					t.Errorf("%s at %d: another letter without error", what, at)
				}
				if err == nil && what == "cut" {
					t.Errorf("%s at %d: no error", what, at)
				}
				if err != nil && !strings.HasPrefix(codeOf(err), "crypto.") {
					t.Errorf("%s at %d: uncoded error %v", what, at, err)
				}
			}
			for at := 0; at < len(file); at += 7 {
				check("cut", at, file[:at])
				flipped := bytes.Clone(file)
				flipped[at] ^= 0x21
				check("flip", at, flipped)
			}
		})
	}
}

// A letter of many chunks is opened whole or not at all, whatever is done to
// them; with the chunks of the library's own choice it is opened too.
func TestOpenChunks(t *testing.T) {
	t.Parallel()
	const chunk, tag = 64 << 10, 16
	letter := make([]byte, 4*chunk+100)
	for i := range letter {
		letter[i] = byte(i * i >> 7)
	}
	k := unlockedKey(t, KindV6, "satu")
	s, file := seal(t, letter, SealParams{Recipients: recipients(t, k)})
	packets, err := splitPackets(file)
	if err != nil || s.Format != "SEIPDv2 AES-256 GCM" || len(packets) != 2 {
		t.Fatalf("%s, %d packets, %v", s.Format, len(packets), err)
	}
	body := packets[1].body
	const head = 4 + 32 // version, cipher, mode, size of chunks; salt
	if body[3] != 10 {
		t.Fatalf("chunks of %d octets", 64<<body[3])
	}
	var chunks [][]byte
	for rest := body[head : len(body)-tag]; len(rest) > 0; {
		n := min(len(rest), chunk+tag)
		chunks, rest = append(chunks, rest[:n]), rest[n:]
	}
	last := body[len(body)-tag:]
	open := func(head []byte, last []byte, chunks ...[]byte) ([]byte, error) {
		p := packets[1]
		p.body = slices.Concat(head, slices.Concat(chunks...), last)
		var plain bytes.Buffer
		_, err := Open(t.Context(), &plain, bytes.NewReader(slices.Concat(packets[0].bytes(), p.bytes())), OpenParams{Key: k, Now: monday})
		return plain.Bytes(), err
	}
	front := body[:head]
	if plain, err := open(front, last, chunks...); err != nil || !bytes.Equal(plain, letter) {
		t.Fatalf("as it was: %v", err)
	}
	if len(chunks) != 5 {
		t.Fatalf("%d chunks", len(chunks))
	}
	c := chunks
	larger := bytes.Clone(front)
	larger[3] = 16
	for name, x := range map[string]struct {
		head, last []byte
		chunks     [][]byte
	}{
		"without the last chunk":         {front, last, c[:4]},
		"without the last, and its end":  {front, nil, c[:4]},
		"without the end":                {front, nil, c},
		"without one in the middle":      {front, last, [][]byte{c[0], c[1], c[3], c[4]}},
		"two changed places":             {front, last, [][]byte{c[0], c[2], c[1], c[3], c[4]}},
		"one twice":                      {front, last, [][]byte{c[0], c[1], c[1], c[2], c[3], c[4]}},
		"none":                           {front, last, nil},
		"larger chunks than it was told": {larger, last, c},
	} {
		if _, err := open(x.head, x.last, x.chunks...); codeOf(err) != "crypto.decrypt" {
			t.Errorf("%s: %v", name, err)
		}
	}

	config := libraryConfig(monday)
	config.AEADConfig = &packet.AEADConfig{DefaultMode: packet.AEADModeGCM}
	var older, plain bytes.Buffer
	w, err := openpgp.EncryptWithParams(&older, []*openpgp.Entity{k.entity}, nil, &openpgp.EncryptParams{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(letter)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packets, err = splitPackets(older.Bytes()); err != nil || len(packets) != 2 || packets[1].body[3] == 10 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	if _, err := Open(t.Context(), &plain, &older, OpenParams{Key: k, Now: monday}); err != nil || !bytes.Equal(plain.Bytes(), letter) {
		t.Errorf("other chunks: %v", err)
	}
}

func TestOpenReportsBrokenStreams(t *testing.T) {
	t.Parallel()
	k := unlockedKey(t, KindRSA3072, "satu")
	_, file := seal(t, bytes.Repeat([]byte("x"), 100_000), SealParams{Recipients: recipients(t, k)})
	broken := errors.New("medium gone")
	p := OpenParams{Key: k, Now: monday}
	for _, at := range []int{0, 10, 600, 50_000, len(file)} {
		if _, err := Open(t.Context(), io.Discard, io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(broken)), p); !errors.Is(err, broken) || codeOf(err) == "crypto.decrypt" {
			t.Errorf("source fails at %d: %v", at, err)
		}
	}
	if _, err := Open(t.Context(), failingWriter{broken}, bytes.NewReader(file), p); !errors.Is(err, broken) {
		t.Errorf("target fails: %v", err)
	}
	if got, err := Open(t.Context(), io.Discard, iotest.OneByteReader(bytes.NewReader(file)), p); err != nil || got.Size != 100_000 {
		t.Errorf("one octet at a time: %v, %v", got, err)
	}
}

func TestOpenLockedKey(t *testing.T) {
	t.Parallel()
	k, err := ParseKey(lockedKey(t, KindV4, "satu"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), io.Discard, strings.NewReader(""), OpenParams{Key: k}); !errors.Is(err, ErrPassphrase) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadEnvelope(f *testing.F) {
	for _, kind := range kinds {
		_, file := seal(f, []byte("naskah"), SealParams{Recipients: recipients(f, unlockedKey(f, kind, "satu"))})
		f.Add(file)
	}
	k := unlockedKey(f, KindV4, "satu")
	f.Fuzz(func(t *testing.T, file []byte) {
		facts, err := ReadEnvelope(bytes.NewReader(file))
		if err != nil && !errors.Is(err, ErrEnvelope) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("uncoded error %v", err)
		}
		if err == nil && (len(facts.Recipients) == 0 || !strings.HasPrefix(facts.Format, "SEIPDv")) {
			t.Fatalf("got %+v", facts)
		}
		_, openErr := Open(t.Context(), io.Discard, bytes.NewReader(file), OpenParams{Key: k, Now: monday, MaxPlaintext: 1 << 20})
		if openErr == nil && err != nil {
			t.Fatalf("opened what is not an envelope: %v", err)
		}
		if openErr != nil && !strings.HasPrefix(codeOf(openErr), "crypto.") {
			t.Fatalf("uncoded error %v", openErr)
		}
	})
}
