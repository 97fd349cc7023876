package walk

import "github.com/meminspect/meminspect/internal/core/memory"

// maxRereads is how often a value is read that is caught in the middle of a
// change. A write to a map takes less time than a few readings.
const maxRereads = 32

// settled checks the bytes of a header that the walk is to follow. A check may
// fail because the program changes the header, or a map, at this moment: then
// the header is read again into data, and the capture gets what is followed.
// It returns what the last check returned.
func (w *walker) settled(addr memory.Address, data []byte, check func() bool) bool {
	ok := check()
	for n := 0; !ok && w.cfg.Moving && n < maxRereads && w.pages.reread(addr, data); n++ {
		ok = check()
	}
	return ok
}
