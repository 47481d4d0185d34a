package crypto

import (
	"bufio"
	"bytes"
	"context"
	stdcrypto "crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	sessionKeySize  = 32      // octets: AES-256
	copySize        = 1 << 18 // octets read and hashed at a time
	maxLiteralName  = 255     // octets (RFC 9580 §5.9)
	maxNotationSize = 1 << 12 // octets of name and value together
)

// Notation is a name and a value signed with the letter, inside the
// encryption: not critical, human-readable (RFC 9580 §5.2.3.24).
type Notation struct{ Name, Value string }

// SealParams says how to encipher one letter.
type SealParams struct {
	// Recipients in the order of the encrypted session keys.
	Recipients []Recipient
	// Signer is the unlocked key of the sandiman whose inner signature marks
	// origin and intended recipients; nil leaves the letter unsigned.
	Signer *Key
	Policy Policy
	// Now decides which keys are valid and dates the signature; zero means
	// the system clock.
	Now time.Time
	// FileName is the name in the literal packet, at most 255 octets.
	FileName  string
	Notations []Notation
}

// Sealed is what Seal wrote. It holds the session key until Wipe and is not
// for concurrent use.
type Sealed struct {
	// Format is read from the packet really written: "SEIPDv1 AES-256 MDC",
	// "SEIPDv2 AES-256 OCB" or "SEIPDv2 AES-256 GCM".
	Format string
	// Size and PlainSize are octets of kriptogram and letter.
	Size, PlainSize     int64
	SHA256, PlainSHA256 [32]byte

	sessionKey []byte
	recipients []chosen
	signer     *packet.PublicKey // nil without inner signature
	digest     stdcrypto.Hash    // of the inner signature
	mode       packet.AEADMode   // 0 for SEIPDv1
	fileName   string
	policy     Policy
	now        time.Time
}

// Seal enciphers src to dst: encrypted session keys in the order of the
// recipients, then one integrity-protected packet with the inner signature
// around the literal data (binary, undated, not compressed). It streams.
//
// It fails closed: a recipient who does not pass Policy.Check, two recipients
// with the same key id (crypto.same_key_id) or a signer who may not sign stop
// it before anything is written. After a later error dst holds the beginning
// of a kriptogram, which the caller throws away.
func Seal(ctx context.Context, dst io.Writer, src io.Reader, p SealParams) (_ *Sealed, err error) {
	defer guard("seal", &err)
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	s := &Sealed{fileName: p.FileName, policy: p.Policy, now: p.Now.UTC().Truncate(time.Second)}
	if len(p.FileName) > maxLiteralName {
		return nil, fault(ErrTooLarge, "file name", "", nil)
	}
	if s.recipients, err = p.choose(s.now); err != nil {
		return nil, err
	}
	if s.mode, err = commonFormat(s.recipients, p.Policy); err != nil {
		return nil, err
	}
	inner, err := p.innerSignature(s)
	if err != nil {
		return nil, err
	}
	s.sessionKey = make([]byte, sessionKeySize)
	if _, err := io.ReadFull(rand.Reader, s.sessionKey); err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	written := false
	defer func() {
		if !written {
			s.Wipe()
		}
	}()
	if err := s.write(ctx, dst, src, inner); err != nil {
		return nil, err
	}
	written = true
	return s, nil
}

// choose runs the policy over all recipients and selects their keys.
func (p SealParams) choose(now time.Time) ([]chosen, error) {
	if len(p.Recipients) == 0 {
		return nil, fault(ErrNoEncryptionKey, "recipients", "none", nil)
	}
	if len(p.Recipients) > maxPKESKs {
		return nil, fault(ErrTooLarge, "recipients", "", nil)
	}
	var all []chosen
	seen := make(map[uint64]bool, len(p.Recipients))
	for _, r := range p.Recipients {
		findings, c := p.Policy.check(r, now)
		fpr := r.Certificate.Fingerprint()
		if err := refusal(findings, fpr); err != nil {
			return nil, err
		}
		if seen[c.key.PublicKey.KeyId] {
			return nil, fault(ErrSameKeyID, "recipients", "", nil).of(fpr)
		}
		seen[c.key.PublicKey.KeyId] = true
		all = append(all, c)
	}
	return all, nil
}

