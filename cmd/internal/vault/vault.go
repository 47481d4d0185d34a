// Package vault is the durable side of a desk folder: it alone creates and renames files there, besides the book.
//
// A [Vault] holds immutable objects (kriptograms, scans, frozen messages) named by their SHA-256. [WriteFile] and [CreateFile]
// write small files, [Output] carries a result or a plaintext out, [OpenBox] opens an archive mailbox for an append, [TryLock]
// takes a lock of the kernel.
//
// Invariants: a name appears only when its bytes are on disk (write, fsync, rename, fsync of the folder); an object is never
// changed; files are 0600 and folders 0700 whatever the umask. After a failed fsync nothing is known about the bytes any more:
// such an error is wrapped in [Fatal] and the process must stop, not try again.
package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Codes of the errors of this package.
const (
	CodeMissing       = "vault.missing"
	CodeDamaged       = "vault.damaged"
	CodeExists        = "vault.exists"
	CodeLocked        = "vault.locked"
	CodeTarget        = "vault.target"
	CodeStorage       = "vault.storage"
	CodeFatal         = "vault.fatal"
	CodeFolderMissing = "desk.folder_missing"
	CodeFolderKind    = "desk.folder_kind"
	CodeFolderOwner   = "desk.folder_owner"
	CodeFolderMode    = "desk.folder_mode"
	CodeFolderNetwork = "desk.folder_network"
)

// Error is every error of this package but [Fatal]. Path is the file or folder it is about, or an object's digest.
type Error struct {
	Path   string
	Detail string
	Err    error

	code string
}

// Code returns the stable code of the error.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	s := e.code
	if e.Path != "" {
		s += " " + e.Path
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is compares codes, so that the sentinels below match every error of their kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.code == e.code
}

// Sentinels for errors.Is.
var (
	ErrMissing = &Error{code: CodeMissing}
	ErrDamaged = &Error{code: CodeDamaged}
	ErrExists  = &Error{code: CodeExists}
	ErrLocked  = &Error{code: CodeLocked}
	ErrTarget  = &Error{code: CodeTarget}
	ErrStorage = &Error{code: CodeStorage}
)

// Fatal is a failed fsync: the kernel may have dropped the bytes, and a second fsync would say that all is well.
type Fatal struct{ Err error }

// Code returns the stable code of the error.
func (e *Fatal) Code() string { return CodeFatal }

func (e *Fatal) Error() string { return "fsync: " + e.Err.Error() }

func (e *Fatal) Unwrap() error { return e.Err }

// Storage is an error of the system about a file, with a code of this package. An error that has a code already stays as it is.
func Storage(path string, err error) error {
	var own interface{ Code() string }
	if err == nil || errors.As(err, &own) {
		return err
	}
	return storage(path, err)
}

func storage(path string, err error) error {
	var fatal *Fatal
	if err == nil || errors.As(err, &fatal) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{code: CodeMissing, Path: path, Err: err}
	}
	return &Error{code: CodeStorage, Path: path, Err: err}
}

// syncFile is a variable for the tests of a dying disk only.
var syncFile = (*os.File).Sync

func fsync(f *os.File) error {
	if err := syncFile(f); err != nil {
		return &Fatal{Err: err}
	}
	return nil
}

// Vault is the object store of one desk. It is safe for concurrent use, also by several processes.
type Vault struct{ root *os.Root }

const tmpFolder = "tmp"

// Create makes vault/ with its 256 folders and vault/tmp in the desk folder, and opens it. A crash leaves part of the folders;
// Create again completes them.
func Create(desk string) (*Vault, error) {
	path := filepath.Join(desk, "vault")
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	for i := range 256 {
		if err := makeFolder(filepath.Join(path, hex.EncodeToString([]byte{byte(i)}))); err != nil {
			return nil, err
		}
	}
	if err := makeFolder(filepath.Join(path, tmpFolder)); err != nil {
		return nil, err
	}
	for _, folder := range []string{path, desk} {
		if err := SyncFolder(folder); err != nil {
			return nil, err
		}
	}
	return Open(desk)
}

// makeFolder makes one folder 0700; an existing folder is kept and its mode set.
func makeFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return storage(path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return storage(path, err)
	}
	if !info.IsDir() {
		return &Error{code: CodeTarget, Path: path, Detail: "not a folder"}
	}
	// The umask may have taken bits that the owner needs.
	return storage(path, os.Chmod(path, 0o700))
}

