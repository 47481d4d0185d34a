package crypto

import (
	stdcrypto "crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// expiresSoon is how long before its expiry a key is warned about.
const expiresSoon = 30 * 24 * time.Hour

// Policy is what a class of letters demands of keys and formats. It is a
// value; which class uses which policy is configuration and lives elsewhere.
type Policy struct {
	Name string
	// AllowMDC permits SEIPDv1 where a recipient cannot read AEAD. It is
	// acceptable because the recipient checks the signed digest of the whole
	// file before an octet is deciphered.
	AllowMDC bool
	// MinRSA is the least modulus length in bits.
	MinRSA int
	// RSA2048Exception lowers MinRSA to 2048 by an exception on record.
	RSA2048Exception bool
	// MinCurve is the least size in bits of an elliptic curve: 255 takes
	// Curve25519 and NIST P-256, 384 takes NIST P-384 and Curve448.
	MinCurve int
	// RequirePostQuantum refuses classical encryption keys.
	RequirePostQuantum bool
	// InnerHash is the hash of the inner signature: "SHA-256" or "SHA-512".
	InnerHash string
}

// Praktis is the default policy: MDC, Curve25519, NIST from P-256 on, RSA from
// 3072 bits on.
func Praktis() Policy {
	return Policy{Name: "praktis", AllowMDC: true, MinRSA: 3072, MinCurve: 255, InnerHash: "SHA-256"}
}

// Ketat is the strict policy: AEAD only, inner signature by SHA-512.
func Ketat() Policy {
	return Policy{Name: "ketat", MinRSA: 3072, MinCurve: 255, InnerHash: "SHA-512"}
}

// KetatRahasia is Ketat with the key sizes asked for letters of class
// rahasia: RSA from 4096 bits on, curves from 384 bits on, or post-quantum.
func KetatRahasia() Policy {
	p := Ketat()
	p.Name, p.MinRSA, p.MinCurve = "ketat-rahasia", 4096, 384
	return p
}

// KetatSangatRahasia is KetatRahasia with post-quantum encryption keys only.
func KetatSangatRahasia() Policy {
	p := KetatRahasia()
	p.Name, p.RequirePostQuantum = "ketat-sangat-rahasia", true
	return p
}

// PolicyByName returns one of the policies of this package, or
// crypto.policy_unknown.
func PolicyByName(name string) (Policy, error) {
	for _, p := range []Policy{Praktis(), Ketat(), KetatRahasia(), KetatSangatRahasia()} {
		if p.Name == name {
			return p, nil
		}
	}
	return Policy{}, fault(ErrPolicyUnknown, "policy", name, nil)
}

// Digest is the SHA-256, in lower-case hex, of the policy's text form. Two
// policies with the same rules and name have the same digest.
func (p Policy) Digest() string {
	text := fmt.Sprintf("sandi-kebijakan/1\nnama %q\nmdc %t\nrsa %d\nrsa-2048 %t\nkurva %d\npasca-kuantum %t\nhash-dalam %q\n",
		p.Name, p.AllowMDC, p.MinRSA, p.RSA2048Exception, p.MinCurve, p.RequirePostQuantum, p.InnerHash)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (p Policy) minRSA() int {
	if p.RSA2048Exception {
		return min(p.MinRSA, 2048)
	}
	return p.MinRSA
}

// innerHash is the hash of the inner signature made by pub: the policy's, or
// SHA-512 where the key itself demands a longer one (RFC 9580 §5.2.3.3).
func (p Policy) innerHash(pub *packet.PublicKey) (stdcrypto.Hash, error) {
	if curve, err := pub.Curve(); err == nil {
		switch curve {
		case packet.Curve448, packet.CurveNistP384, packet.CurveNistP521, packet.CurveBrainpoolP384, packet.CurveBrainpoolP512:
			return stdcrypto.SHA512, nil
		}
	}
	switch p.InnerHash {
	case "SHA-256":
		return stdcrypto.SHA256, nil
	case "SHA-512":
		return stdcrypto.SHA512, nil
	}
	return 0, fault(ErrPolicyUnknown, "policy", "inner hash "+p.InnerHash, nil)
}

// Recipient is a certificate with the encryption key that was pinned for it
// at import: the fingerprint of a subkey, or of the primary key when that
// one enciphers. An empty Subkey pins nothing.
type Recipient struct {
	Certificate *Certificate
	Subkey      Fingerprint
	// RSA2048Exception lowers Policy.MinRSA for this recipient alone.
	RSA2048Exception bool
}

// Codes of findings that warn and do not refuse.
const (
	CodeExpiresSoon = "crypto.expires_soon" // within 30 days; Until says when
	CodeMDCOnly     = "crypto.mdc_only"     // the recipient cannot read AEAD
)

// Finding is one thing that Check has to say of a recipient. Code is the code
// of the error that Seal would return, or a warning's; an empty Code means
// that the recipient is fit.
type Finding struct {
	Code   string
	Refuse bool
	// Until is the instant a key expires, for crypto.expired and
	// crypto.expires_soon.
	Until  time.Time
	Detail string
}

// Check returns everything that speaks against enciphering to r at now,
// refusals first; a recipient without blemish has the one finding with an
// empty Code.
func (p Policy) Check(r Recipient, now time.Time) []Finding {
	findings, _ := p.check(r, now)
	return findings
}

// chosen is a recipient as Seal uses it.
type chosen struct {
	certificate *Certificate
	key         openpgp.Key
	can         capability
}

func (p Policy) check(r Recipient, now time.Time) (findings []Finding, _ chosen) {
	refuse := func(kind *Error, detail string, until time.Time) {
		findings = append(findings, Finding{Code: kind.code, Refuse: true, Detail: detail, Until: until})
	}
	p.RSA2048Exception = p.RSA2048Exception || r.RSA2048Exception
	c := chosen{certificate: r.Certificate}
	var facts Facts
	e, err := r.Certificate.readFacts(&facts, now)
	if err != nil {
		refuse(ErrMalformed, "", time.Time{})
		return findings, c
	}
	if c.key, err = encryptionKey(e, now); err != nil {
		kind, detail := ErrMalformed, ""
		if coded := (*Error)(nil); errors.As(err, &coded) {
			kind, detail = coded, coded.Detail
		}
		until := time.Time{}
		if errors.Is(err, ErrExpired) {
			until = lastExpiry(e, facts.Expires)
		}
		refuse(kind, detail, until)
		return findings, c
	}
	defer r.Certificate.put(factsAt(now), e)
	using := subkeyFacts(c.key, facts.Expires)
	if r.Subkey != "" && r.Subkey != using.Fingerprint {
		refuse(ErrSubkeyChanged, "pinned "+string(r.Subkey)+", would use "+string(using.Fingerprint), time.Time{})
	}
	for _, pub := range []*packet.PublicKey{e.PrimaryKey, c.key.PublicKey} {
		if !p.strongEnough(pub) {
			refuse(ErrWeakKey, algorithmName(pub), time.Time{})
			break
		}
	}
	if p.RequirePostQuantum && !using.PostQuantum {
		refuse(ErrPostQuantumNeeded, using.Algorithm, time.Time{})
	}
	if self, _ := selfSignature(e, now); self != nil {
		c.can = preferences(self)
	}
	switch {
	case c.can.aead == nil && !c.can.mdc:
		refuse(ErrNoAES256, "AES-256 is not in the preferences", time.Time{})
	case c.can.aead == nil && !p.AllowMDC && c.can.seipdv2:
		refuse(ErrNoAES256, "AES-256 is not among the AEAD preferences", time.Time{})
	case c.can.aead == nil && !p.AllowMDC:
		refuse(ErrNoMDCAllowed, "SEIPDv2 is not among the features", time.Time{})
	case c.can.aead == nil:
		findings = append(findings, Finding{Code: CodeMDCOnly, Detail: "SEIPDv2 is not among the features"})
	}
	if !using.Expires.IsZero() && using.Expires.Sub(now) <= expiresSoon {
		findings = append(findings, Finding{Code: CodeExpiresSoon, Until: using.Expires})
	}
	if len(findings) == 0 {
		findings = []Finding{{}}
	}
	return findings, c
}

// lastExpiry is when a certificate stopped being usable for encryption.
func lastExpiry(e *openpgp.Entity, primary time.Time) time.Time {
	var last time.Time
	for i := range e.Subkeys {
		sub := &e.Subkeys[i]
		sig, err := sub.LatestValidBindingSignature(time.Time{}, libraryConfig(time.Time{}))
		if err != nil || !sub.PublicKey.PubKeyAlgo.CanEncrypt() {
			continue
		}
		if t := earlier(primary, expiry(sub.PublicKey, sig)); t.After(last) {
			last = t
		}
	}
	if last.IsZero() {
		return primary
	}
	return last
}

// strongEnough applies the policy's key sizes. Post-quantum composites pass:
// their classical half is only a second lock.
func (p Policy) strongEnough(pub *packet.PublicKey) bool {
	switch pub.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		bits, err := pub.BitLength()
		return err == nil && int(bits) >= p.minRSA()
	}
	if pub.IsPQ() {
		return true
	}
	curve, err := pub.Curve()
	if err != nil {
		return false
	}
	return curveBits(curve) >= p.MinCurve
}

func curveBits(curve packet.Curve) int {
	switch curve {
	case packet.Curve25519:
		return 255
	case packet.CurveNistP256, packet.CurveBrainpoolP256:
		return 256
	case packet.CurveNistP384, packet.CurveBrainpoolP384:
		return 384
	case packet.Curve448:
		return 448
	case packet.CurveBrainpoolP512:
		return 512
	case packet.CurveNistP521:
		return 521
	}
	return 0
}

// refusal is the first refusing finding as an error.
func refusal(findings []Finding, fpr Fingerprint) error {
	for _, f := range findings {
		if f.Refuse {
			return (&Error{code: f.Code, Op: "recipient", Detail: f.Detail}).of(fpr)
		}
	}
	return nil
}
