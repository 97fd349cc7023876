package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hugePage = 2 << 20  // of amd64, and of arm64 with pages of 4 KiB
	manyHuge = 16 << 20 // below that, the system maps small pages fast enough
)

// useHugePages makes the system map a long slice in huge pages: with small ones
// most of the time goes into mapping.
func useHugePages(b []byte) {
	if len(b) < manyHuge {
		return
	}
	start := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage
	end := start + (uintptr(len(b))-start)/hugePage*hugePage
	_ = unix.Madvise(b[start:end], unix.MADV_HUGEPAGE) // a system without huge pages is only slower
}