// MakeFolder makes one folder 0700 below an existing one and syncs that one. An existing folder is kept.
func MakeFolder(path string) error {
	if err := makeFolder(path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// Open opens the vault of a desk folder. ErrMissing when there is none.
func Open(desk string) (*Vault, error) {
	path := filepath.Join(desk, "vault")
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, storage(path, err)
	}
	return &Vault{root: root}, nil
}

// Close lets go of the folder. Open files stay open.
func (v *Vault) Close() error { return v.root.Close() }

// objectName is the place of an object below vault/: "ab/abcdef…".
func objectName(sha [32]byte) string {
	name := hex.EncodeToString(sha[:])
	return filepath.Join(name[:2], name)
}

// ObjectPath is the place of an object below the desk folder, for messages and backups.
func ObjectPath(sha [32]byte) string { return filepath.Join("vault", objectName(sha)) }

// Writer takes the bytes of a new object, best in pieces of some kilobytes: each
// Write is one of the file. It is not safe for concurrent use.
type Writer struct {
	vault *Vault
	name  string // in the vault; empty once committed or aborted
	file  *os.File
	hash  hash.Hash
	size  int64
	safe  bool // nothing was written since the last sync
	err   error
}

// NewObject starts a new object in vault/tmp. A crash before Commit leaves the temporary file, which Sweep removes.
func (v *Vault) NewObject() (*Writer, error) {
	name := filepath.Join(tmpFolder, rand.Text())
	f, err := v.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if err != nil {
		return nil, storage(name, err)
	}
	if err := ownerOnly(f, 0o600); err != nil {
		f.Close()
		v.root.Remove(name)
		return nil, storage(name, err)
	}
	return &Writer{vault: v, name: name, file: f, hash: sha256.New()}, nil
}

// Write adds octets to the object and to its digest.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.name == "" {
		return 0, &Error{code: CodeStorage, Err: fs.ErrClosed}
	}
	w.safe = false
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = storage(w.name, err)
	}
	return n, w.err
}

func (w *Writer) sync() error {
	if w.err != nil {
		return w.err
	}
	if w.name == "" {
		return &Error{code: CodeStorage, Err: fs.ErrClosed}
	}
	if w.safe {
		return nil
	}
	if err := fsync(w.file); err != nil {
		w.err = err
		return err
	}
	w.safe = true
	return nil
}

// Reader syncs what was written and returns it for reading, from the start. It is valid until Commit or Abort.
func (w *Writer) Reader() (io.ReadSeeker, error) {
	if err := w.sync(); err != nil {
		return nil, err
	}
	return io.NewSectionReader(w.file, 0, w.size), nil
}

// Commit syncs the object and gives it its name. An identical object that is already there is kept; a damaged one is replaced.
// A crash before the rename leaves a temporary file, after it a whole object that no record names yet; Sweep removes either.
func (w *Writer) Commit() (digest [32]byte, size int64, err error) {
	if err := w.sync(); err != nil {
		return digest, 0, err
	}
	w.hash.Sum(digest[:0])
	target := objectName(digest)
	switch err := w.vault.Check(context.Background(), digest, w.size); {
	case err == nil:
		// The sweep goes by age, and the record that will name this object is still to be written.
		now := time.Now()
		if err := w.vault.root.Chtimes(target, now, now); err != nil {
			return digest, 0, storage(target, err)
		}
		// Who renamed it may have died before its name was durable.
		if err := w.vault.syncFolder(filepath.Dir(target)); err != nil {
			return digest, 0, err
		}
		w.Abort()
		return digest, w.size, nil
	case !errors.Is(err, ErrMissing) && !errors.Is(err, ErrDamaged):
		return digest, 0, err
	}
	if err := w.file.Close(); err != nil {
		w.err = storage(w.name, err)
		return digest, 0, w.err
	}
	if err := w.vault.root.Rename(w.name, target); err != nil {
		w.err = storage(target, err)
		return digest, 0, w.err
	}
	w.name = ""
	if err := w.vault.syncFolder(filepath.Dir(target)); err != nil {
		return digest, 0, err
	}
	return digest, w.size, nil
}

// Abort drops the object. It does nothing after Commit or a first Abort.
func (w *Writer) Abort() {
	if w.name == "" {
		return
	}
	w.file.Close()
	w.vault.root.Remove(w.name)
	w.name = ""
}

