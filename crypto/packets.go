package crypto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// Packet types of RFC 9580 §5 that are told apart here.
const (
	tagPKESK         = 1
	tagSignature     = 2
	tagSKESK         = 3
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagSEIPD         = 18
)

const (
	maxKeyData   = 1 << 20 // octets of a certificate or key file
	maxPackets   = 1 << 13 // packets of a certificate or key file
	maxSignature = 1 << 16 // octets of a detached signature file
	maxPKESK     = 4 << 10 // octets of one encrypted session key packet
	maxPKESKs    = 1024    // encrypted session keys of one kriptogram
)

// rawPacket is one packet by its framing alone.
type rawPacket struct {
	tag  int
	body []byte
}

// bytes frames the packet anew, in the new format with a definite length
// (RFC 9580 §4.2.1).
func (p rawPacket) bytes() []byte {
	var head []byte
	switch n := len(p.body); {
	case n < 192:
		head = []byte{0, byte(n)}
	case n < 8384:
		head = []byte{0, byte((n-192)>>8) + 192, byte(n - 192)}
	default:
		head = binary.BigEndian.AppendUint32([]byte{0, 255}, uint32(n))
	}
	head[0] = 0xC0 | byte(p.tag)
	return append(head, p.body...)
}

// signatureKind returns the version and type octets of a signature packet.
func (p rawPacket) signatureKind() (version, kind int, ok bool) {
	if p.tag != tagSignature || len(p.body) < 2 {
		return 0, 0, false
	}
	return int(p.body[0]), int(p.body[1]), true
}

var (
	errFraming  = errors.New("packet framing")
	errTrailing = errors.New("octets after the last packet")
)

// octets is a *bufio.Reader or a *bytes.Reader.
type octets interface {
	io.Reader
	io.ByteReader
}

// readTag reads a packet's header. definite is the length in octets, or -1
// when partial lengths follow; raw is the header as it stood.
func readTag(r octets) (tag int, definite int64, partial int64, raw []byte, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, 0, 0, nil, err // io.EOF between packets is a clean end
	}
	raw = append(raw, first)
	if first&0x80 == 0 {
		return 0, 0, 0, raw, errFraming
	}
	if first&0x40 == 0 {
		kind := first & 3
		if kind == 3 { // indeterminate length: only ever used for data
			return 0, 0, 0, raw, errFraming
		}
		size := make([]byte, 1<<kind)
		if _, err := io.ReadFull(r, size); err != nil {
			return 0, 0, 0, raw, errFraming
		}
		raw = append(raw, size...)
		for _, b := range size {
			definite = definite<<8 | int64(b)
		}
		return int(first&0x3f) >> 2, definite, 0, raw, nil
	}
	n, isPartial, length, err := readLength(r)
	if err != nil {
		return 0, 0, 0, raw, err
	}
	raw = append(raw, length...)
	if isPartial {
		return int(first & 0x3f), -1, n, raw, nil
	}
	return int(first & 0x3f), n, 0, raw, nil
}

// readLength reads one new-format length (RFC 9580 §4.2.1).
func readLength(r octets) (n int64, partial bool, raw []byte, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, false, nil, errFraming
	}
	raw = []byte{first}
	switch {
	case first < 192:
		return int64(first), false, raw, nil
	case first < 224:
		second, err := r.ReadByte()
		if err != nil {
			return 0, false, nil, errFraming
		}
		return int64(first-192)<<8 + int64(second) + 192, false, append(raw, second), nil
	case first < 255:
		return 1 << (first & 0x1f), true, raw, nil
	}
	var four [4]byte
	if _, err := io.ReadFull(r, four[:]); err != nil {
		return 0, false, nil, errFraming
	}
	return int64(binary.BigEndian.Uint32(four[:])), false, append(raw, four[:]...), nil
}

