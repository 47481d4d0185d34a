package crypto

import (
	"bytes"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	gopenpgp "github.com/ProtonMail/gopenpgp/v3/crypto"
)

// Key is one transferable secret key, locked or unlocked. Once unlocked it may
// sign for several goroutines. Call Wipe when done.
type Key struct {
	certificate *Certificate
	entity      *openpgp.Entity
}

// ParseKey reads exactly one transferable secret key, armored or binary. A
// certificate without secret parts is crypto.no_secret_key, and so is a key
// whose secrets were all left out (GNU dummies). The key stays locked.
func ParseKey(data []byte) (_ *Key, err error) {
	defer guard("secret key", &err)
	binary, err := dearmor(data, maxKeyData, openpgp.PrivateKeyType, openpgp.PublicKeyType)
	if err != nil {
		return nil, err
	}
	packets, err := splitPackets(binary)
	if err != nil {
		return nil, fault(ErrMalformed, "secret key", "", err)
	}
	public, err := publicHalf(packets)
	if err != nil {
		return nil, err
	}
	c, err := newCertificate(public)
	if err != nil {
		return nil, err
	}
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(binary)))
	if err != nil {
		return nil, fault(ErrMalformed, "secret key", "", err)
	}
	k := &Key{certificate: c, entity: e}
	if len(k.secrets()) == 0 {
		return nil, fault(ErrNoSecretKey, "secret key", "", nil).of(c.fingerprint)
	}
	return k, nil
}

// publicHalf rewrites secret key packets to public ones.
func publicHalf(packets []rawPacket) ([]rawPacket, error) {
	public := make([]rawPacket, 0, len(packets))
	secret := false
	for _, p := range packets {
		if p.tag != tagSecretKey && p.tag != tagSecretSubkey {
			public = append(public, p)
			continue
		}
		secret = true
		parsed, err := packet.Read(bytes.NewReader(p.bytes()))
		key, ok := parsed.(*packet.PrivateKey)
		if err != nil || !ok {
			return nil, fault(ErrMalformed, "secret key", "", err)
		}
		var out bytes.Buffer
		if err := key.PublicKey.Serialize(&out); err != nil {
			return nil, fault(ErrMalformed, "secret key", "", err)
		}
		half, err := splitPackets(out.Bytes())
		if err != nil {
			return nil, fault(ErrMalformed, "secret key", "", err)
		}
		public = append(public, half...)
	}
	if !secret {
		return nil, fault(ErrNoSecretKey, "secret key", "", nil)
	}
	return public, nil
}

// Certificate returns the public half.
func (k *Key) Certificate() *Certificate { return k.certificate }

// secrets lists the secret keys that are really in the file.
func (k *Key) secrets() []*packet.PrivateKey {
	all := []*packet.PrivateKey{k.entity.PrivateKey}
	for i := range k.entity.Subkeys {
		all = append(all, k.entity.Subkeys[i].PrivateKey)
	}
	present := all[:0]
	for _, s := range all {
		if s != nil && !s.Dummy() {
			present = append(present, s)
		}
	}
	return present
}

// Locked reports whether a passphrase is needed before every secret of the key
// can be used.
func (k *Key) Locked() bool {
	return slices.ContainsFunc(k.secrets(), func(s *packet.PrivateKey) bool { return s.Encrypted })
}

// Protected reports whether nothing of the key can be used without a
// passphrase.
func (k *Key) Protected() bool {
	return !slices.ContainsFunc(k.secrets(), func(s *packet.PrivateKey) bool { return !s.Encrypted })
}

// UnlockToSign opens only the secret that signs at now. Each secret costs a
// stretching of its own, and what nobody needs stays locked. It returns
// crypto.passphrase like [Key.Unlock], else what CanSign would. A secret that
// lies open takes any passphrase: the caller sees to it that the key was
// [Key.Protected].
func (k *Key) UnlockToSign(passphrase []byte, now time.Time) (err error) {
	defer guard("unlock", &err)
	key, err := k.signingKey(now)
	if err != nil {
		return err
	}
	return k.open([]*packet.PrivateKey{key.PrivateKey}, passphrase)
}

