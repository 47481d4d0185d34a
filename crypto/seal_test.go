package crypto

import (
	"bytes"
	"context"
	stdcrypto "crypto"
	"crypto/sha256"
	"errors"
	"fmt"
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

var letterNotations = []Notation{
	{"sandi-kelas@contoh.test", "rahasia"},
	{"sandi-derajat@contoh.test", "segera"},
	{"sandi-garam@contoh.test", strings.Repeat("7f", 32)},
}

// Every kind of recipient, alone and with each other kind, opens what was
// sealed for it and finds the sandiman's mark.
func TestSealOpenMatrix(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	letter := bytes.Repeat([]byte("Naskah dinas.\r\n"), 40_000)
	formats := map[KeyKind]string{KindV4: "SEIPDv2 AES-256 GCM", KindRSA3072: "SEIPDv1 AES-256 MDC", KindV6: "SEIPDv2 AES-256 GCM", KindPQC: "SEIPDv2 AES-256 GCM"}
	for _, first := range kinds {
		for _, second := range kinds {
			t.Run(string(first)+" and "+string(second), func(t *testing.T) {
				t.Parallel()
				to := []*Key{unlockedKey(t, first, "satu"), unlockedKey(t, second, "dua")}
				s, file := seal(t, letter, SealParams{Recipients: recipients(t, to...), Signer: sandiman, FileName: "naskah.pdf", Notations: letterNotations})
				want := formats[KindV4]
				if first == KindRSA3072 || second == KindRSA3072 {
					want = formats[KindRSA3072]
				}
				if s.Format != want {
					t.Errorf("format %q, want %q", s.Format, want)
				}
				if s.Size != int64(len(file)) || s.SHA256 != sha256.Sum256(file) || s.PlainSize != int64(len(letter)) || s.PlainSHA256 != sha256.Sum256(letter) {
					t.Error("sizes and digests are not those of file and letter")
				}
				for _, k := range to {
					var plain bytes.Buffer
					got, err := Open(t.Context(), &plain, bytes.NewReader(file), OpenParams{Key: k, Signers: []*Certificate{sandiman.Certificate()}, Now: monday})
					if err != nil {
						t.Fatal(err)
					}
					expected := &Opened{
						FileName: "naskah.pdf", Size: int64(len(letter)), SHA256: sha256.Sum256(letter),
						Inner: InnerSignature{
							Verdict: VerdictGood, Signer: sandiman.Certificate().Fingerprint(), SignedAt: monday, Notations: letterNotations,
							IntendedRecipients: []Fingerprint{to[0].Certificate().Fingerprint(), to[1].Certificate().Fingerprint()},
						},
					}
					if diff := cmp.Diff(expected, got); diff != "" {
						t.Error(diff)
					}
					if !bytes.Equal(plain.Bytes(), letter) {
						t.Error("another letter came out")
					}
				}
			})
		}
	}
}

func TestSealSidecarOpensTheSameFile(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	letter := []byte("untuk dibaca sebelum ditandatangani")
	for _, wire := range []KeyKind{KindRSA3072, KindV6} {
		for _, own := range kinds {
			t.Run(string(wire)+" read by "+string(own), func(t *testing.T) {
				t.Parallel()
				head := unlockedKey(t, own, "kasi")
				s, file := seal(t, letter, SealParams{Recipients: recipients(t, unlockedKey(t, wire, "satu")), Signer: sandiman})
				side, err := s.Sidecar(head.Certificate(), pin(t, head.Certificate()).Subkey)
				if err != nil {
					t.Fatal(err)
				}
				params := OpenParams{Key: head, Signers: []*Certificate{sandiman.Certificate()}, Now: monday}
				if _, err := Open(t.Context(), io.Discard, bytes.NewReader(file), params); !errors.Is(err, ErrNotRecipient) {
					t.Errorf("without sidecar: %v", err)
				}
				// Put before the file it is one PKESK more: opened as
				// anybody's file, the mark of origin must not hold.
				forwarded, err := Open(t.Context(), io.Discard, bytes.NewReader(append(bytes.Clone(side), file...)), params)
				if err != nil || forwarded.Inner.Verdict != VerdictBad {
					t.Errorf("forwarded: %v, %v", forwarded, err)
				}
				params.Sidecar = side
				var plain bytes.Buffer
				got, err := Open(t.Context(), &plain, bytes.NewReader(file), params)
				if err != nil {
					t.Fatal(err)
				}
				if got.Inner.Verdict != VerdictGood || !bytes.Equal(plain.Bytes(), letter) {
					t.Errorf("got %v %q", got.Inner, plain.Bytes())
				}
			})
		}
	}
}

// A recipient with AES-128 alone is refused and named, in v4 and v6.
func TestSealRefusesAES128Recipient(t *testing.T) {
	t.Parallel()
	good := unlockedKey(t, KindV4, "satu")
	aes128 := func(cfg *packet.Config) { cfg.DefaultCipher = packet.CipherAES128 }
	for name, adjust := range map[string]func(*packet.Config){
		"v4 with AEAD": aes128,
		"v4 with MDC":  func(cfg *packet.Config) { aes128(cfg); cfg.AEADConfig = nil },
		"v6":           func(cfg *packet.Config) { aes128(cfg); cfg.V6Keys, cfg.Algorithm = true, packet.PubKeyAlgoEd25519 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			weak := specialKey(t, adjust, nil)
			var out bytes.Buffer
			_, err := Seal(t.Context(), &out, strings.NewReader("x"), SealParams{Recipients: recipients(t, good, weak), Policy: Praktis(), Now: monday})
			var coded *Error
			if !errors.As(err, &coded) || coded.Code() != "crypto.no_aes256" || coded.Fingerprint != weak.Certificate().Fingerprint() {
				t.Errorf("got %v", err)
			}
			if out.Len() != 0 {
				t.Errorf("%d octets were written", out.Len())
			}
		})
	}
}

