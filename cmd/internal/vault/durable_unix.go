//go:build unix

package vault

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// noFollow makes an open fail on a symbolic link.
const noFollow = unix.O_NOFOLLOW

// ownerOnly sets the mode that the umask may have narrowed.
func ownerOnly(f *os.File, perm fs.FileMode) error { return f.Chmod(perm) }

// ours tells whether a file belongs to this user.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// Place tells a file from its copies: its number in the file system, which a
// rename keeps and a copy has not. "" where that cannot be told.
func Place(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return strconv.FormatUint(uint64(st.Ino), 10), nil
	}
	return "", nil
}

func syncDirectory(f *os.File) error { return fsync(f) }

func checkOwner(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return &Error{code: CodeFolderOwner, Path: path}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &Error{code: CodeFolderMode, Path: path, Detail: info.Mode().Perm().String()}
	}
	return nil
}

// Harden forbids core files and, on Linux, reading of this process by others of the same user, and narrows the umask. Errors are
// ignored: a system without such a limit is no worse than before.
func Harden() {
	unix.Umask(0o077)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	hardenSystem()
}
