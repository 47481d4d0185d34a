package crypto

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	stdrsa "crypto/rsa"

	"github.com/ProtonMail/go-crypto/openpgp/ecdh"
	"github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/ProtonMail/go-crypto/openpgp/x25519"
	"github.com/google/go-cmp/cmp"
)

func TestKeyUnlock(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k, err := ParseKey(lockedKey(t, kind, "satu"))
			if err != nil {
				t.Fatal(err)
			}
			if !k.Locked() {
				t.Fatal("not locked")
			}
			for _, wrong := range [][]byte{nil, []byte("salah"), append(bytes.Clone(passphrase), '\n')} {
				if err := k.Unlock(wrong); !errors.Is(err, ErrPassphrase) || !k.Locked() {
					t.Errorf("%q: %v", wrong, err)
				}
			}
			if err := k.Unlock(passphrase); err != nil || k.Locked() {
				t.Fatalf("right passphrase: %v", err)
			}
			if err := k.Unlock([]byte("apa saja")); err != nil {
				t.Errorf("unlocked before: %v", err)
			}
		})
	}
}

// To sign is to open one secret: what deciphers stays locked until it is asked
// for.
func TestUnlockToSign(t *testing.T) {
	t.Parallel()
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k, err := ParseKey(lockedKey(t, kind, "satu"))
			if err != nil {
				t.Fatal(err)
			}
			locked := func() []bool {
				var out []bool
				for _, s := range k.secrets() {
					out = append(out, s.Encrypted)
				}
				return out
			}
			text := func() error {
				_, _, err := SignText(k, strings.NewReader("isi\n"), monday)
				return err
			}
			read := func() error {
				_, err := Open(t.Context(), io.Discard, strings.NewReader(""), OpenParams{Key: k})
				return err
			}
			if err := k.UnlockToSign([]byte("salah"), monday); !errors.Is(err, ErrPassphrase) {
				t.Errorf("wrong passphrase: %v", err)
			}
			if err := text(); !errors.Is(err, ErrPassphrase) || !k.Protected() {
				t.Errorf("a locked key signs: %v", err)
			}
			if err := k.UnlockToSign(passphrase, monday); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]bool{false, true}, locked()); diff != "" || !k.Locked() || k.Protected() {
				t.Error(diff)
			}
			if err := text(); err != nil {
				t.Error(err)
			}
			if err := read(); !errors.Is(err, ErrPassphrase) {
				t.Errorf("a key unlocked to sign reads: %v", err)
			}
			if err := k.Unlock([]byte("salah")); !errors.Is(err, ErrPassphrase) {
				t.Errorf("wrong passphrase: %v", err)
			}
			if err := k.Unlock(passphrase); err != nil || k.Locked() {
				t.Errorf("the rest: %v", err)
			}
			if err := read(); !errors.Is(err, ErrEnvelope) {
				t.Errorf("an unlocked key: %v", err)
			}
			if err := text(); err != nil {
				t.Error(err)
			}
		})
	}
	k, err := ParseKey(lockedKey(t, KindV4, "satu"))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.UnlockToSign(passphrase, monday.AddDate(5, 0, 0)); !errors.Is(err, ErrExpired) || !k.Protected() {
		t.Errorf("an expired key: %v", err)
	}
}

func TestKeyWipe(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := unlockedKey(t, kind, "hapus")
			secrets := k.secrets()
			if len(secrets) != 2 {
				t.Fatalf("%d secrets", len(secrets))
			}
			k.Wipe()
			for _, s := range secrets {
				switch priv := s.PrivateKey.(type) {
				case *eddsa.PrivateKey:
					wiped(t, priv.D)
				case *ecdh.PrivateKey:
					wiped(t, priv.D)
				case *ed25519.PrivateKey:
					wiped(t, priv.Key[:ed25519.SeedSize])
				case *x25519.PrivateKey:
					wiped(t, priv.Secret)
				case *stdrsa.PrivateKey:
					for _, word := range append([]*big.Int{priv.D}, priv.Primes...) {
						for _, w := range word.Bits() {
							if w != 0 {
								t.Error("not wiped")
							}
						}
					}
				}
			}
			if err := k.CanSign(monday); err == nil {
				t.Error("a wiped key can sign")
			}
			if _, err := Open(t.Context(), nil, nil, OpenParams{Key: k}); !errors.Is(err, ErrNoSecretKey) {
				t.Errorf("a wiped key opens: %v", err)
			}
		})
	}
}

func wiped(t *testing.T, secret []byte) {
	t.Helper()
	if len(secret) == 0 || !bytes.Equal(secret, make([]byte, len(secret))) {
		t.Error("not wiped")
	}
}

