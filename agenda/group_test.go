package agenda

import (
	"errors"
	"sync"
	"testing"
)

// Transactions that share a commit stand each for itself: one that is refused
// takes nothing of the others with it and leaves nothing behind.
func TestWritersShareACommit(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	size, _, err := b.Head(ctx)
	b.must(err)
	refusal := errors.New("refused")
	release, held := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { // keeps the pen until the others wait in line
		b.must(b.update(ctx, clerk, func(*update) error {
			close(held)
			<-release
			return nil
		}))
	})
	<-held
	const writers = 20
	waits := make([]func() error, writers)
	for i := range waits {
		waits[i] = b.submit(ctx, clerk, func(u *update) error {
			e := newEvent("desk.clock-accepted").set("reason", "uji")
			if _, err := u.append(e); err != nil {
				return err
			}
			if i%3 == 0 {
				return refusal // after it wrote
			}
			return nil
		})
	}
	close(release)
	errs := make([]error, writers)
	for i := range waits {
		group.Go(func() { errs[i] = waits[i]() })
	}
	group.Wait()
	want := size
	for i, err := range errs {
		if i%3 == 0 {
			if !errors.Is(err, refusal) {
				t.Errorf("writer %d: %v", i, err)
			}
			continue
		}
		if want++; err != nil {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if got, _, err := b.Head(ctx); err != nil || got != want {
		t.Errorf("%d events, want %d (%v)", got, want, err)
	}
	b.clean()
}

// What is submitted later is never written before.
func TestLineKeepsItsOrder(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	var mu sync.Mutex
	var order []int
	var group sync.WaitGroup
	for i := range 200 {
		wait := b.submit(t.Context(), clerk, func(*update) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
			return nil
		})
		group.Go(func() { b.must(wait()) })
	}
	group.Wait()
	for i, n := range order {
		if n != i {
			t.Fatalf("place %d has writer %d", i, n)
		}
	}
}

func TestUnclaimGivesTheAttemptBack(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Surat, StateReleased)
	ref := CopyRef{Entry: e.ID, Copy: 1}
	for range 2 {
		claimed, err := b.Claim(t.Context(), []CopyRef{ref})
		if err != nil || len(claimed) != 1 || claimed[0].Attempt != 1 {
			t.Fatalf("claimed %+v: %v", claimed, err)
		}
		b.must(b.Unclaim(t.Context(), []CopyRef{ref}))
		if c := b.entry(e.ID).Copies[0]; c.State != CopyReady || c.Attempts != 0 {
			t.Fatalf("given back as %s with %d attempts", c.State, c.Attempts)
		}
	}
	b.deliver(ref, CopyAccepted)
	b.must(b.Unclaim(t.Context(), []CopyRef{ref}))
	if c := b.entry(e.ID).Copies[0]; c.State != CopyAccepted {
		t.Errorf("a settled copy became %s", c.State)
	}
}
