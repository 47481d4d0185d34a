package crypto

import (
	"bytes"
	stdcrypto "crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// maxText bounds a text whose signature is checked over several forms.
const maxText = 1 << 30

// SignText signs a text with an unlocked v4 key: detached, armored, type 0x01
// (the signature holds over LF and over CRLF line ends), SHA-512, without
// notations. micalg is the hash really used, in the words of RFC 3156 §5.
func SignText(k *Key, text io.Reader, now time.Time) (armored []byte, micalg string, err error) {
	s, err := NewTextSigner(k, now)
	if err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(s, text); err != nil {
		return nil, "", fmt.Errorf("text: %w", err)
	}
	armored, err = s.Sign()
	return armored, s.Micalg(), err
}

// TextSigner is SignText for a text that is written to it. It is for one
// goroutine and one text.
type TextSigner struct {
	sig  *packet.Signature
	key  *packet.PrivateKey
	now  time.Time
	hash hash.Hash
	text canonicalText
}

// NewTextSigner begins a signature; it refuses a key that cannot sign.
func NewTextSigner(k *Key, now time.Time) (_ *TextSigner, err error) {
	defer guard("signature", &err)
	now = now.UTC().Truncate(time.Second)
	key, err := k.unlockedSigningKey(now)
	if err != nil {
		return nil, err
	}
	s := &TextSigner{sig: newSignature(key.PublicKey, packet.SigTypeText, stdcrypto.SHA512, now), key: key.PrivateKey, now: now}
	if s.hash, err = s.sig.PrepareSign(libraryConfig(now)); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	s.text.out = s.hash
	return s, nil
}

// Write adds to the text.
func (s *TextSigner) Write(p []byte) (int, error) { return s.text.Write(p) }

// Micalg is the hash of the signature in the words of RFC 3156 §5.
func (s *TextSigner) Micalg() string { return "pgp-" + hashName(s.sig.Hash) }

// Sign ends the text and returns the signature.
func (s *TextSigner) Sign() (armored []byte, err error) {
	defer guard("signature", &err)
	s.text.end()
	if err := s.sig.Sign(s.hash, s.key, libraryConfig(s.now)); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	var out bytes.Buffer
	if err := s.sig.Serialize(&out); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return enarmor(openpgp.SignatureType, out.Bytes()), nil
}

// canonicalText gives a text with CRLF line ends on to a hash. What has them
// already, as every message has, goes on as it is; the library, which looks at
// every octet by itself, takes over at the first line end of another kind.
type canonicalText struct {
	out   hash.Hash
	other hash.Hash // takes the rest; nil while all line ends were CRLF
	held  bool      // a CR that may begin a line end
}

func (c *canonicalText) Write(p []byte) (int, error) {
	n := len(p)
	if c.held && n > 0 {
		c.held = false
		if p[0] != '\n' {
			c.other = openpgp.NewCanonicalTextHash(c.out)
			c.other.Write(carriage)
		} else {
			c.out.Write(carriage)
			c.out.Write(p[:1])
			p = p[1:]
		}
	}
	if c.other == nil {
		done := wholeLines(p)
		c.out.Write(p[:done])
		if p = p[done:]; len(p) == 1 && p[0] == '\r' {
			c.held = true
			return n, nil
		}
		if len(p) > 0 {
			c.other = openpgp.NewCanonicalTextHash(c.out)
		}
	}
	if c.other != nil {
		c.other.Write(p)
	}
	return n, nil
}

// end gives on what was held back.
func (c *canonicalText) end() {
	if c.held {
		c.held = false
		c.out.Write(carriage)
	}
}

var carriage = []byte{'\r'}

// wholeLines is how much of p may go on as it is: up to a line end other than
// CRLF, or a CR at the end.
func wholeLines(p []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\r')
		line := p[at:]
		if i >= 0 {
			line = line[:i]
		}
		if lf := bytes.IndexByte(line, '\n'); lf >= 0 {
			return at + lf
		}
		if i < 0 {
			return len(p)
		}
		if at += i; at+1 == len(p) || p[at+1] != '\n' {
			return at
		}
		at += 2
	}
}

func hashName(h stdcrypto.Hash) string {
	switch h {
	case stdcrypto.SHA256:
		return "sha256"
	case stdcrypto.SHA384:
		return "sha384"
	case stdcrypto.SHA512:
		return "sha512"
	}
	return h.String()
}

// Signature is a signature that was verified.
type Signature struct {
	// Signer is the primary key, also when a subkey signed.
	Signer   Fingerprint
	SignedAt time.Time
	// Hash is for people, such as "SHA-512".
	Hash string
	// Text is true for type 0x01.
	Text bool
}

