package agenda

import (
	"context"
	"sync"
)

// known keeps what was read of the people of the desk. A book has thousands of
// entries and a dozen people, and every step asks for them.
//
// What it keeps is true of the log at every size from from to to. A snapshot of
// another size, as after a write of another process, is read anew; an own
// transaction that changed nobody moves the end along. A rebuild, whoever made
// it, drops tables: a snapshot with another schema is read anew too.
type known struct {
	mu       sync.Mutex
	schema   int64 // as SQLite counts them, never less than before
	from, to int64
	values   map[any]any
}

// edition is a snapshot as far as what is said of people depends on it.
type edition struct{ schema, size int64 }

func (k *known) get(at edition, key any) (any, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.schema != k.schema || at.size < k.from || at.size > k.to {
		return nil, false
	}
	v, ok := k.values[key]
	return v, ok
}

func (k *known) put(at edition, key, value any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.schema < k.schema || at.size < k.from {
		return
	}
	if at.schema > k.schema || at.size > k.to || k.values == nil {
		k.schema, k.from, k.to, k.values = at.schema, at.size, at.size, map[any]any{}
	}
	k.values[key] = value
}

// advance tells that the log grew from before to after without a word on
// people.
func (k *known) advance(before, after int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.to == before {
		k.to = after
	}
}

// forget lets go of everything.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.values = nil
}

// recall returns what the book says of people under the key, read only when the
// log has a word on people since it was read last. The value is shared: nobody
// changes what it points to.
func recall[T any](ctx context.Context, b *Book, key any, read func(r *reader) (T, error)) (T, error) {
	var out T
	err := b.view(ctx, func(r *reader) (err error) {
		out, err = recallFrom(ctx, b, r, key, read)
		return err
	})
	return out, err
}

// recallPeople is recall for what is held against the words of the log.
func recallPeople[T any](ctx context.Context, b *Book, key any, read func(q querier, said words) (T, error)) (T, error) {
	return recall(ctx, b, key, func(r *reader) (out T, err error) {
		said, err := recallFrom(ctx, b, r, "words", func(r *reader) (words, error) { return readWords(ctx, r) })
		if err != nil {
			return out, err
		}
		return read(r, said)
	})
}

func recallFrom[T any](ctx context.Context, b *Book, r *reader, key any, read func(r *reader) (T, error)) (T, error) {
	at, err := r.edition(ctx)
	if err != nil {
		var none T
		return none, err
	}
	if v, ok := b.known.get(at, key); ok {
		return v.(T), nil
	}
	out, err := read(r)
	if err == nil {
		b.known.put(at, key, out)
	}
	return out, err
}

// edition tells which snapshot the reader looks at; it is asked once for each.
func (r *reader) edition(ctx context.Context) (edition, error) {
	if r.at != (edition{}) {
		return r.at, nil
	}
	var at edition
	if err := r.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&at.schema); err != nil {
		return at, storage(err)
	}
	if err := r.QueryRowContext(ctx, "SELECT coalesce(max(seq), -1) + 1 FROM event").Scan(&at.size); err != nil {
		return at, storage(err)
	}
	r.at = at
	return at, nil
}

// ofPeople tells whether an event says something that recall keeps.
func (e *event) ofPeople() bool {
	return e.entry < 0 && e.typ.name != "log.checkpoint"
}
