package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tempName is a name beside path that no other process takes.
func tempName(path string) string {
	return filepath.Join(filepath.Dir(path), ".sandi-"+rand.Text()+".tmp")
}

// medium is what the media that carry keys and results between machines may lack: FAT and exFAT know neither hard links nor files
// without a name, and keep no modes. It is a variable for the tests of such a medium only.
var medium = struct {
	unnamed func(folder string) (*os.File, error)
	link    func(old, path string) error
	mode    func(f *os.File, perm fs.FileMode) error
}{openUnnamed, os.Link, ownerOnly}

// writeTemp writes data to a new file beside path and syncs it. abroad: the file may lie on a medium that keeps no modes, where
// everybody who can mount it can read it anyway.
func writeTemp(path string, data []byte, perm fs.FileMode, abroad bool) (temp string, err error) {
	temp = tempName(path)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, perm)
	if err != nil {
		return "", storage(path, err)
	}
	err = func() error {
		if _, err := f.Write(data); err != nil {
			return storage(path, err)
		}
		if err := medium.mode(f, perm); err != nil && !(abroad && errors.Is(err, syscall.EPERM)) {
			return storage(path, err)
		}
		return fsync(f)
	}()
	if cerr := f.Close(); err == nil && cerr != nil {
		err = storage(path, cerr)
	}
	if err != nil {
		os.Remove(temp)
		return "", err
	}
	return temp, nil
}

// WriteFile writes data under the name path, replacing what stood there. A reader sees the old bytes or the new ones, never
// part of them. A crash before the rename leaves the old file and a ".sandi-….tmp" beside it.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	temp, err := writeTemp(path, data, perm, false)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return storage(path, err)
	}
	return SyncFolder(filepath.Dir(path))
}

// CreateFile writes data under a new name; ErrExists when the name is taken, by whatever kind of file. It also writes to media
// without modes or links; there a crash may leave an empty file of that name, never a part of data.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	temp, err := writeTemp(path, data, perm, true)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := giveName(temp, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// giveName gives the complete file temp the name path, unless that is taken. A rename would replace what is there; a hard link
// refuses. On media without links the name is taken with an empty file first, which the rename then replaces.
func giveName(temp, path string) error {
	err := medium.link(temp, path)
	if err == nil || !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return linkError(path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if err != nil {
		return linkError(path, err)
	}
	f.Close()
	if err := os.Rename(temp, path); err != nil {
		os.Remove(path)
		return storage(path, err)
	}
	return nil
}

func linkError(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &Error{code: CodeExists, Path: path}
	}
	return storage(path, err)
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return storage(path, err)
	}
	defer f.Close()
	return syncDirectory(f)
}

// Output is a result on its way out of the desk, such as an opened plaintext. The name appears with Commit and not before:
// on Linux the bytes lie in a file without a name until then, so that even a killed process leaves nothing behind. Where the
// file system cannot do that, a file ".sandi-….tmp" of mode 0600 stands in and Abort removes it; one that a killed process left
// stays until the next output into the same folder, which removes those of this user that nobody wrote to for a minute.
type Output struct {
	path  string
	temp  string // "" when the file has no name
	force bool
	file  *os.File
}

// NewOutput prepares an output file. It refuses a folder, a link, a pipe and a device (ErrTarget), and an existing file unless
// force is set (ErrExists).
func NewOutput(path string, force bool) (*Output, error) {
	if err := checkTarget(path, force); err != nil {
		return nil, err
	}
	o := &Output{path: path, force: force}
	f, err := medium.unnamed(filepath.Dir(path))
	if err != nil {
		removeStale(filepath.Dir(path))
		o.temp = tempName(path)
		if f, err = os.OpenFile(o.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600); err != nil {
			return nil, storage(path, err)
		}
	}
	o.file = f
	if err := medium.mode(f, 0o600); err != nil && !errors.Is(err, syscall.EPERM) {
		o.Abort()
		return nil, storage(path, err)
	}
	return o, nil
}

// staleAfter is how long a named temporary file lies still before it counts as left by a crash.
const staleAfter = time.Minute

// removeStale removes the named temporary files that killed processes of this user left in a folder. What it cannot remove it
// leaves: the output at hand does not depend on it.
func removeStale(folder string) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range files {
		if !strings.HasPrefix(e.Name(), ".sandi-") || !strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && ours(info) && time.Since(info.ModTime()) > staleAfter {
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

func checkTarget(path string, force bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return storage(path, err)
	case !info.Mode().IsRegular():
		return &Error{code: CodeTarget, Path: path, Detail: "not a file"}
	case !force:
		return &Error{code: CodeExists, Path: path}
	}
	return nil
}

// Write adds octets to the output.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	return n, storage(o.path, err)
}

