package agenda

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setBack makes the closed book one of an older version, whose index lacked
// what came later and had what is no more. It returns the index as it was.
func (b *book) setBack() map[string][][]any {
	b.t.Helper()
	before := b.dump()
	b.sql("DROP TABLE mailed; " + dropLedger + "CREATE TABLE heard(x); CREATE TABLE archive_key(x); CREATE TABLE newest(x); CREATE TABLE printed(x); PRAGMA user_version=1")
	b.must(b.Close())
	return before
}

func TestOlderIndex(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		clock  time.Duration // since the last event
		accept string
	}{
		{name: "at once"},
		{name: "with a clock that is behind", clock: -48 * time.Hour},
		{name: "with a clock far ahead", clock: 24 * 400 * time.Hour},
		{name: "with a clock that was accepted", clock: 24 * 400 * time.Hour, accept: "libur panjang"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := smallBook(t)
			b.must(b.ChangeArchiveKey(t.Context(), clerk, 0, fingerprint(10), data("second archive certificate"), "masa berlaku habis"))
			want := b.setBack()
			raw, err := os.ReadFile(b.path)
			b.must(err)
			now := func() time.Time { return b.clock.Now().Add(c.clock) }

			for _, o := range []Options{{Now: now, ReadOnly: true}, {Now: now, Rehearse: true}} {
				if _, err := Open(t.Context(), b.path, o); !errors.Is(err, ErrIndexOld) {
					t.Errorf("read-only %v, dry run %v: %v", o.ReadOnly, o.Rehearse, err)
				}
			}
			if after, err := os.ReadFile(b.path); err != nil || string(after) != string(raw) {
				t.Errorf("a refused book was touched, %v", err)
			}

			renewed, err := Open(t.Context(), b.path, Options{Now: now, AcceptClock: c.accept})
			b.must(err)
			b.Book = renewed // closed with the test
			if !renewed.Renewed() {
				t.Error("the index was left as it was")
			}
			if diff := cmp.Diff(want, b.dump()); diff != "" {
				t.Error(diff)
			}
			b.clean()

			again, err := Open(t.Context(), b.path, Options{Now: now, ReadOnly: true})
			b.must(err)
			defer again.Close()
			if again.Renewed() {
				t.Error("renewed twice")
			}
		})
	}
}

// TestOlderIndexAtOnce opens an old book in several processes at the same time.
func TestOlderIndexAtOnce(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	b.setBack()
	opened := make(chan *Book)
	for range 4 {
		go func() {
			got, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
			if err != nil {
				t.Error(err)
			}
			opened <- got
		}()
	}
	renewed := 0
	for range 4 {
		got := <-opened
		if got == nil {
			continue
		}
		if got.Renewed() {
			renewed++
		}
		b.must(got.MayWrite(t.Context(), clerk))
		b.must(got.Close())
	}
	if renewed != 1 {
		t.Errorf("%d of them made the index anew", renewed)
	}
}

// TestNewerIndexMeanwhile lets another program bring the index on while this
// one has the book open.
func TestNewerIndexMeanwhile(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.sql(fmt.Sprintf("PRAGMA user_version=%d", schemaVersion+1))
	if _, err := b.Register(t.Context(), clerk, Registration{Letter: openLetter()}); !errors.Is(err, ErrSchema) {
		t.Errorf("register: %v", err)
	}
	if err := b.Rebuild(t.Context()); !errors.Is(err, ErrSchema) {
		t.Errorf("rebuild: %v", err)
	}
	b.sql(fmt.Sprintf("PRAGMA user_version=%d", schemaVersion))
	b.register(openLetter())
	b.clean()
}

// TestOlderIndexUnreadable finds that a log which cannot be replayed leaves
// the old index as it is.
func TestOlderIndexUnreadable(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	restore := b.dropGuards()
	b.sql("UPDATE event SET record=CAST('x' AS BLOB) WHERE seq=3;" + restore)
	b.setBack()
	raw, err := os.ReadFile(b.path)
	b.must(err)
	if _, err := Open(t.Context(), b.path, Options{Now: b.clock.Now}); !errors.Is(err, ErrTampered) {
		t.Errorf("open: %v", err)
	}
	if after, err := os.ReadFile(b.path); err != nil || string(after) != string(raw) {
		t.Errorf("the book was touched, %v", err)
	}
	if left, _ := filepath.Glob(b.path + "-*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestSchemaVersion asks for a new version when the tables change.
func TestSchemaVersion(t *testing.T) {
	t.Parallel()
	got := sha256.Sum256([]byte(schemaSQL + indexSQL))
	const want = "3 5edae7debd273972"
	if have := fmt.Sprintf("%d %s", schemaVersion, hex.EncodeToString(got[:8])); have != want {
		t.Errorf("tables of version %q, want %q: raise schemaVersion, then correct this test", have, want)
	}
}
