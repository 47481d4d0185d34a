package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func create(t *testing.T) (string, *Vault) {
	t.Helper()
	desk := t.TempDir()
	v, err := Create(desk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return desk, v
}

func put(t *testing.T, v *Vault, data []byte) [32]byte {
	t.Helper()
	w, err := v.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	sha, size, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if sha != sha256.Sum256(data) || size != int64(len(data)) {
		t.Fatalf("Commit = %x, %d", sha, size)
	}
	return sha
}

// tree lists every file below a folder with its mode, and folders that are not 0700.
func tree(t *testing.T, folder string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(folder, name)
		if d.IsDir() && name != folder && info.Mode().Perm() != 0o700 || !d.IsDir() {
			names = append(names, info.Mode().String()+" "+filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantTree(t *testing.T, folder string, want ...string) {
	t.Helper()
	if got := tree(t, folder); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func wantCode(t *testing.T, err error, want *Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want code %s", err, want.Code())
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	data := bytes.Repeat([]byte("kriptogram "), 100_000)
	sha := put(t, v, data)
	wantTree(t, desk, "-rw------- "+filepath.ToSlash(ObjectPath(sha)))
	if err := v.Check(t.Context(), sha, int64(len(data))); err != nil {
		t.Error(err)
	}
	f, err := v.Open(sha)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back %d octets, %v", len(got), err)
	}

	wantCode(t, v.Check(t.Context(), sha, 1), ErrDamaged)
	_, err = v.Open([32]byte{1})
	wantCode(t, err, ErrMissing)
	wantCode(t, v.Check(t.Context(), [32]byte{1}, 1), ErrMissing)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Check(ctx, sha, int64(len(data))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled check: %v", err)
	}
}

func TestEmptyObject(t *testing.T) {
	t.Parallel()
	_, v := create(t)
	sha := put(t, v, nil)
	if err := v.Check(t.Context(), sha, 0); err != nil {
		t.Error(err)
	}
}

func TestObjectKeepsIdenticalAndReplacesDamaged(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	data := []byte("scan")
	sha := put(t, v, data)
	path := filepath.Join(desk, ObjectPath(sha))
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	put(t, v, data)
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("identical object was replaced")
	}
	if time.Since(after.ModTime()) > time.Hour {
		t.Error("kept object looks old and could be swept")
	}
	wantTree(t, desk, "-rw------- "+filepath.ToSlash(ObjectPath(sha)))

	if err := os.WriteFile(path, []byte("scam"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, v.Check(t.Context(), sha, 4), ErrDamaged)
	put(t, v, data)
	if err := v.Check(t.Context(), sha, 4); err != nil {
		t.Errorf("damaged object was kept: %v", err)
	}
}

func TestReaderBeforeCommit(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	w, err := v.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"satu ", "dua"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		r, err := w.Reader()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.HasSuffix(got, []byte(part)) {
			t.Errorf("read back %q, %v", got, err)
		}
	}
	sha, size, err := w.Commit()
	if err != nil || size != 8 || sha != sha256.Sum256([]byte("satu dua")) {
		t.Errorf("Commit = %x, %d, %v", sha, size, err)
	}
	w.Abort()
	w.Abort()
	wantTree(t, desk, "-rw------- "+filepath.ToSlash(ObjectPath(sha)))
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("write after Commit accepted")
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	w, err := v.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	wantTree(t, desk)
	if _, _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort accepted")
	}
}

// TestFsyncErrorIsFatal cannot run beside others: it replaces the one call to fsync.
func TestFsyncErrorIsFatal(t *testing.T) {
	desk, v := create(t)
	syncFile = func(*os.File) error { return syscall.EIO }
	defer func() { syncFile = (*os.File).Sync }()

	w, err := v.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Commit()
	w.Abort()
	errs := map[string]error{"object": err}
	errs["file"] = WriteFile(filepath.Join(desk, "a"), nil, 0o600)
	errs["new file"] = CreateFile(filepath.Join(desk, "b"), nil, 0o600)
	o, err := NewOutput(filepath.Join(desk, "c"), false)
	if err != nil {
		t.Fatal(err)
	}
	errs["output"] = o.Commit()
	for name, err := range errs {
		var fatal *Fatal
		if !errors.As(err, &fatal) || !errors.Is(err, syscall.EIO) || fatal.Code() != CodeFatal {
			t.Errorf("%s: error %v is not fatal", name, err)
		}
	}
	wantTree(t, desk)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	kept, orphan, young := put(t, v, []byte("kept")), put(t, v, []byte("orphan")), put(t, v, []byte("young"))
	left, err := v.NewObject()
	if err != nil {
		t.Fatal(err)
	}
	defer left.file.Close()
	foreign := filepath.Join(desk, "vault", "ab", "catatan.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-25 * time.Hour)
	held := time.Now().Add(-50 * time.Hour).Truncate(time.Second)
	older := put(t, v, []byte("older"))
	if err := os.Chtimes(filepath.Join(desk, ObjectPath(older)), held, held); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(desk, ObjectPath(kept)),
		filepath.Join(desk, ObjectPath(orphan)),
		filepath.Join(desk, "vault", left.name),
		foreign,
	} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("book")
	if n, err := v.Sweep(time.Now(), 24*time.Hour, func([32]byte, time.Time) (bool, error) { return false, stop }); !errors.Is(err, stop) || n > 1 {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	n, err := v.Sweep(time.Now(), 24*time.Hour, func(sha [32]byte, since time.Time) (bool, error) { return sha == kept || since.Equal(held), nil })
	if err != nil || n == 0 {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	want := []string{
		"-rw------- " + filepath.ToSlash(ObjectPath(kept)),
		"-rw------- " + filepath.ToSlash(ObjectPath(young)),
		"-rw------- " + filepath.ToSlash(ObjectPath(older)),
		"-rw------- vault/ab/catatan.txt",
	}
	slices.SortFunc(want, func(a, b string) int { return bytes.Compare([]byte(a[11:]), []byte(b[11:])) })
	wantTree(t, desk, want...)
}

func TestCreateTwiceKeepsObjects(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	sha := put(t, v, []byte("x"))
	again, err := Create(desk)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Check(t.Context(), sha, 1); err != nil {
		t.Error(err)
	}
	_, err = Open(t.TempDir())
	wantCode(t, err, ErrMissing)
}

func TestConcurrentCommitsOfOneObject(t *testing.T) {
	t.Parallel()
	desk, v := create(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			w, err := v.NewObject()
			if err != nil {
				t.Error(err)
				return
			}
			defer w.Abort()
			if _, err := w.Write([]byte("sama")); err != nil {
				t.Error(err)
			}
			if _, _, err := w.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantTree(t, desk, "-rw------- "+filepath.ToSlash(ObjectPath(sha256.Sum256([]byte("sama")))))
}

// TestAnyBytesComeBack: whatever is put in, in whatever pieces, comes back under its digest.
func TestAnyBytesComeBack(t *testing.T) {
	t.Parallel()
	_, v := create(t)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 8).Draw(t, "parts")
		w, err := v.NewObject()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for _, p := range parts {
			if _, err := w.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		sha, size, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.Open(sha)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := io.ReadAll(f)
		if want := slices.Concat(parts...); err != nil || !bytes.Equal(got, want) || size != int64(len(want)) || sha != sha256.Sum256(want) {
			t.Fatalf("got %x (%d), want %x: %v", got, size, want, err)
		}
	})
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "sandi.yaml")
	for _, text := range []string{"lama", "baru"} {
		if err := WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v", got, err)
		}
	}
	wantTree(t, folder, "-rw------- sandi.yaml")
	if err := WriteFile(filepath.Join(folder, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func TestCreateFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "kunci.asc")
	if err := CreateFile(path, []byte("a"), 0o400); err != nil {
		t.Fatal(err)
	}
	wantCode(t, CreateFile(path, []byte("b"), 0o600), ErrExists)
	if err := os.Symlink("nowhere", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, CreateFile(filepath.Join(folder, "link"), []byte("b"), 0o600), ErrExists)
	if got, err := os.ReadFile(path); err != nil || string(got) != "a" {
		t.Errorf("read %q, %v", got, err)
	}
	wantTree(t, folder, "-r-------- kunci.asc", "Lrwxrwxrwx link")
}

func TestOutput(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "naskah.pdf")
	write := func(text string, force bool) error {
		o, err := NewOutput(path, force)
		if err != nil {
			return err
		}
		defer o.Abort()
		if _, err := io.WriteString(o, text); err != nil {
			return err
		}
		if runtime.GOOS == "linux" {
			for _, name := range tree(t, folder) {
				if name != "-rw------- naskah.pdf" {
					t.Errorf("%s has a name before Commit", name)
				}
			}
		}
		return o.Commit()
	}
	if err := write("satu", false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, write("dua", false), ErrExists)
	if got, _ := os.ReadFile(path); string(got) != "satu" {
		t.Errorf("read %q", got)
	}
	if err := write("tiga", true); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "tiga" {
		t.Errorf("read %q", got)
	}
	wantTree(t, folder, "-rw------- naskah.pdf")
}

func TestOutputAbort(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	o, err := NewOutput(filepath.Join(folder, "x"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write([]byte("rahasia")); err != nil {
		t.Fatal(err)
	}
	o.Abort()
	o.Abort()
	if err := o.Commit(); err == nil {
		t.Error("Commit after Abort accepted")
	}
	wantTree(t, folder)
}

// TestOutputRefusesNameTakenMeanwhile: what appears under the name after NewOutput is not overwritten.
func TestOutputRefusesNameTakenMeanwhile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, take := range map[string]func(string) error{
		"file":   func(p string) error { return os.WriteFile(p, []byte("milik orang"), 0o600) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":   func(p string) error { return os.Symlink("/dev/null", p) },
	} {
		path := filepath.Join(folder, name)
		o, err := NewOutput(path, name != "file")
		if err != nil {
			t.Fatal(err)
		}
		if err := take(path); err != nil {
			t.Fatal(err)
		}
		if err := o.Commit(); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(folder, "file")); string(got) != "milik orang" {
		t.Errorf("read %q", got)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "send.lock")
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = TryLock(path)
	wantCode(t, err, ErrLocked)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Errorf("second Unlock: %v", err)
	}
	again, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestBox(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "surat.mbox")
	for _, text := range []string{"satu\n", "dua\n"} {
		f, done, err := OpenBox(path)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = OpenBox(path)
		wantCode(t, err, ErrLocked)
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
		if err := done(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o400 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if got, _ := os.ReadFile(path); string(got) != "satu\ndua\n" {
		t.Errorf("read %q", got)
	}
	link := filepath.Join(folder, "link.mbox")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, _, err := OpenBox(link)
	wantCode(t, err, ErrTarget)
}

func TestMoveAsideTail(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, aside := filepath.Join(folder, "box"), filepath.Join(folder, "box.tail")
	if err := os.WriteFile(path, []byte("recordedtorn"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := MoveAsideTail(f, 12, aside); err != nil || got != "" {
		t.Fatalf("%q, %v", got, err)
	}
	wantTree(t, folder, "-rw------- box")
	// The second finds the first one's name taken, and so on: nothing that is kept is written over.
	for i, want := range []struct {
		at   int64
		name string
	}{{8, aside}, {6, aside + "-2"}, {2, aside + "-3"}} {
		if got, err := MoveAsideTail(f, want.at, aside); err != nil || got != want.name {
			t.Fatalf("%d: %q, %v", i, got, err)
		}
	}
	for name, want := range map[string]string{path: "re", aside: "torn", aside + "-2": "ed", aside + "-3": "cord"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// A tail that could not be kept is not cut.
	if got, err := MoveAsideTail(f, 1, filepath.Join(folder, "none", "box.tail")); err == nil {
		t.Errorf("kept in %q", got)
	}
	if got, _ := os.ReadFile(path); string(got) != "re" {
		t.Errorf("read %q", got)
	}
}

// plainMedium makes every folder like one on a FAT stick: no hard links, no files without a name, no modes.
func plainMedium(t *testing.T) {
	t.Helper()
	was := medium
	t.Cleanup(func() { medium = was })
	medium.unnamed = func(string) (*os.File, error) { return nil, syscall.EOPNOTSUPP }
	medium.link = func(old, path string) error {
		return &os.LinkError{Op: "link", Old: old, New: path, Err: syscall.EPERM}
	}
	medium.mode = func(f *os.File, _ fs.FileMode) error {
		return &fs.PathError{Op: "chmod", Path: f.Name(), Err: syscall.EPERM}
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v", filepath.Base(path), got, err)
	}
}

// TestMediumWithoutLinks cannot run beside others: it replaces the calls that such a medium refuses.
func TestMediumWithoutLinks(t *testing.T) {
	plainMedium(t)
	folder := t.TempDir()
	key, letter, link := filepath.Join(folder, "arsip.key"), filepath.Join(folder, "naskah.pdf"), filepath.Join(folder, "tautan")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile(key, []byte("kunci"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, CreateFile(key, []byte("lain"), 0o600), ErrExists)
	wantCode(t, CreateFile(link, []byte("lain"), 0o600), ErrExists)
	write := func(text string, force bool) error {
		o, err := NewOutput(letter, force)
		if err != nil {
			return err
		}
		defer o.Abort()
		if _, err := io.WriteString(o, text); err != nil {
			return err
		}
		return o.Commit()
	}
	if err := write("satu", false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, write("dua", false), ErrExists)
	wantFile(t, letter, "satu")
	if err := write("tiga", true); err != nil {
		t.Fatal(err)
	}
	wantFile(t, letter, "tiga")
	wantFile(t, key, "kunci")
	// What a desk keeps must have its mode.
	wantCode(t, WriteFile(filepath.Join(folder, "sandi.yaml"), nil, 0o600), ErrStorage)
	wantTree(t, folder, "-rw------- arsip.key", "-rw------- naskah.pdf", "Lrwxrwxrwx tautan")
}

// TestMediumOfAnotherFault: only the faults of such a medium are passed over.
func TestMediumOfAnotherFault(t *testing.T) {
	plainMedium(t)
	folder := t.TempDir()
	medium.link = func(string, string) error { return syscall.EIO }
	wantCode(t, CreateFile(filepath.Join(folder, "a"), nil, 0o600), ErrStorage)
	medium.mode = func(*os.File, fs.FileMode) error { return syscall.EIO }
	wantCode(t, CreateFile(filepath.Join(folder, "b"), nil, 0o600), ErrStorage)
	_, err := NewOutput(filepath.Join(folder, "c"), false)
	wantCode(t, err, ErrStorage)
	wantTree(t, folder)
}

// TestNameTakenOnAMediumWithoutLinks: what appears under the name after NewOutput stays.
func TestNameTakenOnAMediumWithoutLinks(t *testing.T) {
	plainMedium(t)
	path := filepath.Join(t.TempDir(), "naskah")
	o, err := NewOutput(path, false)
	if err != nil {
		t.Fatal(err)
	}
	refuse := medium.link
	medium.link = func(old, name string) error {
		if err := os.WriteFile(path, []byte("milik orang"), 0o600); err != nil {
			t.Fatal(err)
		}
		return refuse(old, name)
	}
	wantCode(t, o.Commit(), ErrExists)
	wantFile(t, path, "milik orang")
	wantTree(t, filepath.Dir(path), "-rw------- naskah")
}

// TestOutputRemovesWhatCrashesLeft: plaintext with a name does not outlive the next output into its folder.
func TestOutputRemovesWhatCrashesLeft(t *testing.T) {
	plainMedium(t)
	folder := t.TempDir()
	old := time.Now().Add(-2 * staleAfter)
	for name, at := range map[string]time.Time{
		".sandi-LAMA.tmp": old, ".sandi-BARU.tmp": time.Now(), ".sandi-catatan": old, "surat.tmp": old,
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("terang"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	o, err := NewOutput(filepath.Join(folder, "naskah"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, folder, "-rw------- .sandi-BARU.tmp", "-rw------- .sandi-catatan", "-rw------- naskah", "-rw------- surat.tmp")
}
