package request

import (
	"context"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
)

// A HeapReader reads which objects keep which alive, for the heap's note of a core.
type HeapReader interface {
	// OfProcess finds the heap of a process, which runs.
	OfProcess(ctx context.Context, p *process.Process) (HeapReading, error)
	// Within returns a reader that takes little time, and at most so many bytes of
	// memory.
	Within(room uint64) HeapReader
	// OfCore finds the heap of a full core.
	OfCore(ctx context.Context, core *fullcore.Core) (HeapReading, error)
}

// A HeapReading reads one heap.
type HeapReading interface {
	// Read reads the heap. No thread of the process runs; these are all of them.
	Read(ctx context.Context, threads []process.Thread) error
	// Note computes the data of the note from what was read. The process may run.
	Note() ([]byte, error)
	Close() error
}
