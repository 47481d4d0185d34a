package vault

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDeviceSecrecy walks stacks of devices laid out like /sys/block.
func TestDeviceSecrecy(t *testing.T) {
	t.Parallel()
	sys := t.TempDir()
	device := func(name, uuid string, below ...string) string {
		t.Helper()
		dir := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Join(dir, "slaves"), 0o700); err != nil {
			t.Fatal(err)
		}
		if uuid != "" {
			if err := os.Mkdir(filepath.Join(dir, "dm"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "dm", "uuid"), []byte(uuid+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range below {
			if err := os.Symlink(filepath.Join(sys, b), filepath.Join(dir, "slaves", b)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	device("sda1", "")
	device("luks", "CRYPT-LUKS2-0123", "sda1")
	device("loop", "LVM-loop", "loop")
	for _, tc := range []struct {
		device string
		want   Secrecy
	}{
		{filepath.Join(sys, "sda1"), SecrecyPlain},
		{filepath.Join(sys, "luks"), SecrecyEncrypted},
		{device("lvm", "LVM-0123", "luks"), SecrecyEncrypted},
		{device("half", "LVM-4567", "luks", "sda1"), SecrecyPlain},
		{device("gone", "LVM-89ab", "nowhere"), SecrecyUnknown},
		{filepath.Join(sys, "loop"), SecrecyUnknown},
	} {
		if got := deviceSecrecy(tc.device, 0); got != tc.want {
			t.Errorf("%s: %s, want %s", filepath.Base(tc.device), got, tc.want)
		}
	}
}

func TestFreeSpace(t *testing.T) {
	t.Parallel()
	if n, ok := FreeSpace(t.TempDir()); !ok || n <= 0 {
		t.Errorf("FreeSpace: %d, %v", n, ok)
	}
	if _, ok := FreeSpace(filepath.Join(t.TempDir(), "nowhere")); ok {
		t.Error("space of a folder that is not there")
	}
}