// commonFormat returns the AEAD mode that all recipients read, or 0 for
// SEIPDv1. AES-128 is never an answer.
func commonFormat(all []chosen, p Policy) (packet.AEADMode, error) {
	common := []packet.AEADMode{packet.AEADModeGCM, packet.AEADModeOCB}
	for _, c := range all {
		var left []packet.AEADMode
		for _, mode := range common {
			for _, offered := range c.can.aead {
				if offered == mode {
					left = append(left, mode)
				}
			}
		}
		common = left
	}
	if len(common) > 0 {
		return common[0], nil
	}
	for _, c := range all {
		if !p.AllowMDC {
			return 0, fault(ErrNoMDCAllowed, "recipients", "no AEAD mode in common", nil)
		}
		if !c.can.mdc {
			return 0, fault(ErrNoAES256, "recipient", "AES-256 is not in the preferences", nil).of(c.certificate.fingerprint)
		}
	}
	return 0, nil
}

// pendingSignature is the inner signature before the letter is hashed.
type pendingSignature struct {
	key packet.PrivateKey
	sig *packet.Signature
}

func (p SealParams) innerSignature(s *Sealed) (*pendingSignature, error) {
	if p.Signer == nil {
		return nil, nil
	}
	key, err := p.Signer.unlockedSigningKey(s.now)
	if err != nil {
		return nil, err
	}
	digest, err := p.Policy.innerHash(key.PublicKey)
	if err != nil {
		return nil, err
	}
	sig := newSignature(key.PublicKey, packet.SigTypeBinary, digest, s.now)
	for _, n := range p.Notations {
		if len(n.Name)+len(n.Value) > maxNotationSize {
			return nil, fault(ErrTooLarge, "notation", "", nil)
		}
		sig.Notations = append(sig.Notations, &packet.Notation{Name: n.Name, Value: []byte(n.Value), IsHumanReadable: true})
	}
	for _, r := range s.recipients {
		primary := r.key.Entity.PrimaryKey
		sig.IntendedRecipients = append(sig.IntendedRecipients, &packet.Recipient{KeyVersion: primary.Version, Fingerprint: primary.Fingerprint})
	}
	s.signer, s.digest = key.PublicKey, digest
	return &pendingSignature{key: *key.PrivateKey, sig: sig}, nil
}

// newSignature is a v4 signature packet to be filled.
func newSignature(pub *packet.PublicKey, kind packet.SignatureType, digest stdcrypto.Hash, now time.Time) *packet.Signature {
	return &packet.Signature{
		Version:           pub.Version,
		SigType:           kind,
		PubKeyAlgo:        pub.PubKeyAlgo,
		Hash:              digest,
		CreationTime:      now,
		IssuerKeyId:       &pub.KeyId,
		IssuerKeyVersion:  uint8(pub.Version),
		IssuerFingerprint: pub.Fingerprint,
	}
}