func (v *Vault) syncFolder(name string) error {
	f, err := v.root.Open(name)
	if err != nil {
		return storage(name, err)
	}
	defer f.Close()
	return syncDirectory(f)
}

// Open opens an object for reading; the caller closes it. ErrMissing when it is not there.
func (v *Vault) Open(sha [32]byte) (*os.File, error) {
	name := objectName(sha)
	f, err := v.root.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, storage(filepath.Base(name), err)
	}
	return f, nil
}

// Check reads an object and compares size and digest: ErrMissing, ErrDamaged or nil.
func (v *Vault) Check(ctx context.Context, sha [32]byte, size int64) error {
	f, err := v.OpenChecked(ctx, sha, size)
	if err != nil {
		return err
	}
	return storage(hex.EncodeToString(sha[:]), f.Close())
}

// OpenChecked is Check and Open in one: what the caller reads from its start is the file that was compared.
func (v *Vault) OpenChecked(ctx context.Context, sha [32]byte, size int64) (*os.File, error) {
	f, err := v.Open(sha)
	if err != nil {
		return nil, err
	}
	if err := check(ctx, f, sha, size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadChecked is Check that returns the octets, in the space of into when it is large enough. The object is to be small.
func (v *Vault) ReadChecked(sha [32]byte, size int64, into []byte) ([]byte, error) {
	f, err := v.Open(sha)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := sized(f, sha, size); err != nil {
		return nil, err
	}
	into = slices.Grow(into[:0], int(size))[:size]
	if _, err := io.ReadFull(f, into); err != nil {
		return nil, storage(hex.EncodeToString(sha[:]), err)
	}
	if sha256.Sum256(into) != sha {
		return nil, otherBytes(sha)
	}
	return into, nil
}

// sized refuses what is no file of the size.
func sized(f *os.File, sha [32]byte, size int64) error {
	name := hex.EncodeToString(sha[:])
	info, err := f.Stat()
	if err != nil {
		return storage(name, err)
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return &Error{code: CodeDamaged, Path: name, Detail: fmt.Sprintf("%d octets instead of %d", info.Size(), size)}
	}
	return nil
}

func otherBytes(sha [32]byte) error {
	return &Error{code: CodeDamaged, Path: hex.EncodeToString(sha[:]), Detail: "other bytes"}
}

func check(ctx context.Context, f *os.File, sha [32]byte, size int64) error {
	name := hex.EncodeToString(sha[:])
	if err := sized(f, sha, size); err != nil {
		return err
	}
	h := sha256.New()
	block := blocks.Get().(*[64 << 10]byte)
	defer blocks.Put(block)
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{contextReader{ctx, f}}, block[:]); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return storage(name, err)
	}
	if [32]byte(h.Sum(nil)) != sha {
		return otherBytes(sha)
	}
	_, err := f.Seek(0, io.SeekStart)
	return storage(name, err)
}

// blocks are read into for a digest: objects are checked at every step, and
// clearing new space costs as much as hashing a letter. No plaintext passes here.
var blocks = sync.Pool{New: func() any { return new([64 << 10]byte) }}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Discard removes an object that its maker alone knows, and no record. What stays for some reason is swept some day.
func (v *Vault) Discard(sha [32]byte) { _ = v.root.Remove(objectName(sha)) }

// Sweep removes what crashes left: temporary files and objects that are older than age and that keep, which is told since when an
// object lies there, does not want. The caller holds the desk's send lock, so that nobody is between Commit and the record.
func (v *Vault) Sweep(now time.Time, age time.Duration, keep func(sum [32]byte, since time.Time) (bool, error)) (removed int, err error) {
	folders, err := fs.ReadDir(v.root.FS(), ".")
	if err != nil {
		return 0, storage("vault", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		files, err := fs.ReadDir(v.root.FS(), folder.Name())
		if err != nil {
			return removed, storage(folder.Name(), err)
		}
		for _, file := range files {
			info, err := file.Info()
			if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) <= age {
				continue
			}
			if folder.Name() != tmpFolder {
				raw, err := hex.DecodeString(file.Name())
				if err != nil || len(raw) != 32 {
					continue // not ours: left for a person to judge
				}
				if wanted, err := keep([32]byte(raw), info.ModTime()); err != nil {
					return removed, err
				} else if wanted {
					continue
				}
			}
			name := filepath.Join(folder.Name(), file.Name())
			if err := v.root.Remove(name); err != nil {
				return removed, storage(name, err)
			}
			removed++
		}
	}
	return removed, nil
}