// One recipient offers AES-256 only with GCM and another only with OCB: MDC
// where it is allowed, refusal elsewhere, never AES-128.
func TestSealWithoutCommonMode(t *testing.T) {
	t.Parallel()
	only := func(mode packet.AEADMode) *Key {
		return specialKey(t, nil, func(e *openpgp.Entity) {
			for _, id := range e.Identities {
				sig := id.SelfCertifications[0].Packet
				sig.PreferredCipherSuites = [][2]uint8{{uint8(packet.CipherAES256), uint8(mode)}}
				if err := sig.SignUserId(id.UserId.Id, e.PrimaryKey, e.PrivateKey, libraryConfig(monday.AddDate(0, 0, -1))); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	gcm, ocb := only(packet.AEADModeGCM), only(packet.AEADModeOCB)
	for _, test := range []struct {
		name   string
		to     []*Key
		policy Policy
		format string
		code   string
	}{
		{"only gcm", []*Key{gcm}, Ketat(), "SEIPDv2 AES-256 GCM", ""},
		{"only ocb", []*Key{ocb}, Ketat(), "SEIPDv2 AES-256 OCB", ""},
		{"ocb with one that reads both", []*Key{ocb, unlockedKey(t, KindV6, "satu")}, Ketat(), "SEIPDv2 AES-256 OCB", ""},
		{"nothing in common, MDC allowed", []*Key{gcm, ocb}, Praktis(), "SEIPDv1 AES-256 MDC", ""},
		{"nothing in common, MDC refused", []*Key{gcm, ocb}, Ketat(), "", "crypto.no_mdc_allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			s, err := Seal(t.Context(), &out, strings.NewReader("naskah"), SealParams{Recipients: recipients(t, test.to...), Policy: test.policy, Now: monday})
			if codeOf(err) != test.code {
				t.Fatalf("got %v, want %q", err, test.code)
			}
			if err == nil && s.Format != test.format {
				t.Errorf("format %q, want %q", s.Format, test.format)
			}
		})
	}
}

func TestSealFailsClosed(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	locked, err := ParseKey(lockedKey(t, KindV4, "sandiman"))
	if err != nil {
		t.Fatal(err)
	}
	to := recipients(t, unlockedKey(t, KindV4, "satu"))
	expired := specialKey(t, func(cfg *packet.Config) { cfg.KeyLifetimeSecs = 3600 }, nil)
	for _, test := range []struct {
		name string
		p    SealParams
		code string
	}{
		{"nobody", SealParams{}, "crypto.no_encryption_key"},
		{"the same recipient twice", SealParams{Recipients: append(to, to...)}, "crypto.same_key_id"},
		{"expired recipient", SealParams{Recipients: []Recipient{{Certificate: expired.Certificate()}}}, "crypto.expired"},
		{"another subkey than the pinned one", SealParams{Recipients: []Recipient{{Certificate: to[0].Certificate, Subkey: to[0].Certificate.Fingerprint()}}}, "crypto.subkey_changed"},
		{"locked signer", SealParams{Recipients: to, Signer: locked}, "crypto.passphrase"},
		{"v6 signer", SealParams{Recipients: to, Signer: unlockedKey(t, KindV6, "enam")}, "crypto.v4_required"},
		{"expired signer", SealParams{Recipients: to, Signer: expired}, "crypto.expired"},
		{"name too long", SealParams{Recipients: to, FileName: strings.Repeat("n", 256)}, "crypto.too_large"},
		{"unknown inner hash", SealParams{Recipients: to, Signer: sandiman, Policy: Policy{Name: "x", AllowMDC: true, InnerHash: "SHA-1"}}, "crypto.policy_unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.p.Policy.Name == "" {
				test.p.Policy = Praktis()
			}
			test.p.Now = monday
			var out bytes.Buffer
			s, err := Seal(t.Context(), &out, strings.NewReader("x"), test.p)
			if codeOf(err) != test.code || s != nil {
				t.Errorf("got %v, %v, want %q", s, err, test.code)
			}
			if out.Len() != 0 {
				t.Errorf("%d octets were written", out.Len())
			}
		})
	}
}

func TestSealReportsBrokenStreams(t *testing.T) {
	t.Parallel()
	p := SealParams{Recipients: recipients(t, unlockedKey(t, KindV4, "satu")), Policy: Praktis(), Now: monday}
	broken := errors.New("medium gone")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		dst  io.Writer
		src  io.Reader
		want error
	}{
		{"source fails", t.Context(), io.Discard, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)), broken},
		{"source is cut", t.Context(), io.Discard, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"target is full", t.Context(), failingWriter{broken}, strings.NewReader("x"), broken},
		{"cancelled", cancelled, io.Discard, strings.NewReader("x"), context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if s, err := Seal(test.ctx, test.dst, test.src, p); !errors.Is(err, test.want) || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestSealInnerHashFollowsPolicy(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	// The recipient's preference must not weaken the policy's hash.
	sha256Only := specialKey(t, func(cfg *packet.Config) { cfg.DefaultHash = stdcrypto.SHA256 }, nil)
	for _, policy := range []Policy{Praktis(), Ketat()} {
		s, file := seal(t, []byte("x"), SealParams{Recipients: recipients(t, sha256Only), Signer: sandiman, Policy: policy})
		if s.digest.String() != policy.InnerHash {
			t.Errorf("%s: %s", policy.Name, s.digest)
		}
		got, err := Open(t.Context(), io.Discard, bytes.NewReader(file), OpenParams{Key: sha256Only, Signers: []*Certificate{sandiman.Certificate()}, Now: monday})
		if err != nil || got.Inner.Verdict != VerdictGood {
			t.Errorf("%s: %v, %v", policy.Name, got, err)
		}
	}
}

func TestSealAnyLetter(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	keys := []*Key{unlockedKey(t, KindV4, "satu"), unlockedKey(t, KindRSA3072, "dua")}
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom(keys).Draw(rt, "key")
		size := rapid.OneOf(rapid.IntRange(0, 600), rapid.IntRange(copySize-2, copySize+2), rapid.IntRange(0, 3*copySize)).Draw(rt, "size")
		letter := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "octet")}, size)
		p := SealParams{Recipients: recipients(t, k), Policy: Praktis(), Now: monday, FileName: rapid.StringN(0, 60, 100).Draw(rt, "name")}
		if rapid.Bool().Draw(rt, "signed") {
			p.Signer = sandiman
		}
		var file, plain bytes.Buffer
		s, err := Seal(t.Context(), &file, bytes.NewReader(letter), p)
		if err != nil {
			rt.Fatal(err)
		}
		if err := s.CheckEnvelope(t.Context(), bytes.NewReader(file.Bytes())); err != nil {
			rt.Fatal(err)
		}
		got, err := Open(t.Context(), &plain, bytes.NewReader(file.Bytes()), OpenParams{Key: k, Signers: []*Certificate{sandiman.Certificate()}, Now: monday})
		if err != nil {
			rt.Fatal(err)
		}
		want := VerdictAbsent
		if p.Signer != nil {
			want = VerdictGood
		}
		if !bytes.Equal(plain.Bytes(), letter) || got.FileName != p.FileName || got.Inner.Verdict != want {
			rt.Fatalf("got %+v", got)
		}
	})
}

