package memory

import "errors"

// A Piece is one read of a batch. Data is filled from Addr on. N is the number
// of bytes read; if it is less than len(Data), the next byte is unreadable.
type Piece struct {
	Addr Address
	Data []byte
	N    int
}

// A Batcher is a Memory that reads many pieces for little more than the cost of
// one, as process_vm_readv does.
//
// ReadBatch sets every piece's N and fills Data[:N] exactly as ReadAt would: an
// unreadable piece does not prevent reading the later ones. The error concerns
// the whole memory (the process is gone, or reading it is forbidden);
// unreadable pieces are not an error. No two pieces share Data.
type Batcher interface {
	Memory
	ReadBatch(pieces []Piece) error
}

// ReadBatch reads the pieces in one batch if mem supports that, otherwise one
// by one.
func ReadBatch(mem Memory, pieces []Piece) error {
	if batcher, ok := mem.(Batcher); ok {
		return batcher.ReadBatch(pieces)
	}
	for i := range pieces {
		p := &pieces[i]
		n, err := mem.ReadAt(p.Data, p.Addr)
		p.N = min(max(n, 0), len(p.Data))
		var hole *UnreadableError
		if p.N < len(p.Data) && err != nil && !errors.As(err, &hole) {
			return err
		}
	}
	return nil
}
