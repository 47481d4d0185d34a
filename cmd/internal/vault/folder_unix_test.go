//go:build unix

package vault

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckFolder(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	mk := func(name string, mode os.FileMode) string {
		path := filepath.Join(top, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := mk("good", 0o700)
	if err := CheckFolder(good); err != nil {
		t.Errorf("good folder: %v", err)
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		filepath.Join(top, "none"): CodeFolderMissing,
		file:                       CodeFolderKind,
		link:                       CodeFolderKind,
		mk("group", 0o710):         CodeFolderMode,
		mk("world", 0o705):         CodeFolderMode,
	}
	if os.Geteuid() == 0 {
		other := mk("other", 0o700)
		if err := os.Chown(other, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		cases[other] = CodeFolderOwner
	}
	for path, want := range cases {
		wantCode(t, CheckFolder(path), &Error{code: want})
	}
}

func TestOutputRefusesSpecialFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(filepath.Join(folder, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, folder, "/dev/null"} {
		for _, force := range []bool{false, true} {
			_, err := NewOutput(path, force)
			wantCode(t, err, ErrTarget)
		}
	}
	_, err := NewOutput(filepath.Join(folder, "none", "x"), false)
	wantCode(t, err, ErrMissing)
}

// TestModesWhateverTheUmask cannot run beside others: the umask belongs to the process.
func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		old := unix.Umask(mask)
		desk := t.TempDir()
		func() {
			defer unix.Umask(old)
			if err := os.Chmod(desk, 0o700); err != nil {
				t.Fatal(err)
			}
			v, err := Create(desk)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			put(t, v, []byte("x"))
			o, err := NewOutput(filepath.Join(desk, "out"), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := WriteFile(filepath.Join(desk, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}()
		for _, line := range tree(t, desk) {
			if line[:10] != "-rw-------" {
				t.Errorf("umask %o: %s", mask, line)
			}
		}
	}
}