// splitPackets cuts a short stream, such as a certificate, into its packets.
func splitPackets(data []byte) ([]rawPacket, error) {
	r := bytes.NewReader(data)
	var packets []rawPacket
	for {
		tag, definite, partial, _, err := readTag(r)
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return nil, err
		}
		var body []byte
		for last := definite >= 0; ; {
			n := definite
			if !last {
				n = partial
			}
			if n > int64(len(data)) {
				return nil, errFraming
			}
			chunk := make([]byte, n)
			if _, err := io.ReadFull(r, chunk); err != nil {
				return nil, errFraming
			}
			body = append(body, chunk...)
			if last {
				break
			}
			next, more, _, err := readLength(r)
			if err != nil {
				return nil, err
			}
			if partial = next; !more {
				definite, last = next, true
			}
		}
		if packets = append(packets, rawPacket{tag, body}); len(packets) > maxPackets {
			return nil, errFraming
		}
	}
}

// framedReader passes one packet through as it stands, header included, and
// demands that the stream ends with it. Its errors are errFraming for a cut
// packet and errTrailing for anything behind.
type framedReader struct {
	r       *bufio.Reader
	pending []byte // header octets not yet handed out
	left    int64  // octets of the present chunk
	more    bool   // another chunk follows
	done    bool
	err     error
}

// newFramedReader continues after readTag returned definite, partial and raw.
func newFramedReader(r *bufio.Reader, definite, partial int64, raw []byte) *framedReader {
	f := &framedReader{r: r, pending: raw, left: definite}
	if definite < 0 {
		f.left, f.more = partial, true
	}
	return f
}

func (f *framedReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case f.err != nil:
			return 0, f.err
		case len(f.pending) > 0:
			n := copy(p, f.pending)
			f.pending = f.pending[n:]
			return n, nil
		case f.left > 0:
			n, err := f.r.Read(p[:min(int64(len(p)), f.left)])
			f.left -= int64(n)
			if err != nil {
				f.err = err
				if errors.Is(err, io.EOF) {
					f.err = errFraming
				}
			}
			if n > 0 {
				return n, nil
			}
		case f.more:
			n, more, raw, err := readLength(f.r)
			f.left, f.more, f.pending, f.err = n, more, raw, err
		default:
			f.done = true
			f.err = io.EOF
			if _, err := f.r.ReadByte(); err == nil {
				f.err = errTrailing
			} else if !errors.Is(err, io.EOF) {
				f.err = err
			}
		}
	}
}

// dearmor returns the binary form of data, which may be armored or not. Two
// armored blocks, or a block of another type, are refused.
func dearmor(data []byte, limit int, types ...string) ([]byte, error) {
	if len(data) > limit {
		return nil, fault(ErrTooLarge, "input", "", nil)
	}
	if len(data) == 0 {
		return nil, fault(ErrMalformed, "input", "empty", nil)
	}
	if data[0]&0x80 != 0 && !bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return data, nil
	}
	if n := bytes.Count(data, []byte("-----BEGIN PGP ")); n != 1 {
		return nil, fault(ErrMalformed, "armor", "not exactly one armored block", nil)
	}
	block, err := armor.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fault(ErrMalformed, "armor", "", err)
	}
	for _, t := range types {
		if block.Type == t {
			out, err := io.ReadAll(io.LimitReader(block.Body, int64(limit)+1))
			if err != nil {
				return nil, fault(ErrMalformed, "armor", "", err)
			}
			if len(out) == 0 {
				return nil, fault(ErrMalformed, "armor", "empty", nil)
			}
			return out, nil
		}
	}
	return nil, fault(ErrMalformed, "armor", "another type of block", nil)
}

// enarmor writes data with its CRC-24: gpg 2.2 exits 2 on a block without
// checksum whose length is divisible by three.
func enarmor(kind string, data []byte) []byte {
	var out bytes.Buffer
	w, err := armor.Encode(&out, kind, nil)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a bytes.Buffer never fails
	}
	out.WriteByte('\n')
	return out.Bytes()
}
