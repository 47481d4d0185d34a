package agenda

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestArchiveKeys(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	began := b.clock.Now()
	first := ArchiveKey{Fingerprint: fingerprint(9), Certificate: data("archive certificate"), Since: began}
	same := func(want ...ArchiveKey) {
		t.Helper()
		got, err := b.ArchiveKeys(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	same(first)
	b.clock.add(time.Hour)
	change := func(last int64, fpr string, o Object, reason string) string {
		return codeOf(b.ChangeArchiveKey(t.Context(), clerk, last, fpr, o, reason))
	}
	for _, c := range []struct {
		what, got, want string
	}{
		{"no reason", change(0, fingerprint(10), data("second"), " "), "agenda.missing_field"},
		{"no certificate", change(0, fingerprint(10), Object{}, "x"), "agenda.missing_field"},
		{"a certificate in the vault", change(0, fingerprint(10), vaulted("second"), "x"), "agenda.invalid_field"},
		{"no fingerprint", change(0, "10", data("second"), "x"), "agenda.invalid_field"},
		{"of another newest", change(1, fingerprint(10), data("second"), "x"), "agenda.changed"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	same(first)
	b.must(b.ChangeArchiveKey(t.Context(), clerk, 0, fingerprint(10), data("second"), "masa berlaku habis"))
	second := ArchiveKey{Seq: 1, Fingerprint: fingerprint(10), Certificate: data("second"), Since: b.clock.Now(), Reason: "masa berlaku habis"}
	same(first, second)
	if got := change(0, fingerprint(11), data("third"), "x"); got != "agenda.changed" {
		t.Errorf("over a change made meanwhile: %q", got)
	}
	// The same key with more in its certificate.
	b.must(b.ChangeArchiveKey(t.Context(), clerk, 1, fingerprint(10), data("second, longer"), "diperpanjang"))
	same(first, second, ArchiveKey{
		Seq: 2, Fingerprint: fingerprint(10), Certificate: data("second, longer"), Since: b.clock.Now(), Reason: "diperpanjang",
	})
	b.must(b.Rebuild(t.Context()))
	b.clean()
}
