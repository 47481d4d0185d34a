package desk

import (
	"bytes"
	"testing"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// The steps of a letter of 50 KiB to one recipient, durable as in real use,
// with the keys already unlocked: what a batch pays for each letter.

func benchOffice(b *testing.B) (*office, string) {
	b.Helper()
	f := newOffice(b, loopback.Options{TLS: mail.TLSStartTLS})
	doc := f.file("surat.pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcdef"), 3200)...))
	b.SetBytes(50 << 10)
	b.ReportAllocs()
	return f, doc
}

func BenchmarkAdd(b *testing.B) {
	f, _ := benchOffice(b)
	for b.Loop() {
		f.classified("jateng")
	}
}

func BenchmarkList(b *testing.B) {
	f, _ := benchOffice(b)
	for range 200 {
		f.classified("jateng")
	}
	for b.Loop() {
		list, err := f.Book.List(b.Context(), agenda.Filter{Newest: true, Limit: 20})
		if err != nil || len(list) != 20 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	f, doc := benchOffice(b)
	for b.Loop() {
		b.StopTimer()
		n := f.classified("jateng")
		b.StartTimer()
		if _, err := f.Encrypt(b.Context(), EncryptParams{Name: n, Documents: []string{doc}, Secrets: right}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	f, _ := benchOffice(b)
	for b.Loop() {
		b.StopTimer()
		n := f.encrypted("jateng")
		b.StartTimer()
		if _, err := f.Sign(b.Context(), SignParams{Name: n, Secrets: right}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend is one `send` of one letter: connection, TLS, login, number,
// freezing, delivery.
func BenchmarkSend(b *testing.B) {
	f, _ := benchOffice(b)
	for b.Loop() {
		b.StopTimer()
		n := f.signed("jateng")
		b.StartTimer()
		f.send(n)
	}
}

// BenchmarkSendBatch is one `send` of twenty letters over one connection; the
// figure is for all twenty.
func BenchmarkSendBatch(b *testing.B) {
	f, _ := benchOffice(b)
	b.SetBytes(20 * 50 << 10)
	for b.Loop() {
		b.StopTimer()
		var names []agenda.Name
		for range 20 {
			names = append(names, f.signed("jateng"))
		}
		b.StartTimer()
		f.send(names...)
	}
}

func BenchmarkArchive(b *testing.B) {
	f, _ := benchOffice(b)
	for b.Loop() {
		b.StopTimer()
		n := f.signed("jateng")
		f.send(n)
		b.StartTimer()
		if _, err := f.Archive(b.Context(), n, ""); err != nil {
			b.Fatal(err)
		}
	}
}
