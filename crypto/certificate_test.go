package crypto

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseFingerprint(t *testing.T) {
	t.Parallel()
	v4 := strings.Repeat("0a", 20)
	for in, want := range map[string]Fingerprint{
		v4:                                       Fingerprint(v4),
		strings.ToUpper(v4):                      Fingerprint(v4),
		" " + strings.Repeat("0A0a ", 10) + "\n": Fingerprint(v4),
		strings.Repeat("0a", 32):                 Fingerprint(strings.Repeat("0a", 32)),
		"":                                       "",
		v4[:38]:                                  "",
		v4 + "00":                                "",
		strings.Repeat("0g", 20):                 "",
		"0x" + v4[2:]:                            "",
	} {
		got, err := ParseFingerprint(in)
		if got != want || (err == nil) != (want != "") || (err != nil && !errors.Is(err, ErrMalformed)) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestFingerprintGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Fingerprint(rapid.StringMatching(`[0-9a-f]{40}([0-9a-f]{24})?`).Draw(t, "fingerprint"))
		groups := want.Groups()
		if len(groups)*4 != len(want) {
			t.Fatalf("%d groups", len(groups))
		}
		if got, err := ParseFingerprint(strings.Join(groups, " ")); got != want || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestFacts(t *testing.T) {
	t.Parallel()
	created := monday.AddDate(0, 0, -1)
	expires := created.Add(2 * 365 * 24 * time.Hour)
	for _, test := range []struct {
		kind               KeyKind
		version            int
		primary, secondary string
		aead, pq           bool
	}{
		{KindV4, 4, "Ed25519", "Curve25519", true, false},
		{KindRSA3072, 4, "RSA 3072", "RSA 3072", false, false},
		{KindV6, 6, "Ed25519", "X25519", true, false},
		{KindPQC, 6, "ML-DSA-65+Ed25519", "ML-KEM-768+X25519", true, true},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			k := unlockedKey(t, test.kind, "satu")
			sub := k.entity.Subkeys[0].PublicKey
			want := Facts{
				Version: test.version, Fingerprint: fingerprintOf(k.entity.PrimaryKey), Algorithm: test.primary,
				Created: created, Expires: expires, UserIDs: []string{"satu <satu@contoh.test>"},
				Encryption: &SubkeyFacts{
					Fingerprint: fingerprintOf(sub), KeyID: sub.KeyId, Algorithm: test.secondary,
					Created: created, Expires: expires, PostQuantum: test.pq,
				},
				SEIPDv2: test.aead, ListsAES256: true,
			}
			if diff := cmp.Diff(want, k.Certificate().Facts(monday)); diff != "" {
				t.Error(diff)
			}
			want.Encryption = nil
			if diff := cmp.Diff(want, k.Certificate().Facts(expires.AddDate(0, 0, 1))); diff != "" {
				t.Errorf("after expiry: %s", diff)
			}
		})
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	t.Parallel()
	c := unlockedKey(t, KindV4, "satu").Certificate()
	other := unlockedKey(t, KindV4, "dua").Certificate()
	secret := lockedKey(t, KindV4, "satu")
	rawSecret, err := dearmor(secret, maxKeyData, openpgp.PrivateKeyType)
	if err != nil {
		t.Fatal(err)
	}
	sig, _, err := SignText(unlockedKey(t, KindV4, "satu"), strings.NewReader("x"), monday)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		code string
	}{
		"armored":              {c.Armor(), ""},
		"armored in a letter":  {append([]byte("Berikut sertifikat kami:\r\n\r\n"), c.Armor()...), ""},
		"binary":               {c.Bytes(), ""},
		"empty":                {nil, "crypto.malformed"},
		"text":                 {[]byte("bukan sertifikat"), "crypto.malformed"},
		"secret armored":       {secret, "crypto.secret_key_in_certificate"},
		"secret binary":        {rawSecret, "crypto.secret_key_in_certificate"},
		"secret behind public": {append(c.Bytes(), rawSecret...), "crypto.secret_key_in_certificate"},
		"two armored":          {append(c.Armor(), other.Armor()...), "crypto.malformed"},
		"two binary":           {append(c.Bytes(), other.Bytes()...), "crypto.malformed"},
		"cut":                  {c.Bytes()[:len(c.Bytes())-3], "crypto.malformed"},
		"primary key alone":    {c.parts.primary.head.bytes(), "crypto.malformed"},
		"signature":            {sig, "crypto.malformed"},
		"too large":            {make([]byte, maxKeyData+1), "crypto.too_large"},
	} {
		got, err := ParseCertificate(test.data)
		if codeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
		if err == nil && !bytes.Equal(got.Bytes(), c.Bytes()) {
			t.Errorf("%s: another certificate", name)
		}
	}
}

