package agenda

import (
	"context"
	"errors"

	"modernc.org/sqlite"
)

// Snapshot copies the whole book, as it stands at one instant, into the empty
// file at path. Others may read and write the book meanwhile: the copy is of
// one read transaction, so it is the log up to some event and what belongs to
// it, never part of one. A crash leaves a file that Open refuses or finds
// damaged; the caller removes it.
func (b *Book) Snapshot(ctx context.Context, path string) error {
	target, err := dsn(path, false)
	if err != nil {
		return err
	}
	conn, err := b.readers.Conn(ctx)
	if err != nil {
		return storage(err)
	}
	defer conn.Close()
	return storage(conn.Raw(func(driver any) error {
		source, ok := driver.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.New("driver without backup")
		}
		backup, err := source.NewBackup(target)
		if err != nil {
			return err
		}
		// All pages in one step: between two steps another process could
		// write, and the copy would begin again, perhaps for ever.
		for more := true; more && err == nil; {
			if err = ctx.Err(); err == nil {
				more, err = backup.Step(-1)
			}
		}
		return errors.Join(err, backup.Finish())
	}))
}

// RootAt returns the root of the log as it was when it had size events: what a
// checkpoint of that size says if it is of this log.
func (b *Book) RootAt(ctx context.Context, size int64) (Hash, error) {
	var root Hash
	head, _, err := b.Head(ctx)
	if err != nil {
		return root, err
	}
	if size < 0 || size > head {
		return root, invalid("checkpoint", "")
	}
	err = b.view(ctx, func(q *reader) error {
		edge, err := readEdge(ctx, q, size)
		if err != nil {
			return err
		}
		root = edge.root()
		return nil
	})
	return root, err
}
