package crypto

import (
	"bytes"
	stdcrypto "crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Fingerprint names a key: lower-case hex without spaces, 40 digits for a v4
// key and 64 for a v6 key (RFC 9580 §5.5.4).
type Fingerprint string

// ParseFingerprint reads a fingerprint as people write it: in either case and
// with spaces. It returns crypto.malformed for anything else.
func ParseFingerprint(s string) (Fingerprint, error) {
	hexDigits := strings.ToLower(strings.Join(strings.Fields(s), ""))
	if len(hexDigits) != 40 && len(hexDigits) != 64 {
		return "", fault(ErrMalformed, "fingerprint", "not 40 or 64 hex digits", nil)
	}
	if _, err := hex.DecodeString(hexDigits); err != nil {
		return "", fault(ErrMalformed, "fingerprint", "not 40 or 64 hex digits", nil)
	}
	return Fingerprint(hexDigits), nil
}

// Groups returns the fingerprint in groups of four, in upper case, for people
// to read aloud.
func (f Fingerprint) Groups() []string {
	s := strings.ToUpper(string(f))
	groups := make([]string, 0, (len(s)+3)/4)
	for len(s) > 4 {
		groups, s = append(groups, s[:4]), s[4:]
	}
	if s != "" {
		groups = append(groups, s)
	}
	return groups
}

func fingerprintOf(pub *packet.PublicKey) Fingerprint {
	return Fingerprint(hex.EncodeToString(pub.Fingerprint))
}

// Certificate is one primary key with its user identifiers and subkeys,
// public parts only. It is immutable and safe for concurrent use.
type Certificate struct {
	parts       transferable
	data        []byte // parts, serialized
	version     int
	fingerprint Fingerprint
	material    [][]byte // of every key in it
	keyIDs      []uint64 // of every key in it

	mu   sync.Mutex // guards idle
	idle []judged
}

// component is a key or a user identifier with the signatures that follow it.
type component struct {
	head       rawPacket
	signatures []rawPacket
}

// transferable is a certificate by its packets, in the order of RFC 9580
// §10.1. It keeps what the library does not understand, so that nothing a
// certificate says is lost by reading it.
type transferable struct {
	primary component
	ids     []component // user identifiers and attributes
	subkeys []component
}

// ParseCertificate reads exactly one certificate, armored or binary, of at
// most 1 MiB. It refuses secret keys with crypto.secret_key_in_certificate;
// other errors are crypto.too_large and crypto.malformed.
func ParseCertificate(data []byte) (_ *Certificate, err error) {
	defer guard("certificate", &err)
	binary, err := dearmor(data, maxKeyData, openpgp.PublicKeyType, openpgp.PrivateKeyType)
	if err != nil {
		return nil, err
	}
	packets, err := splitPackets(binary)
	if err != nil {
		return nil, fault(ErrMalformed, "certificate", "", err)
	}
	for _, p := range packets {
		if p.tag == tagSecretKey || p.tag == tagSecretSubkey {
			return nil, fault(ErrSecretKey, "certificate", "", nil)
		}
	}
	return newCertificate(packets)
}

// CertificateOfSecret returns the public half of a file with one transferable
// secret key. The secret parts are not unlocked.
func CertificateOfSecret(data []byte) (*Certificate, error) {
	k, err := ParseKey(data)
	if err != nil {
		return nil, err
	}
	return k.Certificate(), nil
}

// newCertificate orders the packets and lets the library read the result.
func newCertificate(packets []rawPacket) (*Certificate, error) {
	parts, err := arrange(packets)
	if err != nil {
		return nil, fault(ErrMalformed, "certificate", "", err)
	}
	return parts.certificate()
}

func (t transferable) certificate() (*Certificate, error) {
	c := &Certificate{parts: t, data: t.bytes()}
	e, err := c.entity()
	if err != nil {
		return nil, fault(ErrMalformed, "certificate", "", err)
	}
	c.version = e.PrimaryKey.Version
	if c.version != 4 && c.version != 6 {
		return nil, fault(ErrMalformed, "certificate", "key version "+strconv.Itoa(c.version), nil)
	}
	c.fingerprint = fingerprintOf(e.PrimaryKey)
	c.keyIDs = append(c.keyIDs, e.PrimaryKey.KeyId)
	for i := range e.Subkeys {
		c.keyIDs = append(c.keyIDs, e.Subkeys[i].PublicKey.KeyId)
	}
	c.material = append(c.material, keyMaterial(t.primary.head.body))
	for _, s := range t.subkeys {
		c.material = append(c.material, keyMaterial(s.head.body))
	}
	return c, nil
}

// entity reads the certificate anew. The library caches the outcome of
// signature checks inside its own structures, for the instant first asked
// about; a fresh one for each decision keeps instants and goroutines apart.
func (c *Certificate) entity() (*openpgp.Entity, error) {
	return openpgp.ReadEntity(packet.NewReader(bytes.NewReader(c.data)))
}

// judgement says what a certificate was asked: what for, as of which clock and
// for a signature of which date, in seconds.
type judgement struct {
	use       byte
	now, date int64
}

// The uses of a judgement.
const (
	useFacts  = 'f'
	useSign   = 's'
	useVerify = 'v'
)

// judged is a certificate of the library that has answered one judgement.
type judged struct {
	judgement
	entity *openpgp.Entity
}

// maxIdle bounds what a certificate keeps of its judgements.
const maxIdle = 16

// take returns an entity that has answered this very judgement before, so that
// a batch does not check the same self-signatures for every letter, or a fresh
// one. It is for one goroutine until it is put back.
func (c *Certificate) take(j judgement) (*openpgp.Entity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.idle) - 1; i >= 0; i-- {
		if k := c.idle[i]; k.judgement == j {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return k.entity, nil
		}
	}
	return c.entity()
}

