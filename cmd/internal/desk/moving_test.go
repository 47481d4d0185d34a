package desk

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"sandi/crypto"
	"sandi/mail/loopback"
)

// meanwhile does something while the passphrase is asked.
type meanwhile struct {
	secrets
	do func()
}

func (m meanwhile) Passphrase(ctx context.Context, use KeyUse) ([]byte, error) {
	m.do()
	return m.secrets.Passphrase(ctx, use)
}

// A document that another program writes while the passphrase is asked is not
// enciphered in part, nor empty, nor as two halves of two letters.
func TestDocumentThatChanges(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	other := bytes.ReplaceAll(plainLetter, []byte("rahasia"), []byte("terbuka"))
	for name, change := range map[string]func(path string){
		"emptied":   func(path string) { f.check(os.Truncate(path, 0)) },
		"shortened": func(path string) { f.check(os.Truncate(path, 100)) },
		"grown":     func(path string) { f.check(os.WriteFile(path, slices.Concat(plainLetter, other), 0o600)) },
		"rewritten": func(path string) {
			f.check(os.WriteFile(path, other, 0o600))
			f.check(os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
		},
	} {
		for _, docs := range [][]string{{"surat.pdf"}, {"lampiran.pdf", "surat.pdf"}} {
			n := f.classified("jateng")
			var paths []string
			for _, doc := range docs {
				paths = append(paths, f.file(name+"-"+doc, plainLetter))
			}
			f.Desk.unlocked = map[crypto.Fingerprint]*crypto.Key{}
			_, err := f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: paths, Secrets: meanwhile{right, func() { change(paths[len(paths)-1]) }}})
			if e := f.entry(n); err == nil || e.Drafted != nil {
				t.Errorf("%s of %d: %v, state %s", name, len(docs), err, e.State)
			}
		}
	}
	f.audited()
}
