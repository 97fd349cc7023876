package walk

import "github.com/meminspect/meminspect/internal/core/memory"

// maxRereads bounds how often a value caught in the middle of a change is read
// again. A write to a map takes less time than a few readings.
const maxRereads = 32

// settled checks the bytes of a header that the walk is to follow. A check may
// fail because the program is changing the header, or a map, at this moment:
// then the header is read again into data, and the capture contains the version
// that is followed. It returns the result of the last check.
func (w *walker) settled(addr memory.Address, data []byte, check func() bool) bool {
	ok := check()
	for n := 0; !ok && w.cfg.Moving && n < maxRereads && w.pages.reread(addr, data); n++ {
		ok = check()
	}
	return ok
}