// put gives an entity back that is good for the same judgement again. Keys
// that were read from it may still be used.
func (c *Certificate) put(j judgement, e *openpgp.Entity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == maxIdle {
		c.idle = append(c.idle[:0], c.idle[1:]...)
	}
	c.idle = append(c.idle, judged{j, e})
}

func factsAt(now time.Time) judgement { return judgement{use: useFacts, now: now.Unix()} }

// Fingerprint returns the fingerprint of the primary key.
func (c *Certificate) Fingerprint() Fingerprint { return c.fingerprint }

// Bytes returns the binary certificate. Equal certificates give equal octets,
// and ParseCertificate(c.Bytes()) gives c again.
func (c *Certificate) Bytes() []byte { return bytes.Clone(c.data) }

// Armor returns the certificate as an armored block.
func (c *Certificate) Armor() []byte { return enarmor(openpgp.PublicKeyType, c.data) }

// SameKeyMaterial reports whether any key of c, primary or subkey, is also in
// o, under whatever creation time, version or user identifier: then one
// person can act for both.
func (c *Certificate) SameKeyMaterial(o *Certificate) bool {
	for _, m := range c.material {
		for _, n := range o.material {
			if bytes.Equal(m, n) {
				return true
			}
		}
	}
	return false
}

// SharesKeyID reports whether two different certificates hold keys of the
// same 64-bit identifier, which a v3 encrypted session key cannot tell apart.
func (c *Certificate) SharesKeyID(o *Certificate) bool {
	if c.fingerprint == o.fingerprint {
		return false
	}
	for _, m := range c.keyIDs {
		for _, n := range o.keyIDs {
			if m == n {
				return true
			}
		}
	}
	return false
}

// Merge adds to old what fresh says besides it. Both must have the same
// primary key, else crypto.different_key. Nothing is dropped: a revocation or
// a subkey seen once stays, even when fresh no longer has it.
func Merge(old, fresh *Certificate) (_ *Certificate, err error) {
	defer guard("merge", &err)
	if old.fingerprint != fresh.fingerprint {
		return nil, fault(ErrDifferentKey, "merge", "", nil).of(fresh.fingerprint)
	}
	merged := transferable{
		primary: mergeComponent(old.parts.primary, fresh.parts.primary),
		ids:     mergeComponents(old.parts.ids, fresh.parts.ids),
		subkeys: mergeComponents(old.parts.subkeys, fresh.parts.subkeys),
	}
	if len(merged.bytes()) > maxKeyData {
		return nil, fault(ErrTooLarge, "merge", "", nil).of(old.fingerprint)
	}
	return merged.certificate()
}

// arrange sorts the packets of one certificate to the components they belong
// to. A revocation of the primary key counts wherever it stands: appended to
// a file by hand it follows the last subkey, where the library ignores it.
func arrange(packets []rawPacket) (transferable, error) {
	var t transferable
	if len(packets) == 0 || packets[0].tag != tagPublicKey {
		return t, errors.New("no primary key at the start")
	}
	t.primary.head = packets[0]
	place := &t.primary // where signatures go
	for _, p := range packets[1:] {
		switch p.tag {
		case tagPublicKey:
			return t, errors.New("more than one primary key")
		case tagSecretKey, tagSecretSubkey:
			return t, errors.New("secret key")
		case tagUserID, tagUserAttribute:
			t.ids = append(t.ids, component{head: p})
			place = &t.ids[len(t.ids)-1]
		case tagPublicSubkey:
			t.subkeys = append(t.subkeys, component{head: p})
			place = &t.subkeys[len(t.subkeys)-1]
		case tagSignature:
			to := place
			if _, kind, ok := p.signatureKind(); ok && kind == int(packet.SigTypeKeyRevocation) {
				to = &t.primary
			}
			to.signatures = append(to.signatures, p)
		default: // trust, marker, padding, private use: not part of a certificate
		}
	}
	t.primary = mergeComponent(t.primary, component{})
	t.ids = mergeComponents(nil, t.ids)
	t.subkeys = mergeComponents(nil, t.subkeys)
	return t, nil
}

