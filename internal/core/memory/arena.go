package memory

// An Arena is memory that was set aside, and touched so that the system has
// given it, before a moment in which time counts. It is used up once. Nil is one
// that is empty.
type Arena struct {
	free  []byte
	taken uint64
}

// NewArena sets size bytes aside.
func NewArena(size uint64) *Arena {
	free := make([]byte, size)
	for i := 0; i < len(free); i += pageBytes {
		free[i] = 0
	}
	return &Arena{free: free}
}

// Taken is how many bytes were asked for, also when there were not so many.
func (a *Arena) Taken() uint64 { return a.taken }

// Take returns n zeroed bytes, of the arena while it has them.
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