func TestCertificateOfSecret(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		c, err := CertificateOfSecret(lockedKey(t, kind, "satu"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCertificate(c.Armor())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), c.Bytes()) || again.Fingerprint() != c.Fingerprint() {
			t.Errorf("%s: another certificate", kind)
		}
	}
	if _, err := CertificateOfSecret(unlockedKey(t, KindV4, "satu").Certificate().Bytes()); !errors.Is(err, ErrNoSecretKey) {
		t.Errorf("public: %v", err)
	}
}

// A certificate that came in pieces, doubled or with foreign packets is the
// same certificate, in octets that parse to themselves.
func TestCertificateBytesAreStable(t *testing.T) {
	t.Parallel()
	c := unlockedKey(t, KindV4, "satu").Certificate()
	rapid.Check(t, func(rt *rapid.T) {
		var data []byte
		for _, part := range append(append([]component{c.parts.primary}, c.parts.ids...), c.parts.subkeys...) {
			copies := 1
			if part.head.tag != tagPublicKey {
				copies = rapid.IntRange(1, 3).Draw(rt, "copies")
			}
			for range copies {
				data = append(data, part.head.bytes()...)
				for range rapid.IntRange(1, 2).Draw(rt, "signatures") {
					for _, s := range part.signatures {
						data = append(data, s.bytes()...)
					}
				}
				if rapid.Bool().Draw(rt, "trust packet") {
					data = append(data, rawPacket{tag: 12, body: []byte{1, 2}}.bytes()...)
				}
			}
		}
		got, err := ParseCertificate(data)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), c.Bytes()) {
			rt.Fatal("another certificate")
		}
	})
}

