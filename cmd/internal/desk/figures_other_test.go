//go:build !linux

package desk

import "os"

func fdatasync(f *os.File) error { return f.Sync() }
