package vault

import (
	"context"
	"errors"
	"time"

	"github.com/gofrs/flock"
)

// Lock is a lock that the kernel drops when the process ends, however it ends. The lock file stays.
type Lock struct{ flock *flock.Flock }

// TryLock takes the lock of a file, making the file when it is missing. It never waits: ErrLocked when somebody holds it.
func TryLock(path string) (*Lock, error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, storage(path, err)
	}
	if !ok {
		return nil, &Error{code: CodeLocked, Path: path}
	}
	return &Lock{flock: l}, nil
}

// lockPoll is how often a lock that somebody holds is tried again: the kernel's own wait could not be interrupted.
const lockPoll = 10 * time.Millisecond

// WaitLock takes the lock of a file as [TryLock] does, and waits at most so long for who holds it.
func WaitLock(ctx context.Context, path string, most time.Duration) (*Lock, error) {
	limited, stop := context.WithTimeout(ctx, most)
	defer stop()
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLockContext(limited, lockPoll)
	switch {
	case ok:
		return &Lock{flock: l}, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &Error{code: CodeLocked, Path: path}
	}
	return nil, storage(path, err)
}

// Unlock lets go. A second call does nothing.
func (l *Lock) Unlock() error { return storage(l.flock.Path(), l.flock.Close()) }