func TestSealedWipe(t *testing.T) {
	t.Parallel()
	k := unlockedKey(t, KindV4, "satu")
	s, file := seal(t, []byte("x"), SealParams{Recipients: recipients(t, k)})
	held := s.sessionKey
	s.Wipe()
	if !bytes.Equal(held, make([]byte, sessionKeySize)) {
		t.Error("the session key is still there")
	}
	if err := s.CheckEnvelope(t.Context(), bytes.NewReader(file)); !errors.Is(err, ErrEnvelope) {
		t.Errorf("check: %v", err)
	}
	if _, err := s.Sidecar(k.Certificate(), ""); !errors.Is(err, ErrEnvelope) {
		t.Errorf("sidecar: %v", err)
	}
}

func TestSidecarRefusesUnfitCertificates(t *testing.T) {
	t.Parallel()
	s, _ := seal(t, []byte("x"), SealParams{Recipients: recipients(t, unlockedKey(t, KindV6, "satu")), Policy: Ketat()})
	other := unlockedKey(t, KindV4, "dua").Certificate()
	expired := specialKey(t, func(cfg *packet.Config) { cfg.KeyLifetimeSecs = 3600 }, nil).Certificate()
	revoked := specialKey(t, nil, revoke(t, monday.Add(-time.Hour), packet.KeyCompromised)).Certificate()
	for _, test := range []struct {
		name   string
		c      *Certificate
		subkey Fingerprint
		code   string
	}{
		{"pinned", other, pin(t, other).Subkey, ""},
		{"not pinned", other, "", ""},
		{"changed", other, other.Fingerprint(), "crypto.subkey_changed"},
		{"expired", expired, "", "crypto.expired"},
		{"revoked", revoked, "", "crypto.revoked"},
		{"without AEAD, though the policy wants it on the wire", unlockedKey(t, KindRSA3072, "dua").Certificate(), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := s.Sidecar(test.c, test.subkey); codeOf(err) != test.code {
				t.Errorf("got %v, want %q", err, test.code)
			}
		})
	}
}

