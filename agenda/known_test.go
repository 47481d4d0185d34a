package agenda

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// second opens the book again, as another process does.
func (b *book) second() *Book {
	b.t.Helper()
	other, err := Open(b.t.Context(), b.path, b.options)
	b.must(err)
	b.t.Cleanup(func() { other.Close() })
	return other
}

// What is kept of people is never older than the book: a word of another
// process, a rebuild by another process and an own one are seen by the next
// question.
func TestKnownIsNeverOld(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	other := b.second()
	handles := func(x *Book) (out []string) {
		t.Helper()
		list, err := x.Officers(ctx, time.Time{})
		b.must(err)
		for _, o := range list {
			out = append(out, o.Handle)
		}
		c, err := x.Correspondent(ctx, "jateng")
		b.must(err)
		return append(out, fmt.Sprint(c.Unit, c.State, c.Ended))
	}
	same := func(what string) {
		t.Helper()
		if mine, theirs := handles(b.Book), handles(other); !cmp.Equal(mine, theirs) {
			t.Errorf("%s: %v here, %v there", what, mine, theirs)
		}
	}
	same("before")
	whole := handles(b.Book)
	for i := range 3 {
		b.must(other.AddOfficer(ctx, clerk, Officer{
			Handle: fmt.Sprint("baru", i), Name: "Baru", Certificate: data(fmt.Sprint("baru", i)), Fingerprint: fingerprint(300 + i),
		}, nil))
		same("an officer of another process")
		// Own words on entries carry what is kept along, behind theirs.
		b.register(openLetter())
		same("an own entry behind it")
	}
	if got := handles(b.Book); len(got) != len(whole)+3 {
		t.Fatalf("officers %v, at first %v", got, whole)
	}

	// An index that somebody bent says something wrong until it is rebuilt.
	right := handles(b.Book)
	for name, rebuild := range map[string]*Book{"another process": other, "an own": b.Book} {
		b.sql("UPDATE correspondent SET state='bent' WHERE handle='jateng'")
		b.known.forget()
		if cmp.Equal(handles(b.Book), right) {
			t.Fatal("the bent index is not read")
		}
		b.must(rebuild.Rebuild(ctx))
		if got := handles(b.Book); !cmp.Equal(got, right) {
			t.Errorf("after a rebuild by %s: %v, want %v", name, got, right)
		}
	}
}

// A reader that looked before a change and answers after it keeps nothing old.
func TestKnownUnderWriters(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	writers := []*Book{b.Book, b.second()}
	stop := make(chan struct{})
	var readers, group sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := b.Officers(ctx, time.Time{}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for w, book := range writers {
		group.Go(func() {
			for i := range 15 {
				o := Officer{Handle: fmt.Sprintf("o%d-%d", w, i), Name: "X", Certificate: data(fmt.Sprint(w, i)), Fingerprint: fingerprint(400 + 100*w + i)}
				if err := book.AddOfficer(ctx, clerk, o, nil); err != nil {
					t.Error(err)
					return
				}
				if got, err := book.Officer(ctx, o.Handle); err != nil || got.Handle != o.Handle {
					t.Errorf("%s was added and is %q: %v", o.Handle, got.Handle, err)
				}
				list, err := book.Officers(ctx, time.Time{})
				found := false
				for _, x := range list {
					found = found || x.Handle == o.Handle
				}
				if err != nil || !found {
					t.Errorf("%s was added and is not in the list of %d: %v", o.Handle, len(list), err)
				}
			}
		})
	}
	group.Wait()
	close(stop)
	readers.Wait()
	if list, err := b.Officers(ctx, time.Time{}); err != nil || len(list) != 3+30 {
		t.Errorf("%d officers: %v", len(list), err)
	}
}

// A question that asks another one holds no reader meanwhile: many of them at
// once come to an end.
func TestViewsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.attach(b.order(b.register(openLetter())))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 50 {
					names, err := b.AttachedTo(ctx, e.Attachments[0].Object.SHA256)
					if err != nil || len(names) != 1 || names[0] != e.Name {
						t.Errorf("attached to %v: %v", names, err)
						return
					}
				}
			})
		}
		group.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("the readers wait for each other")
	}
}

// The edition is of the snapshot that it begins: what another process writes
// between its two questions, or behind them, is of a later one.
func TestEditionBeginsTheSnapshot(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	other, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
	b.must(err)
	defer other.Close()
	before, _, err := b.Head(t.Context())
	b.must(err)
	b.must(other.view(t.Context(), func(r *reader) error {
		var schema int64
		b.must(r.QueryRowContext(t.Context(), "PRAGMA schema_version").Scan(&schema))
		b.register(openLetter())
		for range 2 {
			if at, err := r.edition(t.Context()); err != nil || at != (edition{schema, before}) {
				t.Errorf("%+v, %v", at, err)
			}
			b.register(openLetter())
			r.at = edition{} // ask again
		}
		return nil
	}))
}
