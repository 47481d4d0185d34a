package crypto

import (
	"os"
	"regexp"
	"testing"
)

func TestStretchingHasHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no huge pages")
	}
	adviseHugePages()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	// "hg": MADV_HUGEPAGE was given (proc(5)).
	if !regexp.MustCompile(`(?m)^VmFlags:.* hg\b`).Match(maps) {
		t.Error("no part of the memory asks for huge pages")
	}
}
