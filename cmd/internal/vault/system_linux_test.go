package vault

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMountType(t *testing.T) {
	t.Parallel()
	const mounts = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /home/kantor/awan\040data rw - fuse.rclone remote: rw
41 22 0:41 / /media/usb rw shared:9 - fuseblk /dev/sdb1 rw
broken line
`
	for path, want := range map[string]string{
		"/home/kantor/desk":            "ext4",
		"/home/kantor/awan data":       "fuse.rclone",
		"/home/kantor/awan data/desk":  "fuse.rclone",
		"/home/kantor/awan data2/desk": "ext4",
		"/media/usb/desk":              "fuseblk",
	} {
		if got := mountType(bufio.NewScanner(strings.NewReader(mounts)), path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestInRAM(t *testing.T) {
	t.Parallel()
	if InRAM("/proc") || InRAM("/nowhere") {
		t.Error("a folder that is no memory is taken for one")
	}
	if out, err := exec.CommandContext(t.Context(), "stat", "-f", "-c", "%T", "/dev/shm").Output(); err == nil && strings.TrimSpace(string(out)) == "tmpfs" && !InRAM("/dev/shm") {
		t.Error("/dev/shm is memory")
	}
}

// TestKilledOutputLeavesNothing kills a process between writing and Commit.
func TestKilledOutputLeavesNothing(t *testing.T) {
	if folder := os.Getenv("SANDI_TEST_OUTPUT"); folder != "" {
		o, err := NewOutput(filepath.Join(folder, "naskah"), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte("terang")); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("ready\n")
		time.Sleep(time.Minute) // the parent kills us
		return
	}
	t.Parallel()
	folder := t.TempDir()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledOutputLeavesNothing$")
	c.Env = append(os.Environ(), "SANDI_TEST_OUTPUT="+folder)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Errorf("child said %q, %v", line, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
	wantTree(t, folder)
}

// TestHardened starts a child since a limit once lowered stays so.
func TestHardened(t *testing.T) {
	if os.Getenv("SANDI_TEST_HARDEN") != "" {
		Harden()
		limits, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
				t.Error(line)
			}
		}
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		// The unnamed file and its link still work for a process that may not be looked into.
		o, err := NewOutput(filepath.Join(t.TempDir(), "y"), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Commit(); err != nil {
			t.Error(err)
		}
		return
	}
	t.Parallel()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHardened$", "-test.v")
	c.Env = append(os.Environ(), "SANDI_TEST_HARDEN=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