// Whatever is done to the list of packets, the envelope check refuses it,
// and opening refuses it or denies the mark of origin.
func TestEnvelopeTampering(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	for _, kind := range []KeyKind{KindRSA3072, KindV6} {
		one, two, three := unlockedKey(t, kind, "satu"), unlockedKey(t, kind, "dua"), unlockedKey(t, kind, "tiga")
		s, file := seal(t, []byte("naskah"), SealParams{Recipients: recipients(t, one, two), Signer: sandiman})
		packets, err := splitPackets(file)
		if err != nil || len(packets) != 3 {
			t.Fatal(len(packets), err)
		}
		a, b, data := packets[0].bytes(), packets[1].bytes(), packets[2].bytes()
		added, err := s.Sidecar(three.Certificate(), "")
		if err != nil {
			t.Fatal(err)
		}
		var skesk bytes.Buffer
		if err := packet.SerializeSymmetricKeyEncryptedAEADReuseKey(&skesk, s.sessionKey, passphrase, kind == KindV6, libraryConfig(monday)); err != nil {
			t.Fatal(err)
		}
		other, otherFile := seal(t, []byte("naskah lain"), SealParams{Recipients: recipients(t, one, two), Signer: sandiman})
		otherPackets, err := splitPackets(otherFile)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(data)
		flipped[len(flipped)-1] ^= 1
		marker := rawPacket{tag: 10, body: []byte("PGP")}.bytes()
		padding := rawPacket{tag: 21, body: make([]byte, 16)}.bytes()
		for _, test := range []struct {
			name string
			file [][]byte
			// outcome of Open for the first recipient: an error code or a verdict
			open string
		}{
			{"as written", [][]byte{file}, "good"},
			{"framed anew", [][]byte{a, b, data}, "good"},
			{"PKESK added", [][]byte{a, b, added, data}, "bad"},
			{"PKESK removed", [][]byte{a, data}, "bad"},
			{"own PKESK removed", [][]byte{b, data}, "crypto.not_recipient"},
			{"PKESK replaced", [][]byte{a, added, data}, "good"}, // the draft's digest of the file shows it
			{"reordered", [][]byte{b, a, data}, "good"},          // likewise
			{"duplicated", [][]byte{a, a, b, data}, "bad"},
			{"SKESK added", [][]byte{a, b, skesk.Bytes(), data}, "crypto.envelope"},
			{"marker added", [][]byte{a, marker, b, data}, "crypto.envelope"},
			{"padding added", [][]byte{a, b, data, padding}, "crypto.envelope"},
			{"padding before", [][]byte{padding, a, b, data}, "crypto.envelope"},
			{"octet behind", [][]byte{a, b, data, {0}}, "crypto.envelope"},
			{"cut", [][]byte{a, b, data[:len(data)-5]}, "crypto.envelope"},
			{"no data", [][]byte{a, b}, "crypto.envelope"},
			{"data twice", [][]byte{a, b, data, data}, "crypto.envelope"},
			{"no key", [][]byte{data}, "crypto.envelope"},
			{"last octet changed", [][]byte{a, b, flipped}, "crypto.decrypt"},
			{"data of another letter", [][]byte{a, b, otherPackets[2].bytes()}, "crypto.decrypt"},
			{"empty", nil, "crypto.envelope"},
		} {
			t.Run(fmt.Sprintf("%s %s", kind, test.name), func(t *testing.T) {
				t.Parallel()
				whole := bytes.Join(test.file, nil)
				err := s.CheckEnvelope(t.Context(), bytes.NewReader(whole))
				if asWritten := bytes.Equal(whole, file); (err == nil) != asWritten || (err != nil && !errors.Is(err, ErrEnvelope)) {
					t.Errorf("check: %v", err)
				}
				// Without the digest of the file the packets alone must show it.
				claimed := *s
				claimed.Size, claimed.SHA256 = int64(len(whole)), sha256.Sum256(whole)
				err = claimed.CheckEnvelope(t.Context(), bytes.NewReader(whole))
				if same := test.name == "as written" || test.name == "framed anew"; (err == nil) != same || (err != nil && !errors.Is(err, ErrEnvelope)) {
					t.Errorf("check of the packets: %v", err)
				}
				got, err := Open(t.Context(), io.Discard, bytes.NewReader(whole), OpenParams{Key: one, Signers: []*Certificate{sandiman.Certificate()}, Now: monday})
				outcome := codeOf(err)
				if err == nil {
					outcome = string(got.Inner.Verdict)
				}
				if outcome != test.open {
					t.Errorf("open: %s (%v), want %s", outcome, err, test.open)
				}
			})
		}
		other.Wipe()
	}
}

