package crypto

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// EnvelopeFacts is what the outside of a kriptogram shows without any key.
type EnvelopeFacts struct {
	// Format is "SEIPDv1 MDC", whose cipher stands inside the encrypted
	// session keys, or for example "SEIPDv2 AES-256 OCB".
	Format string
	// Recipients in the order of their packets.
	Recipients []PacketRecipient
}

// PacketRecipient is the addressee of one encrypted session key packet. A
// zero KeyID is an anonymous one.
type PacketRecipient struct {
	Version     int
	KeyID       uint64
	Fingerprint Fingerprint // of the encryption key, version 6 only
}

// ReadEnvelope reads a binary kriptogram to its end. It refuses, with
// crypto.envelope, everything but encrypted session keys to public keys and
// one integrity-protected packet that ends with the stream: passphrase
// packets, padding, markers, unauthenticated data, octets behind.
func ReadEnvelope(r io.Reader) (_ *EnvelopeFacts, err error) {
	defer guard("envelope", &err)
	env, err := openEnvelope(r)
	if err != nil {
		return nil, err
	}
	defer env.release()
	data, err := env.encrypted()
	if err != nil {
		return nil, err
	}
	facts := &EnvelopeFacts{Format: formatOf(data, 0), Recipients: env.recipients()}
	if _, err := io.Copy(io.Discard, env.data); err != nil {
		return nil, notAnEnvelope("encrypted packet", err)
	}
	return facts, nil
}

// ReadRecipients is ReadEnvelope for the recipients alone: it reads no further
// than their packets.
func ReadRecipients(r io.Reader) (_ []PacketRecipient, err error) {
	defer guard("envelope", &err)
	env, err := openEnvelope(r)
	if err != nil {
		return nil, err
	}
	defer env.release()
	return env.recipients(), nil
}

// envelope is a kriptogram read up to its encrypted packet.
type envelope struct {
	keys []sessionKeyPacket
	data *framedReader // the encrypted packet as it stands, header included
}

type sessionKeyPacket struct {
	raw    rawPacket
	parsed *packet.EncryptedKey
}

// openEnvelope reads the encrypted session keys of r.
func openEnvelope(r io.Reader) (*envelope, error) {
	buffered := inputs.Get().(*bufio.Reader)
	buffered.Reset(r)
	env := &envelope{}
	for {
		tag, definite, partial, raw, err := readTag(buffered)
		if err != nil {
			return nil, notAnEnvelope("", err)
		}
		switch tag {
		case tagPKESK:
			if definite < 0 || definite > maxPKESK || len(env.keys) == maxPKESKs {
				return nil, notAnEnvelope("session key packet too large", nil)
			}
			key := sessionKeyPacket{raw: rawPacket{tag: tag, body: make([]byte, definite)}}
			if _, err := io.ReadFull(buffered, key.raw.body); err != nil {
				return nil, notAnEnvelope("session key packet", err)
			}
			if key.parsed, err = parseSessionKey(key.raw); err != nil {
				return nil, err
			}
			env.keys = append(env.keys, key)
		case tagSEIPD:
			if len(env.keys) == 0 {
				return nil, notAnEnvelope("no session key packet", nil)
			}
			env.data = newFramedReader(buffered, definite, partial, raw)
			return env, nil
		case tagSKESK:
			return nil, notAnEnvelope("session key packet for a passphrase", nil)
		default:
			return nil, notAnEnvelope("packet of type "+strconv.Itoa(tag), nil)
		}
	}
}

func parseSessionKey(raw rawPacket) (*packet.EncryptedKey, error) {
	parsed, err := packet.Read(bytes.NewReader(raw.bytes()))
	key, ok := parsed.(*packet.EncryptedKey)
	if err != nil || !ok {
		return nil, notAnEnvelope("session key packet", err)
	}
	return key, nil
}

// encrypted parses the head of the encrypted packet; its contents stay in
// the stream.
func (env *envelope) encrypted() (*packet.SymmetricallyEncrypted, error) {
	parsed, err := packet.Read(env.data)
	if err != nil {
		return nil, notAnEnvelope("encrypted packet", err)
	}
	data, ok := parsed.(*packet.SymmetricallyEncrypted)
	if !ok {
		return nil, notAnEnvelope("encrypted packet", nil)
	}
	return data, nil
}

