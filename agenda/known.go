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
// transaction that changed nobody moves the end along.
type known struct {
	mu       sync.Mutex
	from, to int64
	values   map[any]any
}

func (k *known) get(size int64, key any) (any, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if size < k.from || size > k.to {
		return nil, false
	}
	v, ok := k.values[key]
	return v, ok
}

func (k *known) put(size int64, key, value any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if size < k.from {
		return
	}
	if size > k.to || k.values == nil {
		k.from, k.to, k.values = size, size, map[any]any{}
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

// forget is for who writes the index without the log.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.values = nil
}

// recall returns what the book says of people under the key, read only when the
// log has a word on people since it was read last. The value is shared: nobody
// changes what it points to.
func recall[T any](ctx context.Context, b *Book, key any, read func(q querier) (T, error)) (T, error) {
	var out T
	err := b.view(ctx, func(q querier) error {
		var size int64
		if err := q.QueryRowContext(ctx, "SELECT coalesce(max(seq), -1) + 1 FROM event").Scan(&size); err != nil {
			return storage(err)
		}
		if v, ok := b.known.get(size, key); ok {
			out = v.(T)
			return nil
		}
		var err error
		if out, err = read(q); err == nil {
			b.known.put(size, key, out)
		}
		return err
	})
	return out, err
}

// ofPeople tells whether an event says something that recall keeps.
func (e *event) ofPeople() bool {
	return e.entry < 0 && e.typ.name != "log.checkpoint"
}
