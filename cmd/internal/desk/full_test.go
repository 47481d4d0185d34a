package desk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// TestFreezeLeavesNothing: of messages that cannot all be kept none stays in
// the vault, where it would fill the disk further with every try.
func TestFreezeLeavesNothing(t *testing.T) {
	t.Parallel()
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: "127.0.0.1:1", TLS: "none"})
	var all []releasable
	for range 3 {
		r, err := f.mayRelease(t.Context(), f.entry(f.scanned("jateng", "batang")))
		f.check(err)
		all = append(all, r)
	}
	objects := func() (n int) {
		f.check(filepath.WalkDir(f.path("vault"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
			}
			return err
		}))
		return n
	}
	before := objects()
	batch, err := f.freezeAll(t.Context(), all, make([]*agenda.ProposedNumber, len(all)), 0)
	f.check(err)
	if n := objects(); n != before+6 || len(batch) != 3 {
		t.Fatalf("%d objects more, want 6", n-before)
	}
	before += 6
	all[2].entry.Copies[1].Correspondent = 1 << 40
	if _, err = f.freezeAll(t.Context(), all, make([]*agenda.ProposedNumber, len(all)), 0); err == nil {
		t.Fatal("frozen for an unknown addressee")
	}
	if n := objects(); n != before {
		t.Errorf("%d objects of a failed freeze are left", n-before)
	}
}

// TestFullBox: a box that cannot be written is an error with a code, in the
// words of the screen and not of the system.
func TestFullBox(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: "127.0.0.1:1", TLS: "none"})
	r, err := f.mayRelease(t.Context(), f.entry(f.scanned("jateng")))
	f.check(err)
	batch, err := f.freezeAll(t.Context(), []releasable{r}, make([]*agenda.ProposedNumber, 1), 0)
	f.check(err)
	one := batch[0].Release.Copies[0]
	from, err := mail.ParseAddress("persandian@contoh.sanapati.test")
	f.check(err)
	_, err = f.appendOne(full, Filed{Copy: agenda.Copy{Message: one.Message.SHA256, Size: one.Message.Size, SettledAt: monday.Add(time.Hour)}}, &from)
	if coded(err) != vault.CodeStorage || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v (%s)", err, coded(err))
	}
}