func (env *envelope) recipients() []PacketRecipient {
	all := make([]PacketRecipient, len(env.keys))
	for i, key := range env.keys {
		all[i] = packetRecipient(key.parsed)
	}
	return all
}

// release gives the reader back; the envelope cannot be read any more.
func (env *envelope) release() {
	env.data.r.Reset(nil)
	inputs.Put(env.data.r)
	env.data = nil
}

// finish demands that the encrypted packet was read to its end and that
// nothing follows it.
func (env *envelope) finish() error {
	if n, err := io.Copy(io.Discard, env.data); err != nil || n != 0 {
		return notAnEnvelope("end of the encrypted packet", err)
	}
	return nil
}

func notAnEnvelope(detail string, cause error) error {
	return fault(ErrEnvelope, "envelope", detail, cause)
}

func packetRecipient(key *packet.EncryptedKey) PacketRecipient {
	r := PacketRecipient{Version: key.Version, KeyID: key.KeyId}
	if key.Version == 6 {
		r.Fingerprint = Fingerprint(hex.EncodeToString(key.KeyFingerprint))
	}
	return r
}

// names reports whether the packet names a key, which one for SEIPDv1 does by
// 64 bits.
func (r PacketRecipient) names(key *packet.PublicKey) bool {
	return r.KeyID == key.KeyId && (r.Version != 6 || r.Fingerprint == fingerprintOf(key))
}

// formatOf names the format of an encrypted packet. mdcCipher is the cipher
// of a SEIPDv1 packet when it is known, else 0.
func formatOf(data *packet.SymmetricallyEncrypted, mdcCipher packet.CipherFunction) string {
	if data.Version != 2 {
		if mdcCipher == 0 {
			return "SEIPDv1 MDC"
		}
		return "SEIPDv1 " + cipherName(mdcCipher) + " MDC"
	}
	mode := "AEAD " + strconv.Itoa(int(data.Mode))
	switch data.Mode {
	case packet.AEADModeEAX:
		mode = "EAX"
	case packet.AEADModeOCB:
		mode = "OCB"
	case packet.AEADModeGCM:
		mode = "GCM"
	}
	return "SEIPDv2 " + cipherName(data.Cipher) + " " + mode
}

func cipherName(c packet.CipherFunction) string {
	switch c {
	case packet.CipherAES128:
		return "AES-128"
	case packet.CipherAES192:
		return "AES-192"
	case packet.CipherAES256:
		return "AES-256"
	}
	return "cipher " + strconv.Itoa(int(c))
}

// formatOfHead reads the format from the first octets of a packet.
func formatOfHead(head []byte, mdcCipher packet.CipherFunction) (string, error) {
	r := bytes.NewReader(head)
	tag, _, _, _, err := readTag(r)
	if err != nil || tag != tagSEIPD {
		return "", notAnEnvelope("head of the encrypted packet", err)
	}
	var fields [3]byte
	if _, err := io.ReadFull(r, fields[:]); err != nil {
		return "", notAnEnvelope("head of the encrypted packet", err)
	}
	data := &packet.SymmetricallyEncrypted{Version: int(fields[0])}
	if data.Version == 2 {
		data.Cipher, data.Mode = packet.CipherFunction(fields[1]), packet.AEADMode(fields[2])
	}
	return formatOf(data, mdcCipher), nil
}

