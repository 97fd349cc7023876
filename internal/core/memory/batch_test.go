package memory_test

import (
	"errors"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A hole in one piece must not prevent reading the next one.
func TestReadBatchOneByOne(t *testing.T) {
	mem := memory.Buffer{Base: 0x1000, Data: []byte("0123456789")}
	pieces := []memory.Piece{
		{Addr: 0x1008, Data: make([]byte, 4)},
		{Addr: 0x2000, Data: make([]byte, 4)},
		{Addr: 0x1000, Data: make([]byte, 4)},
	}
	if err := memory.ReadBatch(mem, pieces); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"89", "", "0123"} {
		if got := string(pieces[i].Data[:pieces[i].N]); got != want {
			t.Errorf("piece %d is %q, want %q", i, got, want)
		}
	}
}

type gone struct{ err error }

func (g gone) ReadAt(_ []byte, _ memory.Address) (int, error) { return 0, g.err }

func TestReadBatchGone(t *testing.T) {
	exited := errors.New("no such process")
	err := memory.ReadBatch(gone{exited}, []memory.Piece{{Addr: 1, Data: make([]byte, 1)}})
	if !errors.Is(err, exited) {
		t.Errorf("a memory that is gone gives %v", err)
	}
}
