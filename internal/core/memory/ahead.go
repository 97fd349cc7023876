package memory

import "encoding/binary"

// Bounds of what is read ahead.
const (
	leastAhead = 1 << 10
	maxAhead   = 256 << 10
)

// ReadAhead is memory that is read upwards in small steps: it reads ahead, twice
// as much each time that the reader continues where it left off. It must not be
// used by two goroutines at once.
type ReadAhead struct {
	Memory
	start Address
	data  []byte // from start on
	buf   []byte
	ahead int
}

// ReadAt is Memory's.
func (w *ReadAhead) ReadAt(p []byte, addr Address) (int, error) {
	if len(p) > leastAhead {
		return w.Memory.ReadAt(p, addr)
	}
	if addr < w.start || uint64(addr-w.start)+uint64(len(p)) > uint64(len(w.data)) {
		n, err := w.fill(addr)
		if n < len(p) {
			return copy(p, w.data), err
		}
	}
	return copy(p, w.data[addr-w.start:]), nil
}

func (w *ReadAhead) fill(addr Address) (int, error) {
	end := w.start.Add(uint64(len(w.data)))
	if len(w.data) == w.ahead && addr > w.start && addr < end.Add(leastAhead) {
		w.ahead = min(2*w.ahead, maxAhead)
	} else {
		w.ahead = leastAhead
	}
	if len(w.buf) < w.ahead {
		w.buf = make([]byte, w.ahead)
	}
	n, err := w.Memory.ReadAt(w.buf[:w.ahead], addr)
	w.start, w.data = addr, w.buf[:n]
	return n, err
}

// Pointer reads the pointer at addr.
func (w *ReadAhead) Pointer(addr Address) (Address, error) {
	if off := uint64(addr - w.start); off+PtrSize <= uint64(len(w.data)) && off+PtrSize > off {
		return Address(binary.LittleEndian.Uint64(w.data[off:])), nil
	}
	return Reader{Memory: w}.Pointer(addr)
}
