package mail

import (
	"os"
	"syscall"
)

// syncData brings the octets of f and its length to the disk. The times of the
// file may follow later; nobody goes by them.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
