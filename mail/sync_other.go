//go:build !linux

package mail

import "os"

// syncData brings the octets of f and its length to the disk.
func syncData(f *os.File) error { return f.Sync() }
