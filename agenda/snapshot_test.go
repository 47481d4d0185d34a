package agenda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestSnapshotWhileWriting takes copies of a book that several handles write:
// each copy is whole and a prefix of the book.
func TestSnapshotWhileWriting(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	done := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			other, err := Open(ctx, b.path, Options{Now: b.clock.Now})
			if err != nil {
				t.Error(err)
				return
			}
			defer other.Close()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				l := secretLetter()
				l.Number = fmt.Sprint(i)
				if _, err := other.Register(ctx, clerk, Registration{Letter: l}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var last int64
	for i := range 5 {
		path := filepath.Join(t.TempDir(), "copy.db")
		b.must(os.WriteFile(path, nil, 0o600))
		b.must(b.Snapshot(ctx, path))
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("copy %d: part of it is in a WAL: %v", i, err)
		}
		c, err := Open(ctx, path, Options{Now: b.clock.Now, ReadOnly: true})
		b.must(err)
		report, err := c.Verify(ctx, nil)
		b.must(err)
		if len(report.Problems) > 0 {
			t.Errorf("copy %d: %v", i, report.Problems)
		}
		size, root, err := c.Head(ctx)
		b.must(err)
		b.must(c.Close())
		if size < last {
			t.Errorf("copy %d has %d events, the one before %d", i, size, last)
		}
		last = size
		want, err := b.RootAt(ctx, size)
		b.must(err)
		if root != want {
			t.Errorf("copy %d of %d events is no prefix", i, size)
		}
	}
	close(done)
	writers.Wait()
}

func TestRootAt(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	size, root, err := b.Head(t.Context())
	b.must(err)
	if got, err := b.RootAt(t.Context(), size); err != nil || got != root {
		t.Errorf("RootAt(%d) = %v, %v, want %v", size, got, err, root)
	}
	if got, err := b.RootAt(t.Context(), size-1); err != nil || got == root {
		t.Errorf("RootAt(%d) = %v, %v", size-1, got, err)
	}
	for _, n := range []int64{-1, size + 1} {
		if _, err := b.RootAt(t.Context(), n); !errors.Is(err, ErrInvalidField) {
			t.Errorf("RootAt(%d): %v", n, err)
		}
	}
}