// mergeComponent appends the signatures of b that a does not have.
func mergeComponent(a, b component) component {
	merged := component{head: a.head}
	seen := make(map[string]bool, len(a.signatures)+len(b.signatures))
	for _, list := range [][]rawPacket{a.signatures, b.signatures} {
		for _, s := range list {
			if body := string(s.body); !seen[body] {
				seen[body] = true
				merged.signatures = append(merged.signatures, s)
			}
		}
	}
	return merged
}

// mergeComponents joins the components of a and b that have the same head.
func mergeComponents(a, b []component) []component {
	var merged []component
	at := make(map[string]int, len(a)+len(b))
	for _, list := range [][]component{a, b} {
		for _, c := range list {
			head := string(c.head.bytes())
			i, have := at[head]
			if !have {
				at[head] = len(merged)
				merged = append(merged, mergeComponent(c, component{}))
				continue
			}
			merged[i] = mergeComponent(merged[i], c)
		}
	}
	return merged
}

func (t transferable) bytes() []byte {
	var out bytes.Buffer
	write := func(c component) {
		out.Write(c.head.bytes())
		for _, s := range c.signatures {
			out.Write(s.bytes())
		}
	}
	write(t.primary)
	for _, c := range t.ids {
		write(c)
	}
	for _, c := range t.subkeys {
		write(c)
	}
	return out.Bytes()
}

// keyMaterial reduces the body of a public key packet to algorithm and key,
// without version, creation time and length, so that the same key is found
// again in another packet. Octets it cannot read stand for themselves.
func keyMaterial(body []byte) []byte {
	const v4Head = 6 // version, time, algorithm
	if len(body) < v4Head {
		return body
	}
	algorithm, rest := packet.PublicKeyAlgorithm(body[5]), body[v4Head:]
	if body[0] == 6 && len(rest) >= 4 {
		rest = rest[4:]
	}
	switch algorithm {
	case packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		algorithm = packet.PubKeyAlgoRSA
	case packet.PubKeyAlgoEdDSA:
		// 9 octets of OID, an MPI of 263 bits: 0x40 and the point, which
		// algorithm 27 stores bare.
		ed25519 := []byte{9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1, 1, 7, 0x40}
		if point, ok := bytes.CutPrefix(rest, ed25519); ok && len(point) == 32 {
			algorithm, rest = packet.PubKeyAlgoEd25519, point
		}
	case packet.PubKeyAlgoECDH:
		// The same for Curve25519, with KDF parameters behind the point.
		cv25519 := []byte{10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1, 1, 7, 0x40}
		if point, ok := bytes.CutPrefix(rest, cv25519); ok && len(point) >= 32 {
			algorithm, rest = packet.PubKeyAlgoX25519, point[:32]
		}
	}
	return append([]byte{byte(algorithm)}, rest...)
}

// Facts is what a certificate says of itself at one instant.
type Facts struct {
	Version     int
	Fingerprint Fingerprint
	// Algorithm of the primary key, such as "RSA 3072" or "Ed25519".
	Algorithm string
	// Created and Expires are of the primary key; a zero Expires means never.
	Created, Expires time.Time
	// UserIDs are the octets of the certificate, sorted and unsanitised.
	UserIDs []string
	Revoked bool
	// Encryption is the key that a letter would be enciphered to now, nil
	// when there is none.
	Encryption *SubkeyFacts
	// SEIPDv2 says that the owner reads AEAD; ListsAES256 that AES-256
	// stands in the preferences.
	SEIPDv2, ListsAES256 bool
}

// SubkeyFacts describes an encryption key, which may be the primary key.
type SubkeyFacts struct {
	Fingerprint      Fingerprint
	KeyID            uint64
	Algorithm        string
	Created, Expires time.Time
	PostQuantum      bool
}

