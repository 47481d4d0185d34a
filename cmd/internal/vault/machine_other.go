//go:build !linux

package vault

// FreeSpace is not asked on this system.
func FreeSpace(string) (int64, bool) { return 0, false }

// ClockSynced is not asked on this system.
func ClockSynced() (synced, known bool) { return false, false }

// DiskSecrecy is not asked on this system.
func DiskSecrecy(string) Secrecy { return SecrecyUnknown }

// SwapSecrecy is not asked on this system.
func SwapSecrecy() Secrecy { return SecrecyUnknown }
