package crypto

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// defaultMaxPlaintext bounds a letter when OpenParams does not, in octets.
const defaultMaxPlaintext = 4 << 30

// OpenParams says how to open a kriptogram.
type OpenParams struct {
	// Key is the recipient's, unlocked.
	Key *Key
	// Sidecar is an encrypted session key packet to use instead of those in
	// the file. Only with it the key need not be an intended recipient.
	Sidecar []byte
	// Signers are the certificates accepted for the inner signature; none
	// leaves it unchecked.
	Signers []*Certificate
	// Now decides whether a signature is from the future; zero means the
	// system clock.
	Now time.Time
	// MaxPlaintext is in octets; zero means 4 GiB.
	MaxPlaintext int64
}

// Opened describes the letter that Open wrote.
type Opened struct {
	// FileName is the unsanitised name in the literal packet, which nothing
	// protects in a v4 signature. It is never a path to write to.
	FileName string
	Size     int64
	SHA256   [32]byte
	Inner    InnerSignature
}

// Verdict is the outcome of a check. The zero value means that no check was
// made, and is never good.
type Verdict string

// Verdicts.
const (
	VerdictGood      Verdict = "good"
	VerdictBad       Verdict = "bad"
	VerdictAbsent    Verdict = "absent"
	VerdictUnchecked Verdict = "unchecked"
)

// InnerSignature is the mark of origin inside the encryption. Only with
// VerdictGood do its other fields say anything about their origin; with
// VerdictUnchecked they are what somebody wrote, with VerdictBad only Signer
// and SignedAt are given, as a hint for messages.
type InnerSignature struct {
	Verdict Verdict
	// Signer is the primary key of an accepted certificate when the verdict
	// is good, else the issuer that the signature claims.
	Signer             Fingerprint
	SignedAt           time.Time
	Notations          []Notation
	IntendedRecipients []Fingerprint
}

