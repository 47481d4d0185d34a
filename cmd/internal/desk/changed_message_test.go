package desk

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail/loopback"
)

// What is written over the message after it was checked and before it is read
// again does not leave.
func TestMessageChangedBehindItsCheck(t *testing.T) {
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
	n := f.scanned("jateng")
	address := f.Config.Gateway.Address
	f.Config.Gateway.Address = "127.0.0.1:1"
	_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, Queue: true})
	f.check(err)
	f.Config.Gateway.Address = address
	waits = f.entry(n).Copies[0].Message
	_, err = f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
	if coded(err) != CodeDamaged || len(f.gateway.Messages()) != 0 || f.copyStates(n) != "deferred" {
		t.Errorf("error %v, %d messages, copies %s", err, len(f.gateway.Messages()), f.copyStates(n))
	}
}