// Facts reads the certificate as it stands at now.
func (c *Certificate) Facts(now time.Time) Facts {
	f := Facts{Version: c.version, Fingerprint: c.fingerprint}
	e, err := c.readFacts(&f, now)
	if err != nil {
		return f
	}
	if key, err := encryptionKey(e, now); err == nil {
		f.Encryption = subkeyFacts(key, f.Expires)
		c.put(factsAt(now), e)
	}
	return f
}

func (c *Certificate) readFacts(f *Facts, now time.Time) (e *openpgp.Entity, err error) {
	defer guard("facts", &err)
	e, err = c.take(factsAt(now))
	if err != nil {
		return nil, err
	}
	f.Algorithm = algorithmName(e.PrimaryKey)
	f.Created = e.PrimaryKey.CreationTime.UTC()
	for name := range e.Identities {
		f.UserIDs = append(f.UserIDs, name)
	}
	sort.Strings(f.UserIDs)
	f.Revoked = e.Revoked(now)
	self, expires := selfSignature(e, now)
	f.Expires = expires
	if self != nil {
		f.SEIPDv2, f.ListsAES256 = preferences(self).aead != nil, preferences(self).aes256
	}
	return e, nil
}

// selfSignature returns the signature that holds preferences and expiry at
// now, or the latest one when none was valid then.
func selfSignature(e *openpgp.Entity, now time.Time) (*packet.Signature, time.Time) {
	cfg := libraryConfig(now)
	self, err := e.PrimarySelfSignature(now, cfg)
	if err != nil {
		if self, err = e.PrimarySelfSignature(time.Time{}, cfg); err != nil {
			return nil, time.Time{}
		}
	}
	expires := expiry(e.PrimaryKey, self)
	if direct, err := e.LatestValidDirectSignature(now, cfg); err == nil {
		expires = earlier(expires, expiry(e.PrimaryKey, direct))
	}
	return self, expires
}

// expiry returns the instant at which pub expires by sig, zero for never.
func expiry(pub *packet.PublicKey, sig *packet.Signature) time.Time {
	if sig == nil || sig.KeyLifetimeSecs == nil || *sig.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return pub.CreationTime.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second).UTC()
}

// earlier returns the earlier of two instants of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func subkeyFacts(key openpgp.Key, primaryExpires time.Time) *SubkeyFacts {
	return &SubkeyFacts{
		Fingerprint: fingerprintOf(key.PublicKey),
		KeyID:       key.PublicKey.KeyId,
		Algorithm:   algorithmName(key.PublicKey),
		Created:     key.PublicKey.CreationTime.UTC(),
		Expires:     earlier(primaryExpires, expiry(key.PublicKey, key.SelfSignature)),
		PostQuantum: key.PublicKey.IsPQ(),
	}
}

// capability is what a certificate's preferences allow a sender to write.
type capability struct {
	// aead lists the modes offered with AES-256 under SEIPDv2, the fastest
	// first; nil when SEIPDv2 cannot be used with AES-256.
	aead []packet.AEADMode
	// mdc says that AES-256 may be used under SEIPDv1.
	mdc bool
	// aes256 says that AES-256 is listed for either.
	aes256 bool
	// seipdv2 is the bare feature bit.
	seipdv2 bool
}

func preferences(self *packet.Signature) capability {
	c := capability{seipdv2: self.SEIPDv2}
	for _, mode := range []packet.AEADMode{packet.AEADModeGCM, packet.AEADModeOCB} {
		for _, suite := range self.PreferredCipherSuites {
			if suite == [2]byte{byte(packet.CipherAES256), byte(mode)} {
				c.aes256 = true
				if self.SEIPDv2 {
					c.aead = append(c.aead, mode)
				}
				break
			}
		}
	}
	for _, cipher := range self.PreferredSymmetric {
		if packet.CipherFunction(cipher) == packet.CipherAES256 {
			c.aes256, c.mdc = true, true
		}
	}
	return c
}

// encryptionKey returns the key the library would encipher to at now, or a
// coded error that says why there is none.
func encryptionKey(e *openpgp.Entity, now time.Time) (key openpgp.Key, err error) {
	defer guard("encryption key", &err)
	key, cause := e.EncryptionKeyWithError(now, libraryConfig(now))
	if cause == nil {
		return key, nil
	}
	return openpgp.Key{}, whyUnusable(e, now, ErrNoEncryptionKey, cause, func(e *openpgp.Entity, at time.Time, cfg *packet.Config) bool {
		_, ok := e.EncryptionKey(at, cfg)
		return ok
	})
}

