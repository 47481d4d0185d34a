package crypto

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// zeros is a letter of any size that takes no memory.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

var benchSizes = []struct {
	name string
	size int64
}{{"1KiB", 1 << 10}, {"1MiB", 1 << 20}, {"100MiB", 100 << 20}}

func BenchmarkSeal(b *testing.B) {
	sandiman := unlockedKey(b, KindV4, "sandiman")
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		for _, signer := range []*Key{nil, sandiman} {
			for _, s := range benchSizes {
				b.Run(fmt.Sprintf("%s/signed=%t/%s", kind, signer != nil, s.name), func(b *testing.B) {
					p := SealParams{Recipients: recipients(b, unlockedKey(b, kind, "satu")), Signer: signer, Policy: Praktis(), Now: monday}
					b.SetBytes(s.size)
					b.ReportAllocs()
					for b.Loop() {
						if _, err := Seal(b.Context(), io.Discard, io.LimitReader(zeros{}, s.size), p); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	sandiman := unlockedKey(b, KindV4, "sandiman")
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		for _, s := range benchSizes {
			b.Run(fmt.Sprintf("%s/%s", kind, s.name), func(b *testing.B) {
				k := unlockedKey(b, kind, "satu")
				var file bytes.Buffer
				if _, err := Seal(b.Context(), &file, io.LimitReader(zeros{}, s.size), SealParams{Recipients: recipients(b, k), Signer: sandiman, Policy: Praktis(), Now: monday}); err != nil {
					b.Fatal(err)
				}
				p := OpenParams{Key: k, Signers: []*Certificate{sandiman.Certificate()}, Now: monday}
				b.SetBytes(s.size)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Open(b.Context(), io.Discard, bytes.NewReader(file.Bytes()), p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkSignText(b *testing.B) {
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		b.Run(string(kind), func(b *testing.B) {
			k := unlockedKey(b, kind, "sandiman")
			for b.Loop() {
				if _, _, err := SignText(k, strings.NewReader(draft), monday); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
