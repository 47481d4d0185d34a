package agenda

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
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

// Patient and hasty writers of two processes, some of which give up: everybody
// comes to an end, what was told as written is written, and what a writer
// submitted later stands behind what it submitted before.
func TestPatientWritersInACrowd(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	const couriers, rounds = 12, 25
	said := func(word string) func(u *update) error {
		return func(u *update) error {
			_, err := u.append(newEvent("desk.clock-accepted").set("reason", word))
			return err
		}
	}
	var mu sync.Mutex
	written := map[string]bool{}
	note := func(word string, err error) {
		mu.Lock()
		defer mu.Unlock()
		written[word] = err == nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var group sync.WaitGroup
		for c := range couriers {
			book := b.Book
			if c%4 == 0 {
				book = b.second()
			}
			group.Go(func() {
				for i := range rounds {
					name := fmt.Sprintf("%02d %02d", c, i)
					fate := book.submitPatient(ctx, clerk, said(name+" fate"))
					arm, cancel := context.WithCancel(ctx)
					if (c+i)%5 == 0 {
						cancel()
					}
					if (c+i)%3 == 0 { // nobody comes behind: the fate hurries itself
						note(name+" fate", fate())
						note(name+" arm", book.update(arm, clerk, said(name+" arm")))
					} else {
						note(name+" arm", book.update(arm, clerk, said(name+" arm")))
						note(name+" fate", fate())
					}
					cancel()
				}
			})
		}
		group.Wait()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("a writer waits for ever")
	}
	place := map[string]int64{}
	b.must(readEvents(ctx, b.readers, "ORDER BY e.seq", nil, func(e *event) error {
		if e.typ.name == "desk.clock-accepted" {
			if _, twice := place[e.get("reason")]; twice {
				t.Errorf("%q stands twice", e.get("reason"))
			}
			place[e.get("reason")] = e.seq
		}
		return nil
	}))
	for word, ok := range written {
		if _, there := place[word]; there != ok {
			t.Errorf("%q was told as written: %v, is there: %v", word, ok, there)
		}
	}
	for c := range couriers {
		for i := range rounds {
			name := fmt.Sprintf("%02d %02d", c, i)
			if (c+i)%5 != 0 && place[name+" arm"] <= place[name+" fate"] || place[name+" fate"] == 0 {
				t.Errorf("%s: fate at %d, armed at %d", name, place[name+" fate"], place[name+" arm"])
			}
		}
	}
	b.clean()
}