// CheckEnvelope reads the written file back and compares it, before it is
// signed and sent, with what was meant: the packets are exactly the pinned
// recipients in order and one encrypted packet to the end, in the format said
// in s; opened with the session key it holds the letter that went in, under
// the inner signature. Any difference is crypto.envelope.
//
// It does not show that each recipient's packet holds this session key: only
// their secret keys can.
func (s *Sealed) CheckEnvelope(ctx context.Context, file io.Reader) (err error) {
	defer guard("envelope", &err)
	if s.sessionKey == nil {
		return notAnEnvelope("session key wiped", nil)
	}
	whole := sha256.New()
	counted := &countingReader{r: io.TeeReader(file, whole)}
	env, err := openEnvelope(counted)
	if err != nil {
		return err
	}
	defer env.release()
	if err := s.comparePackets(env.keys); err != nil {
		return err
	}
	data, err := env.encrypted()
	if err != nil {
		return err
	}
	if got := formatOf(data, packet.CipherAES256); got != s.Format || (data.Version == 2 && data.Mode != s.mode) || (data.Version == 2) != (s.mode != 0) {
		return notAnEnvelope("format "+got, nil)
	}
	if err := s.compareLetter(ctx, data); err != nil {
		return err
	}
	if err := env.finish(); err != nil {
		return err
	}
	if counted.n != s.Size || !bytes.Equal(whole.Sum(nil), s.SHA256[:]) {
		return notAnEnvelope("the file is not the one written", nil)
	}
	return nil
}

func (s *Sealed) comparePackets(keys []sessionKeyPacket) error {
	if len(keys) != len(s.recipients) {
		return notAnEnvelope(fmt.Sprintf("%d recipients instead of %d", len(keys), len(s.recipients)), nil)
	}
	version := 3
	if s.mode != 0 {
		version = 6
	}
	for i, key := range keys {
		want := s.recipients[i].key.PublicKey
		got := key.parsed
		same := got.Version == version && got.KeyId == want.KeyId && got.Algo == want.PubKeyAlgo
		if version == 6 {
			same = same && got.KeyVersion == want.Version && bytes.Equal(got.KeyFingerprint, want.Fingerprint)
		}
		if !same {
			return fault(ErrEnvelope, "envelope", fmt.Sprintf("recipient %d is another", i+1), nil).of(s.recipients[i].certificate.fingerprint)
		}
	}
	return nil
}

// compareLetter opens the encrypted packet with the session key and reads
// exactly: one-pass signature, literal data, signature, end.
func (s *Sealed) compareLetter(ctx context.Context, data *packet.SymmetricallyEncrypted) error {
	inside, err := data.Decrypt(packet.CipherAES256, s.sessionKey)
	if err != nil {
		return notAnEnvelope("session key", err)
	}
	if s.signer != nil {
		if _, err := readPacket[*packet.OnePassSignature](inside); err != nil {
			return err
		}
	}
	literal, err := readPacket[*packet.LiteralData](inside)
	if err != nil {
		return err
	}
	if literal.Format != 'b' || literal.Time != 0 || literal.FileName != s.fileName {
		return notAnEnvelope("head of the literal packet", nil)
	}
	letter := sha256.New()
	hashes := io.Writer(letter)
	var signed hash.Hash
	if s.signer != nil {
		signed = s.digest.New()
		hashes = io.MultiWriter(letter, signed)
	}
	size, err := copyHashed(ctx, io.Discard, literal.Body, hashes)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return notAnEnvelope("encrypted data", err)
	}
	if s.signer != nil {
		sig, err := readPacket[*packet.Signature](inside)
		if err != nil {
			return err
		}
		if sig.Hash != s.digest {
			return notAnEnvelope("inner signature", nil)
		}
		if err := s.signer.VerifySignature(signed, sig); err != nil {
			return notAnEnvelope("inner signature", err)
		}
	}
	if _, err := packet.Read(inside); !errors.Is(err, io.EOF) {
		return notAnEnvelope("packets behind the letter", nil)
	}
	if err := inside.Close(); err != nil {
		return notAnEnvelope("encrypted data", err)
	}
	if size != s.PlainSize || !bytes.Equal(letter.Sum(nil), s.PlainSHA256[:]) {
		return notAnEnvelope("another letter", nil)
	}
	return nil
}

func readPacket[T packet.Packet](r io.Reader) (T, error) {
	var none T
	parsed, err := packet.Read(r)
	if err != nil {
		return none, notAnEnvelope("inner packet", err)
	}
	p, ok := parsed.(T)
	if !ok {
		return none, notAnEnvelope("inner packet of another type", nil)
	}
	return p, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
