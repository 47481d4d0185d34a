package vault

import (
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

// Unlock lets go. A second call does nothing.
func (l *Lock) Unlock() error { return storage(l.flock.Path(), l.flock.Close()) }
