package vault

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FreeSpace is how many octets of a folder's file system its user may still
// fill.
func FreeSpace(folder string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}

// ClockSynced asks the kernel whether a time service keeps the clock.
func ClockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}

// DiskSecrecy tells whether the block device below a folder is an encrypted
// one. What the disk does by itself cannot be seen from here.
func DiskSecrecy(folder string) Secrecy {
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return SecrecyUnknown
	}
	if unix.Major(st.Dev) == 0 {
		return SecrecyUnknown // tmpfs, btrfs, overlay: no device of its own
	}
	name := strconv.Itoa(int(unix.Major(st.Dev))) + ":" + strconv.Itoa(int(unix.Minor(st.Dev)))
	device, err := filepath.EvalSymlinks(filepath.Join("/sys/dev/block", name))
	if err != nil {
		return SecrecyUnknown
	}
	return deviceSecrecy(device, 0)
}

// maxStack is how many devices lie on each other at the most: a file system on
// LVM on LUKS on RAID on a disk.
const maxStack = 8

// deviceSecrecy follows a device of /sys/block down to what it lies on.
func deviceSecrecy(device string, depth int) Secrecy {
	if depth > maxStack {
		return SecrecyUnknown
	}
	if uuid, err := os.ReadFile(filepath.Join(device, "dm", "uuid")); err == nil && strings.HasPrefix(string(uuid), "CRYPT-") {
		return SecrecyEncrypted
	}
	below, err := os.ReadDir(filepath.Join(device, "slaves"))
	if err != nil && !os.IsNotExist(err) {
		return SecrecyUnknown
	}
	if len(below) == 0 {
		return SecrecyPlain
	}
	result := SecrecyEncrypted
	for _, b := range below {
		next, err := filepath.EvalSymlinks(filepath.Join(device, "slaves", b.Name()))
		if err != nil {
			return SecrecyUnknown
		}
		if s := deviceSecrecy(next, depth+1); s != SecrecyEncrypted {
			result = s
		}
	}
	return result
}

// SwapSecrecy tells whether memory that is swapped out lies enciphered.
func SwapSecrecy() Secrecy {
	f, err := os.Open("/proc/swaps")
	if err != nil {
		return SecrecyUnknown
	}
	defer f.Close()
	result := SecrecyNone
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] == "Filename" {
			continue
		}
		var s Secrecy
		switch name := filepath.Base(fields[0]); {
		case strings.HasPrefix(name, "zram"):
			continue // stays in memory
		case fields[1] == "file":
			s = DiskSecrecy(fields[0])
		default:
			device, err := filepath.EvalSymlinks(filepath.Join("/sys/class/block", name))
			if err != nil {
				return SecrecyUnknown
			}
			s = deviceSecrecy(device, 0)
		}
		if result == SecrecyNone || s != SecrecyEncrypted {
			result = s
		}
	}
	if lines.Err() != nil {
		return SecrecyUnknown
	}
	return result
}