// Open deciphers src to dst. dst receives plaintext while it streams, before
// anything is known about it: the caller keeps dst unnamed until err is nil
// and the verdicts are good. A missing, bad or unknown inner signature is a
// verdict, not an error.
//
// Errors: crypto.envelope for a malformed or extended file,
// crypto.not_recipient, crypto.decrypt for data that does not pass its
// integrity check, crypto.passphrase for a locked key, crypto.too_large;
// errors of src, dst and ctx are wrapped.
//
// The inner signature is good when exactly one is there, by one of Signers
// whose key was valid at the time of signing, not dated more than
// MaxClockSkew after Now; it names our key among the intended recipients,
// and as many of them as the file has encrypted session keys.
func Open(ctx context.Context, dst io.Writer, src io.Reader, p OpenParams) (_ *Opened, err error) {
	defer guard("open", &err)
	if p.Key == nil || len(p.Key.secrets()) == 0 {
		return nil, fault(ErrNoSecretKey, "open", "", nil)
	}
	if p.Key.Locked() {
		return nil, fault(ErrPassphrase, "open", "the key is locked", nil).of(p.Key.certificate.fingerprint)
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	if p.MaxPlaintext <= 0 {
		p.MaxPlaintext = defaultMaxPlaintext
	}
	source := &failingReader{r: src}
	env, err := openEnvelope(source)
	if source.err != nil {
		return nil, fmt.Errorf("kriptogram: %w", source.err)
	}
	if err != nil {
		return nil, err
	}
	defer env.release()
	keys, err := p.sessionKeys(env)
	if err != nil {
		return nil, err
	}
	ring, signers, err := p.keyring()
	if err != nil {
		return nil, err
	}
	// The library compares a signature's date with this clock and nothing
	// else: the keys are judged at the date of the signature.
	cfg := libraryConfig(p.Now.Add(MaxClockSkew))
	enforce := p.Sidecar == nil
	cfg.CheckIntendedRecipients = &enforce
	limit := min(p.MaxPlaintext, maxDecompressed)
	cfg.MaxDecompressedMessageSize = &limit

	md, err := openpgp.ReadMessage(io.MultiReader(bytes.NewReader(keys), env.data), ring, nil, cfg)
	if err != nil {
		return nil, openFailure(source, env, err)
	}
	opened := &Opened{FileName: md.LiteralData.FileName}
	letter := sha256.New()
	body := &failingReader{r: io.LimitReader(md.UnverifiedBody, p.MaxPlaintext+1)}
	if opened.Size, err = copyHashed(ctx, dst, body, letter); err != nil {
		if body.err != nil && ctx.Err() == nil {
			return nil, openFailure(source, env, body.err)
		}
		return nil, err
	}
	if opened.Size > p.MaxPlaintext {
		return nil, fault(ErrTooLarge, "open", "", nil)
	}
	if err := env.finish(); err != nil {
		return nil, err
	}
	letter.Sum(opened.SHA256[:0])
	opened.Inner = p.judge(md, signers, len(env.keys))
	return opened, nil
}

// sessionKeys returns the packets to open the file with: those of the file
// that are for our key, or the sidecar. Others are left out, so that the
// library does not try our key on them.
func (p OpenParams) sessionKeys(env *envelope) ([]byte, error) {
	fpr := p.Key.certificate.fingerprint
	if p.Sidecar != nil {
		packets, err := splitPackets(p.Sidecar)
		if err != nil || len(p.Sidecar) > maxPKESK || len(packets) != 1 || packets[0].tag != tagPKESK {
			return nil, fault(ErrEnvelope, "sidecar", "not exactly one session key packet", err)
		}
		parsed, err := parseSessionKey(packets[0])
		if err != nil {
			return nil, err
		}
		if !p.Key.Opens(packetRecipient(parsed)) {
			return nil, fault(ErrNotRecipient, "sidecar", "", nil).of(fpr)
		}
		return packets[0].bytes(), nil
	}
	var ours []byte
	for _, key := range env.keys {
		if p.Key.Opens(packetRecipient(key.parsed)) {
			ours = append(ours, key.raw.bytes()...)
		}
	}
	if ours == nil {
		return nil, fault(ErrNotRecipient, "open", "", nil).of(fpr)
	}
	return ours, nil
}

// OpensSidecar reports whether a sidecar names a key of the certificate, as
// [Certificate.Opens] does.
func (c *Certificate) OpensSidecar(sidecar []byte) bool {
	packets, err := splitPackets(sidecar)
	if err != nil || len(packets) != 1 || packets[0].tag != tagPKESK {
		return false
	}
	parsed, err := parseSessionKey(packets[0])
	return err == nil && c.Opens(packetRecipient(parsed))
}

// Opens reports whether a packet names a key of the certificate. One for
// SEIPDv1 names it by 64 bits, so that this is a hint for people which key to
// fetch and proves nothing.
func (c *Certificate) Opens(r PacketRecipient) bool {
	e, err := c.entity()
	if err != nil {
		return false
	}
	return r.names(e.PrimaryKey) || slices.ContainsFunc(e.Subkeys, func(s openpgp.Subkey) bool { return r.names(s.PublicKey) })
}

// Opens reports whether a packet names one of our secret keys, or nobody.
func (k *Key) Opens(r PacketRecipient) bool {
	return r.KeyID == 0 || slices.ContainsFunc(k.secrets(), func(s *packet.PrivateKey) bool { return r.names(&s.PublicKey) })
}

// keyring puts the signers first: the library takes the first certificate
// that matches a signature, and ours must not stand in for a pinned one.
func (p OpenParams) keyring() (openpgp.EntityList, map[*openpgp.Entity]Fingerprint, error) {
	var ring openpgp.EntityList
	signers := make(map[*openpgp.Entity]Fingerprint, len(p.Signers))
	for _, c := range p.Signers {
		e, err := c.entity()
		if err != nil {
			return nil, nil, fault(ErrMalformed, "signer", "", err).of(c.fingerprint)
		}
		ring = append(ring, e)
		signers[e] = c.fingerprint
	}
	return append(ring, p.Key.entity), signers, nil
}

// openFailure tells a broken file from broken data and a failing medium.
func openFailure(source *failingReader, env *envelope, err error) error {
	switch {
	case source.err != nil:
		return fmt.Errorf("kriptogram: %w", source.err)
	case env.data.err != nil && !errors.Is(env.data.err, io.EOF):
		return notAnEnvelope("encrypted packet", env.data.err)
	}
	return fault(ErrDecrypt, "open", "", err)
}

// failingReader remembers an error of its source other than the end.
type failingReader struct {
	r   io.Reader
	err error
}

func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// judge turns what the library found into one verdict.
func (p OpenParams) judge(md *openpgp.MessageDetails, signers map[*openpgp.Entity]Fingerprint, packets int) InnerSignature {
	if len(md.SignatureCandidates) == 0 {
		return InnerSignature{Verdict: VerdictAbsent}
	}
	sig := md.SignatureCandidates[0].CorrespondingSig
	if sig == nil {
		return InnerSignature{Verdict: VerdictBad}
	}
	hint := InnerSignature{
		Verdict:  VerdictBad,
		Signer:   Fingerprint(hex.EncodeToString(sig.IssuerFingerprint)),
		SignedAt: sig.CreationTime.UTC(),
	}
	full := hint
	for _, n := range sig.Notations {
		full.Notations = append(full.Notations, Notation{Name: n.Name, Value: string(n.Value)})
	}
	for _, r := range sig.IntendedRecipients {
		full.IntendedRecipients = append(full.IntendedRecipients, Fingerprint(hex.EncodeToString(r.Fingerprint)))
	}
	if len(signers) == 0 {
		full.Verdict = VerdictUnchecked
		return full
	}
	if len(md.SignatureCandidates) != 1 || md.SignatureError != nil || md.Signature != sig || md.SignedBy == nil || sig.SigType != packet.SigTypeBinary {
		return hint
	}
	signer, pinned := signers[md.SignedBy.Entity]
	if !pinned {
		return hint
	}
	if p.Sidecar == nil {
		named := false
		for _, fpr := range full.IntendedRecipients {
			named = named || fpr == p.Key.certificate.fingerprint
		}
		if !named || len(full.IntendedRecipients) != packets {
			return hint
		}
	}
	full.Verdict, full.Signer = VerdictGood, signer
	return full
}