// The envelope check compares with what this Seal wrote, not with any well
// formed kriptogram for the same recipients: not with one of another session
// key, and not with another letter under the same one.
func TestCheckEnvelopeRefusesAnotherKriptogram(t *testing.T) {
	t.Parallel()
	sandiman := unlockedKey(t, KindV4, "sandiman")
	for _, kind := range []KeyKind{KindRSA3072, KindV6} {
		p := SealParams{Recipients: recipients(t, unlockedKey(t, kind, "satu")), Signer: sandiman, Policy: Praktis(), Now: monday, FileName: "naskah.pdf"}
		s, _ := seal(t, []byte("naskah"), p)
		_, again := seal(t, []byte("naskah"), p)
		if err := s.CheckEnvelope(t.Context(), bytes.NewReader(again)); !errors.Is(err, ErrEnvelope) {
			t.Errorf("another session key: %v", err)
		}
		for name, change := range map[string]func(*Sealed) (letter string, signed bool){
			"the same":           func(*Sealed) (string, bool) { return "naskah", true },
			"another letter":     func(*Sealed) (string, bool) { return "NASKAH", true },
			"a longer letter":    func(*Sealed) (string, bool) { return "naskah ", true },
			"without signature":  func(*Sealed) (string, bool) { return "naskah", false },
			"another file name":  func(o *Sealed) (string, bool) { o.fileName = "lain.pdf"; return "naskah", true },
			"another recipient":  func(o *Sealed) (string, bool) { o.recipients = otherRecipients(t, kind); return "naskah", true },
			"another format":     func(o *Sealed) (string, bool) { o.mode = packet.AEADModeOCB; return "naskah", true },
			"a signature of now": func(o *Sealed) (string, bool) { o.now = monday.Add(time.Hour); return "naskah", true },
		} {
			other := *s
			letter, withSignature := change(&other)
			var inner *pendingSignature
			if withSignature {
				var err error
				if inner, err = p.innerSignature(&other); err != nil {
					t.Fatal(err)
				}
			}
			var file bytes.Buffer
			if err := other.write(t.Context(), &file, strings.NewReader(letter), inner); err != nil {
				t.Fatal(err)
			}
			claimed := *s
			claimed.Size, claimed.SHA256 = int64(file.Len()), sha256.Sum256(file.Bytes())
			err := claimed.CheckEnvelope(t.Context(), &file)
			// The date inside a genuine signature is not compared.
			if good := name == "the same" || name == "a signature of now"; (err == nil) != good || (err != nil && !errors.Is(err, ErrEnvelope)) {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
	}
}

func otherRecipients(tb testing.TB, kind KeyKind) []chosen {
	tb.Helper()
	all, err := SealParams{Recipients: recipients(tb, unlockedKey(tb, kind, "lain")), Policy: Praktis()}.choose(monday)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestReadEnvelope(t *testing.T) {
	t.Parallel()
	v4, rsa, v6 := unlockedKey(t, KindV4, "satu"), unlockedKey(t, KindRSA3072, "satu"), unlockedKey(t, KindV6, "satu")
	keyID := func(k *Key) uint64 { return k.Certificate().Facts(monday).Encryption.KeyID }
	fpr := func(k *Key) Fingerprint { return k.Certificate().Facts(monday).Encryption.Fingerprint }
	for _, test := range []struct {
		name string
		to   []*Key
		want EnvelopeFacts
	}{
		{"mdc", []*Key{rsa, v6}, EnvelopeFacts{"SEIPDv1 MDC", []PacketRecipient{{3, keyID(rsa), ""}, {3, keyID(v6), ""}}}},
		{"aead", []*Key{v4, v6}, EnvelopeFacts{"SEIPDv2 AES-256 GCM", []PacketRecipient{{6, keyID(v4), fpr(v4)}, {6, keyID(v6), fpr(v6)}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, file := seal(t, bytes.Repeat([]byte("x"), 100_000), SealParams{Recipients: recipients(t, test.to...)})
			got, err := ReadEnvelope(iotest.OneByteReader(bytes.NewReader(file)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Error(diff)
			}
			if v := fpr(v6).keyID(); v != keyID(v6) {
				t.Errorf("key id %x of the fingerprint, want %x", v, keyID(v6))
			}
		})
	}
}