// VerifyText checks a detached signature of type 0x01 by one certificate as
// it stands, at the instant at. The signing key must have been valid when the
// signature was made; the signature may be dated up to MaxClockSkew after at.
// Errors: crypto.signature_type for another type or version or more than one
// signature, crypto.signer_unknown for another signer, crypto.signature_bad,
// crypto.malformed, crypto.too_large; errors of text are wrapped.
func VerifyText(text io.Reader, sig []byte, by *Certificate, at time.Time) (_ Signature, err error) {
	defer guard("signature", &err)
	parsed, raw, err := parseSignature(sig)
	if err != nil {
		return Signature{}, err
	}
	if parsed.SigType != packet.SigTypeText {
		return Signature{}, fault(ErrSignatureType, "signature", "not a text signature", nil)
	}
	return verify(text, raw, parsed.CreationTime, by, at)
}

// VerifyForeign checks a signature made by another program over text: of type
// 0x01, or of type 0x00 over the text with LF or with CRLF line ends. The
// errors are those of VerifyText.
func VerifyForeign(text, sig []byte, by *Certificate, at time.Time) (_ Signature, err error) {
	defer guard("signature", &err)
	parsed, raw, err := parseSignature(sig)
	if err != nil {
		return Signature{}, err
	}
	if len(text) > maxText {
		return Signature{}, fault(ErrTooLarge, "text", "", nil)
	}
	switch parsed.SigType {
	case packet.SigTypeText:
		return verify(bytes.NewReader(text), raw, parsed.CreationTime, by, at)
	case packet.SigTypeBinary:
		lf := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
		good, err := verify(bytes.NewReader(lf), raw, parsed.CreationTime, by, at)
		if errors.Is(err, ErrSignatureBad) {
			crlf := bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))
			return verify(bytes.NewReader(crlf), raw, parsed.CreationTime, by, at)
		}
		return good, err
	}
	return Signature{}, fault(ErrSignatureType, "signature", "neither text nor binary", nil)
}

// SignatureIssuer returns the fingerprint that a signature claims for its
// issuer, perhaps of a subkey. Nothing vouches for it: it is for messages
// only. A signature that claims none is crypto.signer_unknown.
func SignatureIssuer(sig []byte) (_ Fingerprint, err error) {
	defer guard("signature", &err)
	parsed, _, err := parseSignature(sig)
	if err != nil {
		return "", err
	}
	if len(parsed.IssuerFingerprint) == 0 {
		return "", fault(ErrSignerUnknown, "signature", "no issuer fingerprint", nil)
	}
	return Fingerprint(hex.EncodeToString(parsed.IssuerFingerprint)), nil
}

// parseSignature reads exactly one v4 signature packet, armored or binary,
// and returns it also in its binary form.
func parseSignature(sig []byte) (*packet.Signature, []byte, error) {
	raw, err := dearmor(sig, maxSignature, openpgp.SignatureType)
	if err != nil {
		return nil, nil, err
	}
	packets, err := splitPackets(raw)
	if err != nil {
		return nil, nil, fault(ErrMalformed, "signature", "", err)
	}
	if len(packets) != 1 || packets[0].tag != tagSignature {
		return nil, nil, fault(ErrSignatureType, "signature", "not exactly one signature", nil)
	}
	if version, _, ok := packets[0].signatureKind(); ok && version != 4 {
		return nil, nil, fault(ErrSignatureType, "signature", fmt.Sprintf("version %d", version), nil)
	}
	parsed, err := packet.Read(bytes.NewReader(packets[0].bytes()))
	p, ok := parsed.(*packet.Signature)
	if err != nil || !ok {
		return nil, nil, fault(ErrMalformed, "signature", "", err)
	}
	return p, packets[0].bytes(), nil
}

// verify lets the library check raw, one signature packet, over text.
// dated is when it says it was made.
func verify(text io.Reader, raw []byte, dated time.Time, by *Certificate, at time.Time) (Signature, error) {
	j := judgement{use: useVerify, now: at.Unix(), date: dated.Unix()}
	e, err := by.take(j)
	if err != nil {
		return Signature{}, fault(ErrMalformed, "signer", "", err).of(by.fingerprint)
	}
	defer by.put(j, e)
	source := &failingReader{r: text}
	// See Open: only the signature's own date is compared with this clock.
	cfg := libraryConfig(at.Add(MaxClockSkew))
	sig, _, err := openpgp.VerifyDetachedSignature(openpgp.EntityList{e}, source, bytes.NewReader(raw), cfg)
	switch {
	case source.err != nil:
		return Signature{}, fmt.Errorf("text: %w", source.err)
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return Signature{}, fault(ErrSignerUnknown, "signature", "", nil).of(by.fingerprint)
	case err != nil:
		return Signature{}, fault(ErrSignatureBad, "signature", "", err).of(by.fingerprint)
	}
	return Signature{
		Signer:   by.fingerprint,
		SignedAt: sig.CreationTime.UTC(),
		Hash:     sig.Hash.String(),
		Text:     sig.SigType == packet.SigTypeText,
	}, nil
}
