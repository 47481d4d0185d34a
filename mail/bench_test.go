package mail_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"sandi/mail"
	"sandi/mail/loopback"
)

const letterSize = 50 << 10

func benchmarkLetter(b *testing.B) []byte {
	m := letter(b)
	m.Parts[0] = part("kriptogram.pgp", "application/octet-stream", strings.Repeat("0123456789abcdef", letterSize/16))
	var buf bytes.Buffer
	if err := mail.Compose(&buf, m, digestSigner(), &sequence{}); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes()
}

func BenchmarkTransmit(b *testing.B) {
	msg := benchmarkLetter(b)
	for _, mode := range []mail.TLSMode{mail.TLSNone, mail.TLSImplicit} {
		b.Run(string(mode), func(b *testing.B) {
			server := start(b, loopback.Options{TLS: mode})
			s := connect(b, mail.Gateway{Address: server.Addr(), TLS: mode, RootCAs: roots(b, server.CAPEM())})
			d := delivery(b)
			d.Size = int64(len(msg))
			b.SetBytes(d.Size)
			for b.Loop() {
				if o := s.Transmit(b.Context(), d, bytes.NewReader(msg), func() error { return nil }); o.State != mail.OutcomeAccepted {
					b.Fatal(o.Err)
				}
			}
		})
	}
}

func BenchmarkCompose(b *testing.B) {
	m := letter(b)
	content := strings.Repeat("0123456789abcdef", letterSize/16)
	m.Parts[0] = part("kriptogram.pgp", "application/octet-stream", content)
	b.SetBytes(letterSize)
	for b.Loop() {
		if err := mail.Compose(io.Discard, m, digestSigner(), &sequence{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendMbox includes the sync of every append.
func BenchmarkAppendMbox(b *testing.B) {
	msg := benchmarkLetter(b)
	f, from := box(b), address(b, "persandian@contoh.test")
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if _, _, err := mail.AppendMbox(f, from, friday, bytes.NewReader(msg)); err != nil {
			b.Fatal(err)
		}
	}
}
