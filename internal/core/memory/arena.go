package memory

// An Arena is memory that was allocated in advance, and touched so that the
// system has mapped it, before a moment in which time matters. It is used up
// once. A nil Arena is empty.
type Arena struct {
	free  []byte
	taken uint64
}

// NewArena allocates an arena of size bytes.
func NewArena(size uint64) *Arena {
	free := make([]byte, size)
	useHugePages(free)
	for i := 0; i < len(free); i += pageBytes {
		free[i] = 0
	}
	return &Arena{free: free}
}

// Taken returns the number of bytes requested so far, even if the arena had
// fewer.
func (a *Arena) Taken() uint64 { return a.taken }

// Take returns n zeroed bytes, from the arena while it has them.
func (a *Arena) Take(n uint64) []byte {
	if a == nil {
		return make([]byte, n)
	}
	if a.taken += n; n > uint64(len(a.free)) {
		return make([]byte, n)
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}