// whyUnusable names the reason why a certificate has no usable key at now:
// usable asks the library the same question under other circumstances.
func whyUnusable(e *openpgp.Entity, now time.Time, otherwise *Error, cause error,
	usable func(*openpgp.Entity, time.Time, *packet.Config) bool,
) *Error {
	fpr := fingerprintOf(e.PrimaryKey)
	var selection pgperrors.ErrEncryptionKeySelection
	inner := cause
	if p := (*pgperrors.ErrEncryptionKeySelection)(nil); errors.As(cause, &p) {
		selection = *p
	} else {
		errors.As(cause, &selection)
	}
	if selection.PrimaryKeyErr != nil {
		inner = selection.PrimaryKeyErr
	} else if selection.EncSelectionErr != nil {
		inner = selection.EncSelectionErr
	}
	var weak pgperrors.WeakAlgorithmError
	switch {
	case e.Revoked(now) || errors.Is(inner, pgperrors.ErrKeyRevoked):
		return fault(ErrRevoked, "certificate", "", nil).of(fpr)
	case e.PrimaryKey.CreationTime.Unix() > now.Unix():
		return fault(ErrNotYetValid, "certificate", "created "+e.PrimaryKey.CreationTime.UTC().Format(time.RFC3339), nil).of(fpr)
	case errors.Is(inner, pgperrors.ErrKeyExpired):
		return fault(ErrExpired, "certificate", "", nil).of(fpr)
	case errors.As(inner, &weak):
		return fault(ErrWeakKey, "certificate", "", inner).of(fpr)
	}
	// A fresh copy each time: the library remembers the outcome of checks.
	strict, loose := libraryConfig(now), libraryConfig(now)
	loose.MinRSABits, loose.RejectHashAlgorithms = 1, map[stdcrypto.Hash]bool{}
	if again, err := reread(e); err == nil && usable(again, time.Time{}, strict) {
		return fault(ErrNotYetValid, "certificate", "no signature of its owner is that old", cause).of(fpr)
	}
	if again, err := reread(e); err == nil && usable(again, now, loose) {
		return fault(ErrWeakKey, "certificate", "weak size or hash", nil).of(fpr)
	}
	return fault(otherwise, "certificate", "", cause).of(fpr)
}

// reread copies an entity through its public packets.
func reread(e *openpgp.Entity) (*openpgp.Entity, error) {
	var public bytes.Buffer
	if err := e.Serialize(&public); err != nil {
		return nil, err
	}
	return openpgp.ReadEntity(packet.NewReader(&public))
}

// algorithmName names a key's algorithm for people and for the draft sheet.
func algorithmName(pub *packet.PublicKey) string {
	switch pub.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		bits, _ := pub.BitLength()
		return "RSA " + strconv.Itoa(int(bits))
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoElGamal:
		return "ElGamal"
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		if curve, err := pub.Curve(); err == nil && curve == packet.Curve448 {
			return "Ed448"
		}
		return "Ed25519"
	case packet.PubKeyAlgoX25519:
		return "X25519"
	case packet.PubKeyAlgoX448:
		return "X448"
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoECDH:
		curve, err := pub.Curve()
		if err != nil {
			return "EC"
		}
		if bits, ok := strings.CutPrefix(string(curve), "P"); ok {
			return "NIST P-" + bits
		}
		if bits, ok := strings.CutPrefix(string(curve), "BrainpoolP"); ok {
			return "Brainpool P-" + bits
		}
		return string(curve)
	case packet.PubKeyAlgoMldsa65Ed25519:
		return "ML-DSA-65+Ed25519"
	case packet.PubKeyAlgoMldsa87Ed448:
		return "ML-DSA-87+Ed448"
	case packet.PubKeyAlgoSlhdsaShake128s:
		return "SLH-DSA-SHAKE-128s"
	case packet.PubKeyAlgoSlhdsaShake128f:
		return "SLH-DSA-SHAKE-128f"
	case packet.PubKeyAlgoSlhdsaShake256s:
		return "SLH-DSA-SHAKE-256s"
	case packet.PubKeyAlgoMlkem768X25519:
		return "ML-KEM-768+X25519"
	case packet.PubKeyAlgoMlkem1024X448:
		return "ML-KEM-1024+X448"
	}
	return "algorithm " + strconv.Itoa(int(pub.PubKeyAlgo))
}

// keyID returns the 64-bit identifier that belongs to a fingerprint.
func (f Fingerprint) keyID() uint64 {
	raw, err := hex.DecodeString(string(f))
	switch {
	case err != nil:
		return 0
	case len(raw) == 20:
		return binary.BigEndian.Uint64(raw[12:])
	case len(raw) == 32:
		return binary.BigEndian.Uint64(raw[:8])
	}
	return 0
}