func TestCanSign(t *testing.T) {
	t.Parallel()
	yesterday := monday.AddDate(0, 0, -1)
	locked, err := ParseKey(lockedKey(t, KindV4, "satu"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		key  *Key
		at   time.Time
		code string
	}{
		{"locked", locked, monday, ""},
		{"rsa", unlockedKey(t, KindRSA3072, "satu"), monday, ""},
		{"signing subkey", specialKey(t, nil, func(e *openpgp.Entity) {
			if err := e.AddSigningSubkey(libraryConfig(yesterday)); err != nil {
				t.Fatal(err)
			}
		}), monday, ""},
		{"v6", unlockedKey(t, KindV6, "satu"), monday, "crypto.v4_required"},
		{"post-quantum", unlockedKey(t, KindPQC, "satu"), monday, "crypto.v4_required"},
		{"before its creation", locked, monday.AddDate(0, 0, -3), "crypto.not_yet_valid"},
		{"after its expiry", locked, monday.AddDate(3, 0, 0), "crypto.expired"},
		{"revoked", specialKey(t, nil, revoke(t, yesterday, packet.NoReason)), monday, "crypto.revoked"},
		{"weak", specialKey(t, func(cfg *packet.Config) { cfg.Algorithm, cfg.RSABits = packet.PubKeyAlgoRSA, 1024 }, nil), monday, "crypto.weak_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := test.key.CanSign(test.at); codeOf(err) != test.code {
				t.Errorf("got %v, want %q", err, test.code)
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	c := unlockedKey(t, KindV4, "satu").Certificate()
	locked := lockedKey(t, KindV4, "satu")
	for name, test := range map[string]struct {
		data []byte
		code string
	}{
		"certificate":   {c.Armor(), "crypto.no_secret_key"},
		"two keys":      {append(bytes.Clone(locked), lockedKey(t, KindV4, "dua")...), "crypto.malformed"},
		"nothing":       {nil, "crypto.malformed"},
		"cut":           {locked[:len(locked)/2], "crypto.malformed"},
		"another block": {enarmor(openpgp.SignatureType, c.Bytes()), "crypto.malformed"},
	} {
		if _, err := ParseKey(test.data); codeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
	}
}

func TestGenerateKeyRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		p    GenerateParams
		code string
	}{
		"empty passphrase":  {GenerateParams{Name: "x"}, "crypto.passphrase"},
		"unknown kind":      {GenerateParams{Name: "x", Passphrase: passphrase, Kind: "v5"}, "crypto.key_kind"},
		"impossible name":   {GenerateParams{Name: "x<y>", Passphrase: passphrase, Cost: cheap}, "crypto.malformed"},
		"negative lifetime": {GenerateParams{Name: "x", Passphrase: passphrase, Lifetime: -time.Second}, "crypto.malformed"},
		"endless lifetime":  {GenerateParams{Name: "x", Passphrase: passphrase, Lifetime: 137 * 366 * 24 * time.Hour}, "crypto.malformed"},
	} {
		if out, err := GenerateKey(test.p); codeOf(err) != test.code || out != nil {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
	}
}

// At rest a key is locked by Argon2id, for gpg by an iterated S2K; it is the
// same key.
func TestKeyAtRest(t *testing.T) {
	t.Parallel()
	locked := lockedKey(t, KindV4, "satu")
	exported, err := ExportForGnuPG(locked, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	const aead, sha1Checked, iterated, argon2 = 253, 254, 3, 4
	for _, test := range []struct {
		name       string
		data       []byte
		usage, s2k byte
	}{{"own", locked, aead, argon2}, {"for gpg", exported, sha1Checked, iterated}} {
		raw, err := dearmor(test.data, maxKeyData, openpgp.PrivateKeyType)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := splitPackets(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if p.tag != tagSecretKey && p.tag != tagSecretSubkey {
				continue
			}
			public, err := publicHalf([]rawPacket{p})
			if err != nil {
				t.Fatal(err)
			}
			protection := p.body[len(public[0].body):]
			at := 2 // usage, cipher, S2K; with AEAD its mode comes before
			if test.usage == aead {
				at = 3
			}
			if protection[0] != test.usage || protection[at] != test.s2k {
				t.Errorf("%s: usage %d, S2K %d", test.name, protection[0], protection[at])
			}
		}
		k, err := ParseKey(test.data)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Unlock(passphrase); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if want := unlockedKey(t, KindV4, "satu").Certificate(); !bytes.Equal(k.Certificate().Bytes(), want.Bytes()) {
			t.Errorf("%s: another key", test.name)
		}
	}
	if _, err := ExportForGnuPG(locked, []byte("salah")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := ExportForGnuPG(lockedKey(t, KindV6, "satu"), passphrase); !errors.Is(err, ErrV4Required) {
		t.Errorf("v6: %v", err)
	}
}
