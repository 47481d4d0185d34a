package crypto

import (
	"runtime"
	"sync"
	"syscall"
)

// stretchingMemory is what Argon2id takes for our keys, in octets.
const stretchingMemory = 64 << 20

// hugePages prepares the memory in which a passphrase is stretched, once per
// process: in small pages it costs 16,384 faults, which on a virtual machine
// take longer than the stretching itself. What is advised here is free again
// at once, and the library takes its own from there. A kernel without such
// pages leaves everything as it was.
var hugePages = sync.OnceFunc(func() {
	adviseHugePages()
	runtime.GC()
})

//go:noinline // the memory must not be held while it is collected
func adviseHugePages() {
	_ = syscall.Madvise(make([]byte, stretchingMemory), syscall.MADV_HUGEPAGE)
}