func TestSameKeyMaterial(t *testing.T) {
	t.Parallel()
	k := unlockedKey(t, KindV4, "satu")
	// The same Ed25519 secret as a certificate of another day, name and
	// fingerprint.
	later := *k.entity.PrimaryKey
	later.CreationTime = later.CreationTime.Add(time.Hour)
	var body bytes.Buffer
	if err := later.Serialize(&body); err != nil {
		t.Fatal(err)
	}
	packets, err := splitPackets(body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	twin := &Certificate{material: [][]byte{keyMaterial(packets[0].body)}}
	// The same point in the packet of RFC 9580, in v4 and in v6.
	raw := packets[0].body[len(packets[0].body)-32:]
	modern := &Certificate{material: [][]byte{keyMaterial(append([]byte{4, 1, 2, 3, 4, 27}, raw...))}}
	v6 := &Certificate{material: [][]byte{keyMaterial(append([]byte{6, 1, 2, 3, 4, 27, 0, 0, 0, 32}, raw...))}}
	other := unlockedKey(t, KindV4, "dua").Certificate()
	c := k.Certificate()
	for name, test := range map[string]struct {
		o    *Certificate
		want bool
	}{
		"itself": {c, true}, "another day": {twin, true}, "algorithm 27": {modern, true}, "version 6": {v6, true}, "another key": {other, false},
		"rsa": {unlockedKey(t, KindRSA3072, "satu").Certificate(), false},
	} {
		if c.SameKeyMaterial(test.o) != test.want || test.o.SameKeyMaterial(c) != test.want {
			t.Errorf("%s: want %t", name, test.want)
		}
	}
}

func TestMergeForgetsNothing(t *testing.T) {
	t.Parallel()
	k := specialKey(t, nil, nil)
	before := k.Certificate()
	withSubkey := func() *Certificate {
		e := reparsed(t, k)
		if err := e.AddEncryptionSubkey(libraryConfig(monday.Add(-time.Hour))); err != nil {
			t.Fatal(err)
		}
		return keyOf(t, e).Certificate()
	}()
	revoked := func() *Certificate {
		e := reparsed(t, k)
		revoke(t, monday.Add(-time.Hour), packet.KeyCompromised)(e)
		return keyOf(t, e).Certificate()
	}()
	merge := func(a, b *Certificate) *Certificate {
		t.Helper()
		m, err := Merge(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, got := range map[string]*Certificate{
		"revocation comes":     merge(before, revoked),
		"revocation is absent": merge(revoked, before),
		"revoked and extended": merge(revoked, withSubkey),
		"extended and revoked": merge(withSubkey, revoked),
	} {
		if !got.Facts(monday).Revoked {
			t.Errorf("%s: the revocation is forgotten", name)
		}
		if again := merge(got, got); !bytes.Equal(again.Bytes(), got.Bytes()) {
			t.Errorf("%s: merging with itself changes it", name)
		}
	}
	for name, got := range map[string]*Certificate{"subkey comes": merge(before, withSubkey), "subkey is absent": merge(withSubkey, before)} {
		if len(got.parts.subkeys) != 2 || got.Facts(monday).Encryption.Fingerprint != withSubkey.Facts(monday).Encryption.Fingerprint {
			t.Errorf("%s: the subkey is forgotten", name)
		}
	}
	if _, err := Merge(before, unlockedKey(t, KindV4, "dua").Certificate()); !errors.Is(err, ErrDifferentKey) {
		t.Errorf("another key: %v", err)
	}
}

// A revocation certificate appended to the file, behind the last subkey,
// counts.
func TestAppendedRevocationCounts(t *testing.T) {
	t.Parallel()
	k := specialKey(t, nil, nil)
	e := reparsed(t, k)
	revoke(t, monday.Add(-time.Hour), packet.NoReason)(e)
	var revocation bytes.Buffer
	if err := e.Revocations[0].Packet.Serialize(&revocation); err != nil {
		t.Fatal(err)
	}
	c, err := ParseCertificate(append(k.Certificate().Bytes(), revocation.Bytes()...))
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Facts(monday); !f.Revoked || f.Encryption != nil {
		t.Errorf("got %+v", f)
	}
}

// reparsed reads the secret key anew, to be changed.
func reparsed(tb testing.TB, k *Key) *openpgp.Entity {
	tb.Helper()
	var out bytes.Buffer
	if err := k.entity.SerializePrivateWithoutSigning(&out, nil); err != nil {
		tb.Fatal(err)
	}
	e, err := openpgp.ReadEntity(packet.NewReader(&out))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestSharesKeyID(t *testing.T) {
	t.Parallel()
	a, b := unlockedKey(t, KindV4, "satu").Certificate(), unlockedKey(t, KindV4, "dua").Certificate()
	collides := &Certificate{fingerprint: b.fingerprint, keyIDs: []uint64{1, a.keyIDs[1]}}
	for name, test := range map[string]struct {
		o    *Certificate
		want bool
	}{"itself": {a, false}, "another": {b, false}, "same subkey id": {collides, true}} {
		if got := a.SharesKeyID(test.o); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	for _, kind := range kinds {
		f.Add(unlockedKey(f, kind, "satu").Certificate().Bytes())
	}
	f.Add(unlockedKey(f, KindV4, "satu").Certificate().Armor())
	f.Add(lockedKey(f, KindV4, "satu"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCertificate(data)
		if err != nil {
			if !strings.HasPrefix(codeOf(err), "crypto.") {
				t.Fatalf("uncoded error %v", err)
			}
			return
		}
		again, err := ParseCertificate(c.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), c.Bytes()) || again.Fingerprint() != c.Fingerprint() {
			t.Fatalf("not stable: %v", err)
		}
		c.Facts(monday)
		Ketat().Check(Recipient{Certificate: c}, monday)
		if _, err := Merge(c, again); err != nil && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}

// One certificate serves many goroutines, each at its own instant.
func TestCertificateIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := unlockedKey(t, KindV4, "satu").Certificate()
	instants := []time.Time{monday.AddDate(-1, 0, 0), monday, monday.AddDate(5, 0, 0)}
	var want []string
	for _, at := range instants {
		want = append(want, Praktis().Check(Recipient{Certificate: c}, at)[0].Code)
	}
	if diff := cmp.Diff([]string{"crypto.not_yet_valid", "", "crypto.expired"}, want); diff != "" {
		t.Fatal(diff)
	}
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			if got := Praktis().Check(Recipient{Certificate: c}, instants[i%3])[0].Code; got != want[i%3] {
				t.Errorf("at %s: %q, want %q", instants[i%3], got, want[i%3])
			}
		})
	}
	group.Wait()
}

// A file of countless tiny packets is refused before any of them is looked
// at closely.
func TestParseCertificateBoundsPackets(t *testing.T) {
	t.Parallel()
	data := unlockedKey(t, KindV4, "satu").Certificate().Bytes()
	tiny := rawPacket{tag: tagSignature, body: []byte{4, 0x10}}.bytes()
	data = append(data, bytes.Repeat(tiny, maxPackets)...)
	if _, err := ParseCertificate(data); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}
