package messages

import "testing"

// BenchmarkLoad is a part of the start of every command.
func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := load(files, string(Indonesian)); err != nil {
			b.Fatal(err)
		}
	}
}