// File is the file behind the output, for a writer that needs to seek. It is valid until Commit or Abort.
func (o *Output) File() *os.File { return o.file }

// Path is the name that Commit will give.
func (o *Output) Path() string { return o.path }

// Commit syncs the output and gives it its name.
func (o *Output) Commit() error {
	if o.file == nil {
		return &Error{code: CodeStorage, Path: o.path, Err: fs.ErrClosed}
	}
	defer o.Abort()
	if err := fsync(o.file); err != nil {
		return err
	}
	// Between NewOutput and now somebody may have put a link or a folder there.
	if err := checkTarget(o.path, o.force); err != nil {
		return err
	}
	if o.temp == "" {
		name := o.path
		if o.force {
			name = tempName(o.path)
		}
		if err := linkUnnamed(o.file, name); err != nil {
			return linkError(o.path, err)
		}
		if o.force {
			if err := os.Rename(name, o.path); err != nil {
				os.Remove(name)
				return storage(o.path, err)
			}
		}
		return SyncFolder(filepath.Dir(o.path))
	}
	if err := o.file.Close(); err != nil {
		return storage(o.path, err)
	}
	if o.force {
		if err := os.Rename(o.temp, o.path); err != nil {
			return storage(o.path, err)
		}
	} else if err := giveName(o.temp, o.path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(o.path))
}

// Abort drops the output. It does nothing after Commit or a first Abort.
func (o *Output) Abort() {
	if o.file == nil {
		return
	}
	o.file.Close()
	o.file = nil
	if o.temp != "" {
		os.Remove(o.temp)
	}
}

// MoveAsideTail copies what stands in f beyond the offset at into a new file and then cuts it from f. It returns the file's name:
// aside or, when that is taken, the next of FreeName; "" when nothing stands there. Nothing is cut before its copy is durable; a
// crash between the two leaves both. The caller holds the lock of the box, so nobody else takes the name meanwhile.
func MoveAsideTail(f *os.File, at int64, aside string) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", storage(f.Name(), err)
	}
	if info.Size() <= at {
		return "", nil
	}
	aside, err = FreeName(aside)
	if err != nil {
		return "", err
	}
	out, err := NewOutput(aside, false)
	if err != nil {
		return "", err
	}
	defer out.Abort()
	if _, err := io.Copy(out, io.NewSectionReader(f, at, info.Size()-at)); err != nil {
		return "", storage(aside, err)
	}
	if err := out.Commit(); err != nil {
		return "", err
	}
	if err := f.Truncate(at); err != nil {
		return "", storage(f.Name(), err)
	}
	return aside, fsync(f)
}

// FreeName is path when nothing has that name, else the first free one of path-2, path-3 and so on. What is kept aside is named
// after the time, and a clock that was set back comes to the same time again.
func FreeName(path string) (string, error) {
	name := path
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", storage(name, err)
		}
		name = fmt.Sprintf("%s-%d", path, n)
	}
}

// OpenBox opens an archive mailbox for an append: it makes the file when it is missing and takes its lock. The returned function
// syncs and lets go; call it once. The file is 0400, since mail readers rewrite what they may; only the descriptor returned here
// writes. A crash within the open itself leaves it 0600, and the next OpenBox mends that. ErrLocked when another process appends.
func OpenBox(path string) (*os.File, func() error, error) {
	// The lock has a name of its own, away from the dot locks of mail readers: on Windows a locked file could not be written.
	lock, err := TryLock(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"))
	if err != nil {
		return nil, nil, err
	}
	f, err := openBox(path)
	if err != nil {
		lock.Unlock()
		return nil, nil, err
	}
	return f, func() error {
		return errors.Join(fsync(f), storage(path, f.Close()), lock.Unlock())
	}, nil
}

func openBox(path string) (*os.File, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := CreateFile(path, nil, 0o400); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, storage(path, err)
	case !info.Mode().IsRegular():
		return nil, &Error{code: CodeTarget, Path: path, Detail: "not a file"}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, storage(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if err != nil {
		return nil, storage(path, err)
	}
	// At once, not after the append: a process that dies between its event and here would leave the box writable for good.
	if err := os.Chmod(path, 0o400); err != nil {
		f.Close()
		return nil, storage(path, err)
	}
	return f, nil
}