// Unlock opens the secret keys that are still locked, so that the key can sign
// and read. It returns crypto.passphrase when the passphrase does not open all
// of them. The slice is not kept.
func (k *Key) Unlock(passphrase []byte) (err error) {
	defer guard("unlock", &err)
	return k.open(k.secrets(), passphrase)
}

func (k *Key) open(secrets []*packet.PrivateKey, passphrase []byte) error {
	hugePages()
	// The cause says only which check failed; it holds no key material.
	if cause := packet.DecryptPrivateKeys(secrets, passphrase); cause != nil {
		return fault(ErrPassphrase, "unlock", "", nil).of(k.certificate.fingerprint)
	}
	return nil
}

// Wipe zeroes the unlocked secrets where this process holds them and makes
// the key unusable. Go may have copied them before; no more is claimed.
func (k *Key) Wipe() {
	if held, err := gopenpgp.NewKeyFromEntity(k.entity); err == nil {
		held.ClearPrivateParams()
	}
	k.entity.PrivateKey = nil
	for i := range k.entity.Subkeys {
		k.entity.Subkeys[i].PrivateKey = nil
	}
}

// CanSign says whether an officer may sign with the key at now, before any
// passphrase is asked: crypto.v4_required for other versions, since gpg reads
// no other signatures, and crypto.expired, crypto.revoked,
// crypto.not_yet_valid, crypto.weak_key or crypto.no_secret_key.
func (k *Key) CanSign(now time.Time) error {
	_, err := k.signingKey(now)
	return err
}

// unlockedSigningKey is signingKey for a key that signs now.
func (k *Key) unlockedSigningKey(now time.Time) (openpgp.Key, error) {
	key, err := k.signingKey(now)
	if err == nil && key.PrivateKey.Encrypted {
		err = fault(ErrPassphrase, "signing key", "the key is locked", nil).of(k.certificate.fingerprint)
	}
	return key, err
}

// signingKey selects the key that would sign at now.
func (k *Key) signingKey(now time.Time) (key openpgp.Key, err error) {
	defer guard("signing key", &err)
	fpr := k.certificate.fingerprint
	if k.certificate.version != 4 {
		return openpgp.Key{}, fault(ErrV4Required, "signing key", "", nil).of(fpr)
	}
	// The certificate's own copy decides: it remembers no other instant.
	j := judgement{use: useSign, now: now.Unix()}
	e, err := k.certificate.take(j)
	if err != nil {
		return openpgp.Key{}, err
	}
	defer k.certificate.put(j, e)
	chosen, ok := e.SigningKey(now, libraryConfig(now))
	if !ok {
		_, cause := e.VerifyPrimaryKey(now, libraryConfig(now))
		return openpgp.Key{}, whyUnusable(e, now, ErrNoSecretKey, cause, func(e *openpgp.Entity, at time.Time, cfg *packet.Config) bool {
			_, ok := e.SigningKey(at, cfg)
			return ok
		})
	}
	for _, s := range k.secrets() {
		if bytes.Equal(s.Fingerprint, chosen.PublicKey.Fingerprint) {
			chosen.PrivateKey = s
			return chosen, nil
		}
	}
	return openpgp.Key{}, fault(ErrNoSecretKey, "signing key", "", nil).of(fpr)
}

// KeyKind is a make of key.
type KeyKind string

// Kinds of keys that GenerateKey makes.
const (
	KindV4      KeyKind = "v4"      // Ed25519 and Curve25519, v4, reads AEAD
	KindRSA3072 KeyKind = "rsa3072" // RSA, v4, MDC only, like an older gpg key
	KindV6      KeyKind = "v6"      // Ed25519 and X25519, RFC 9580
	KindPQC     KeyKind = "pqc"     // ML-DSA-65+Ed25519, ML-KEM-768+X25519, v6
)

