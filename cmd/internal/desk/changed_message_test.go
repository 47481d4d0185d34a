package desk

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"sync"
	"testing"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail/loopback"
)

// What is written over the message after it was checked does not leave: one that
// is read at once goes as it was frozen, a large one ends before the dot.
func TestMessageChangedBehindItsCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int
		code string
		left int
		copy string
	}{
		"small": {100, "", 1, "accepted"},
		"large": {readWhole, CodeDamaged, 0, "deferred"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *office
			var once sync.Once
			var waits agenda.Hash
			f = newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage == "rcpt" && !waits.IsZero() {
					once.Do(func() {
						path := filepath.Join(f.Dir, vault.ObjectPath(waits))
						data, err := os.ReadFile(path)
						f.check(err)
						f.check(os.Chmod(path, 0o600))
						data = bytes.Replace(data, []byte("Undangan rapat"), []byte("Undangan pesta"), 1)
						f.check(os.WriteFile(path, data, 0o600))
					})
				}
				return nil
			}})
			n := f.ordinary("jateng")
			_, err := f.Attach(t.Context(), AttachParams{Name: n, Files: []string{f.file("scan.pdf", append([]byte("%PDF-1.4\n"), make([]byte, c.size)...))}})
			f.check(err)
			address := f.Config.Gateway.Address
			f.Config.Gateway.Address = "127.0.0.1:1"
			_, err = f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, Queue: true})
			f.check(err)
			f.Config.Gateway.Address = address
			waits = f.entry(n).Copies[0].Message
			_, err = f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
			got := f.gateway.Messages()
			if coded(err) != c.code || len(got) != c.left || f.copyStates(n) != c.copy {
				t.Fatalf("error %v, %d messages, copies %s", err, len(got), f.copyStates(n))
			}
			for _, m := range got {
				if agenda.Hash(sha256.Sum256(m.Data)) != waits {
					t.Error("other octets than the frozen ones were taken")
				}
			}
		})
	}
}
