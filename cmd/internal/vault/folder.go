package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckFolder says whether a folder is fit to be a desk: it exists, is a folder and not a link, is ours, closed to others
// (0700) and on a local file system. Errors are of type [*Error] with the codes desk.folder_….
func CheckFolder(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{code: CodeFolderMissing, Path: path}
	case err != nil:
		return storage(path, err)
	case !info.IsDir():
		return &Error{code: CodeFolderKind, Path: path}
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return storage(path, err)
	}
	kind, err := networkFileSystem(real)
	if err != nil {
		return storage(path, err)
	}
	if kind != "" {
		return &Error{code: CodeFolderNetwork, Path: path, Detail: kind}
	}
	return nil
}

// OthersCanRead tells whether a file may belong to or be read by another user. Where the system has no such bits it is false.
func OthersCanRead(info fs.FileInfo) bool { return checkOwner(info.Name(), info) != nil }
