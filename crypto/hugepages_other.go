//go:build !linux

package crypto

func hugePages() {}