// S2KCost is the cost of Argon2id: 2^MemoryExponent KiB, passes and lanes.
// Zero fields mean 64 MiB, 3 passes, 4 lanes.
type S2KCost struct {
	MemoryExponent      uint8
	Passes, Parallelism uint8
}

// GenerateParams says what key to make. An empty Kind means KindV4, a zero
// Now the system clock, a zero Lifetime a key that does not expire.
type GenerateParams struct {
	Name, Email string
	Passphrase  []byte
	Now         time.Time
	Lifetime    time.Duration
	Kind        KeyKind
	Cost        S2KCost
}

// GenerateKey makes a key and returns it armored, its secret part locked with
// Argon2id. An empty passphrase is refused with crypto.passphrase.
func GenerateKey(p GenerateParams) (armoredLocked []byte, err error) {
	defer guard("key generation", &err)
	if len(p.Passphrase) == 0 {
		return nil, fault(ErrPassphrase, "key generation", "empty passphrase", nil)
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	cfg := libraryConfig(p.Now.UTC().Truncate(time.Second))
	cfg.S2KConfig = argon2id(p.Cost)
	lifetime := int64(p.Lifetime / time.Second)
	if lifetime < 0 || lifetime > 1<<32-1 {
		return nil, fault(ErrMalformed, "key generation", "lifetime out of range", nil)
	}
	cfg.KeyLifetimeSecs = uint32(lifetime)
	lock := *cfg // locking needs AEAD even where the key does not offer it
	switch p.Kind {
	case "", KindV4:
	case KindRSA3072:
		cfg.Algorithm, cfg.AEADConfig = packet.PubKeyAlgoRSA, nil
	case KindV6:
		cfg.Algorithm, cfg.V6Keys = packet.PubKeyAlgoEd25519, true
	case KindPQC:
		cfg.Algorithm, cfg.V6Keys = packet.PubKeyAlgoMldsa65Ed25519, true
	default:
		return nil, fault(ErrKindUnknown, "key generation", string(p.Kind), nil)
	}
	e, err := openpgp.NewEntity(p.Name, "", p.Email, cfg)
	if err != nil {
		return nil, fault(ErrMalformed, "key generation", "", err)
	}
	return lockedArmor(e, p.Passphrase, &lock)
}

// ExportForGnuPG rewrites a key of this program so that gpg 2.2 can import
// it: the same key, locked with the same passphrase by an iterated and salted
// S2K. This is weaker against guessing than Argon2id; the caller says so.
func ExportForGnuPG(armored, passphrase []byte) (_ []byte, err error) {
	defer guard("key export", &err)
	if len(passphrase) == 0 {
		return nil, fault(ErrPassphrase, "key export", "empty passphrase", nil)
	}
	k, err := ParseKey(armored)
	if err != nil {
		return nil, err
	}
	defer k.Wipe()
	if k.certificate.version != 4 {
		return nil, fault(ErrV4Required, "key export", "", nil).of(k.certificate.fingerprint)
	}
	if err := k.Unlock(passphrase); err != nil {
		return nil, err
	}
	cfg := libraryConfig(time.Now())
	cfg.S2KConfig, cfg.AEADConfig = iteratedS2K(), nil
	return lockedArmor(k.entity, passphrase, cfg)
}

// lockedArmor locks every secret of e and writes the key. It fails closed:
// nothing is written unless everything is locked.
func lockedArmor(e *openpgp.Entity, passphrase []byte, cfg *packet.Config) ([]byte, error) {
	if err := e.EncryptPrivateKeys(passphrase, cfg); err != nil {
		return nil, fault(ErrMalformed, "key lock", "", err)
	}
	held := Key{entity: e}
	for _, s := range held.secrets() {
		if !s.Encrypted {
			return nil, fault(ErrMalformed, "key lock", "unlocked part", nil)
		}
	}
	var out bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&out, cfg); err != nil {
		return nil, fault(ErrMalformed, "key lock", "", err)
	}
	return enarmor(openpgp.PrivateKeyType, out.Bytes()), nil
}
