package crypto

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// monday is the instant at which the tests work; keys are a day older.
var monday = time.Date(2026, 11, 23, 2, 10, 0, 0, time.UTC)

var (
	cheap      = S2KCost{MemoryExponent: 5, Passes: 1, Parallelism: 1}
	passphrase = []byte("kata sandi yang cukup panjang")
	kinds      = []KeyKind{KindV4, KindRSA3072, KindV6, KindPQC}
)

var generated sync.Map

// lockedKey makes one key for each kind and name in a test run.
func lockedKey(tb testing.TB, kind KeyKind, name string) []byte {
	tb.Helper()
	once, _ := generated.LoadOrStore(string(kind)+"/"+name, sync.OnceValues(func() ([]byte, error) {
		return GenerateKey(GenerateParams{
			Name: name, Email: name + "@contoh.test", Passphrase: passphrase,
			Now: monday.AddDate(0, 0, -1), Lifetime: 2 * 365 * 24 * time.Hour, Kind: kind, Cost: cheap,
		})
	}))
	data, err := once.(func() ([]byte, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func unlockedKey(tb testing.TB, kind KeyKind, name string) *Key {
	tb.Helper()
	k, err := ParseKey(lockedKey(tb, kind, name))
	if err != nil {
		tb.Fatal(err)
	}
	if err := k.Unlock(passphrase); err != nil {
		tb.Fatal(err)
	}
	return k
}

// specialKey builds a key that GenerateKey would not make.
func specialKey(tb testing.TB, adjust func(*packet.Config), change func(*openpgp.Entity)) *Key {
	tb.Helper()
	cfg := libraryConfig(monday.AddDate(0, 0, -1))
	if adjust != nil {
		adjust(cfg)
	}
	e, err := openpgp.NewEntity("Khusus", "", "khusus@contoh.test", cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(e)
	}
	return keyOf(tb, e)
}

func keyOf(tb testing.TB, e *openpgp.Entity) *Key {
	tb.Helper()
	var out bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&out, nil); err != nil {
		tb.Fatal(err)
	}
	k, err := ParseKey(out.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// revoke revokes the primary key at the instant at.
func revoke(tb testing.TB, at time.Time, reason packet.ReasonForRevocation) func(*openpgp.Entity) {
	return func(e *openpgp.Entity) {
		if err := e.Revoke(reason, "", libraryConfig(at)); err != nil {
			tb.Fatal(err)
		}
	}
}

// codeOf returns the stable code of an error, or "" for nil.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return "uncoded: " + err.Error()
}

func pin(tb testing.TB, c *Certificate) Recipient {
	tb.Helper()
	f := c.Facts(monday)
	if f.Encryption == nil {
		tb.Fatalf("%s has no encryption key", f.Fingerprint)
	}
	return Recipient{Certificate: c, Subkey: f.Encryption.Fingerprint}
}

func recipients(tb testing.TB, keys ...*Key) []Recipient {
	tb.Helper()
	var rs []Recipient
	for _, k := range keys {
		rs = append(rs, pin(tb, k.Certificate()))
	}
	return rs
}

// seal seals and checks the envelope of the result.
func seal(tb testing.TB, letter []byte, p SealParams) (*Sealed, []byte) {
	tb.Helper()
	if p.Policy.Name == "" {
		p.Policy = Praktis()
	}
	if p.Now.IsZero() {
		p.Now = monday
	}
	var out bytes.Buffer
	s, err := Seal(tb.Context(), &out, bytes.NewReader(letter), p)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.CheckEnvelope(tb.Context(), bytes.NewReader(out.Bytes())); err != nil {
		tb.Fatal(err)
	}
	return s, out.Bytes()
}
