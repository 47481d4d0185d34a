package vault

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// noFollow has no counterpart here; links need a privilege to make.
const noFollow = 0

// ownerOnly does nothing: files take the access list of the profile folder they are in.
func ownerOnly(*os.File, fs.FileMode) error { return nil }

// Place cannot tell a file from its copies here.
func Place(string) (string, error) { return "", nil }

// ours is always true: the access list decides what may be removed.
func ours(fs.FileInfo) bool { return true }

// syncDirectory does nothing: NTFS journals names, and a folder cannot be flushed.
func syncDirectory(*os.File) error { return nil }

func checkOwner(string, fs.FileInfo) error { return nil }

// Harden does nothing here.
func Harden() {}

func networkFileSystem(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(abs) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "remote drive", nil
	}
	return "", nil
}
