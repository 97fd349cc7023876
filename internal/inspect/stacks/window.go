package stacks

import "github.com/meminspect/meminspect/internal/core/memory"

// A window is memory that is read upwards in small steps: it reads ahead.
type window struct {
	memory.Memory
	start memory.Address
	data  []byte // from start on
	buf   [1 << 10]byte
}

// ReadAt is memory.Memory's.
func (w *window) ReadAt(p []byte, addr memory.Address) (int, error) {
	if addr < w.start || uint64(addr-w.start)+uint64(len(p)) > uint64(len(w.data)) {
		if len(p) > len(w.buf) {
			return w.Memory.ReadAt(p, addr)
		}
		n, err := w.Memory.ReadAt(w.buf[:], addr)
		w.start, w.data = addr, w.buf[:n]
		if n < len(p) {
			return copy(p, w.data), err
		}
	}
	return copy(p, w.data[addr-w.start:]), nil
}