// write writes the kriptogram. The packet layer is driven by hand: the key
// pinned for each recipient is the key used, and cipher, mode and hash are
// ours to say, where the library's own function would look for a compromise.
func (s *Sealed) write(ctx context.Context, dst io.Writer, src io.Reader, inner *pendingSignature) error {
	cfg := libraryConfig(s.now)
	file := &digestWriter{dst: dst, digest: newSideHash(sha256.New())}
	defer file.digest.stop()
	out := outputs.Get().(*bufio.Writer)
	defer outputs.Put(out)
	out.Reset(file)
	defer out.Reset(nil)
	for _, r := range s.recipients {
		err := packet.SerializeEncryptedKeyAEADwithHiddenOption(out, r.key.PublicKey, packet.CipherAES256, s.mode != 0, s.sessionKey, false, cfg)
		if err != nil {
			return fmt.Errorf("session key packet: %w", err)
		}
	}
	head := &headWriter{w: out}
	payload, err := s.encryptedPacket(head, cfg)
	if err != nil {
		return fmt.Errorf("encrypted packet: %w", err)
	}
	letter := sha256.New()
	var signed hash.Hash // the letter's digest and the signature's may be one
	if inner != nil {
		signed = letter
		if inner.sig.Hash != stdcrypto.SHA256 {
			signed = inner.sig.Hash.New()
		}
		ops := &packet.OnePassSignature{
			Version: 3, SigType: inner.sig.SigType, Hash: inner.sig.Hash, PubKeyAlgo: inner.sig.PubKeyAlgo, KeyId: *inner.sig.IssuerKeyId, IsLast: true,
		}
		if err := ops.Serialize(payload); err != nil {
			return fmt.Errorf("one-pass signature: %w", err)
		}
	}
	literal, err := packet.SerializeLiteral(keepOpen{payload}, true, s.fileName, 0)
	if err != nil {
		return fmt.Errorf("literal packet: %w", err)
	}
	hashes := io.Writer(letter)
	if signed != nil && signed != letter {
		hashes = io.MultiWriter(letter, signed)
	}
	if s.PlainSize, err = copyHashed(ctx, literal, src, hashes); err != nil {
		return err
	}
	if err := literal.Close(); err != nil {
		return fmt.Errorf("literal packet: %w", err)
	}
	letter.Sum(s.PlainSHA256[:0]) // before the signature adds its own octets
	if inner != nil {
		if err := inner.sig.Sign(signed, &inner.key, cfg); err != nil {
			return fmt.Errorf("inner signature: %w", err)
		}
		if err := inner.sig.Serialize(payload); err != nil {
			return fmt.Errorf("inner signature: %w", err)
		}
	}
	if err := payload.Close(); err != nil {
		return fmt.Errorf("encrypted packet: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("kriptogram: %w", err)
	}
	s.Size = file.size
	file.digest.sum(s.SHA256[:0])
	if s.Format, err = formatOfHead(head.head, packet.CipherAES256); err != nil {
		return err
	}
	return nil
}

// encryptedPacket starts the encrypted packet: SEIPDv2 where the recipients
// have a mode in common, else SEIPDv1.
func (s *Sealed) encryptedPacket(w io.Writer, cfg *packet.Config) (io.WriteCloser, error) {
	suite := packet.CipherSuite{Cipher: packet.CipherAES256, Mode: s.mode}
	return packet.SerializeSymmetricallyEncrypted(w, packet.CipherAES256, s.mode != 0, suite, s.sessionKey, cfg)
}

// Sidecar returns one encrypted session key packet for c: put before the
// kriptogram it opens it, also with gpg. It is written for the archive and
// for the head who reads what he signs, and is never sent. The packet has the
// version that belongs to the kriptogram, 3 or 6. A subkey other than the
// pinned one is crypto.subkey_changed; an empty subkey pins nothing.
func (s *Sealed) Sidecar(c *Certificate, subkey Fingerprint) (_ []byte, err error) {
	defer guard("sidecar", &err)
	if s.sessionKey == nil {
		return nil, fault(ErrEnvelope, "sidecar", "session key wiped", nil)
	}
	to, err := s.policy.checkSidecar(c, subkey, s.now)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = packet.SerializeEncryptedKeyAEADwithHiddenOption(&out, to.key.PublicKey, packet.CipherAES256, s.mode != 0, s.sessionKey, false, libraryConfig(s.now))
	if err != nil {
		return nil, fmt.Errorf("sidecar: %w", err)
	}
	return out.Bytes(), nil
}

// CheckSidecar refuses a certificate for which [Sealed.Sidecar] would make none.
func (p Policy) CheckSidecar(c *Certificate, subkey Fingerprint, now time.Time) error {
	_, err := p.checkSidecar(c, subkey, now)
	return err
}

func (p Policy) checkSidecar(c *Certificate, subkey Fingerprint, now time.Time) (chosen, error) {
	findings, to := p.check(Recipient{Certificate: c, Subkey: subkey}, now)
	for _, f := range findings {
		switch f.Code {
		case ErrNoAES256.code, ErrNoMDCAllowed.code, ErrPostQuantumNeeded.code:
			// These speak of what goes on the wire; a sidecar stays at home
			// and only carries the key of a format already chosen.
		default:
			if err := refusal([]Finding{f}, c.fingerprint); err != nil {
				return to, err
			}
		}
	}
	return to, nil
}

// Wipe zeroes the session key. CheckEnvelope and Sidecar fail afterwards.
func (s *Sealed) Wipe() {
	clear(s.sessionKey)
	s.sessionKey = nil
}

// keepOpen hides the Close of the packet around.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// headWriter remembers the first octets of a packet as they go out.
type headWriter struct {
	w    io.Writer
	head []byte
}

func (h *headWriter) Write(p []byte) (int, error) {
	if room := 16 - len(h.head); room > 0 {
		h.head = append(h.head, p[:min(room, len(p))]...)
	}
	return h.w.Write(p)
}

// digestWriter counts and hashes what dst takes, hashing while dst writes.
type digestWriter struct {
	dst    io.Writer
	digest *sideHash
	size   int64
}

func (d *digestWriter) Write(p []byte) (int, error) {
	d.digest.begin(p)
	n, err := d.dst.Write(p)
	d.digest.wait()
	d.size += int64(n)
	return n, err
}

// sideHash hashes in a goroutine of its own, so that hashing and enciphering
// use two cores. Between begin and wait the octets must not change.
type sideHash struct {
	h    hash.Hash
	in   chan []byte
	done chan struct{}
}

func newSideHash(h hash.Hash) *sideHash {
	s := &sideHash{h: h, in: make(chan []byte), done: make(chan struct{})}
	go func() {
		for p := range s.in {
			s.h.Write(p)
			s.done <- struct{}{}
		}
	}()
	return s
}

func (s *sideHash) begin(p []byte)      { s.in <- p }
func (s *sideHash) wait()               { <-s.done }
func (s *sideHash) stop()               { close(s.in) }
func (s *sideHash) sum(b []byte) []byte { return s.h.Sum(b) }

// writerHash lets several writers be hashed as one.
type writerHash struct {
	hash.Hash
	w io.Writer
}

func (w writerHash) Write(p []byte) (int, error) { return w.w.Write(p) }

// The working space of letters that follow each other: a short letter would pay
// more for new space than for its encryption. What held plaintext is cleared
// before it goes back.
var (
	copies  = sync.Pool{New: func() any { return new([copySize]byte) }}
	outputs = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, copySize) }}
	inputs  = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<16) }} // of ciphertext
)

// copyHashed copies src to dst and hashes it beside, until the end or until
// ctx ends. Errors of src and dst are returned wrapped.
func copyHashed(ctx context.Context, dst io.Writer, src io.Reader, hashes io.Writer) (int64, error) {
	side := newSideHash(writerHash{w: hashes})
	defer side.stop()
	space := copies.Get().(*[copySize]byte)
	defer copies.Put(space)
	buf := space[:]
	var used int
	defer func() { clear(buf[:used]) }()
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return size, err
		}
		n, err := fill(src, buf)
		used = max(used, n)
		if n > 0 {
			side.begin(buf[:n])
			_, writeErr := dst.Write(buf[:n])
			side.wait()
			size += int64(n)
			if writeErr != nil {
				return size, fmt.Errorf("output: %w", writeErr)
			}
		}
		if err == io.EOF { // exactly: a wrapped one is somebody's failure
			return size, nil
		}
		if err != nil {
			return size, fmt.Errorf("input: %w", err)
		}
	}
}

// fill reads until buf is full. Unlike io.ReadFull it keeps a source's own
// io.ErrUnexpectedEOF, which says that data were cut, apart from the end.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}
