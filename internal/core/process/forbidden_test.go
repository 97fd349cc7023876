//go:build linux

package process

import (
	"os"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
)

var known = [3]uint64{11, 22, 33}

// If process_vm_readv is forbidden, the file gives the same results.
func TestForbidden(t *testing.T) {
	p, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.mem.forbidden.Store(true)
	at := memory.Address(uintptr(unsafe.Pointer(&known)))
	if v, err := (memory.Reader{Memory: p.Memory()}).Uint64(at + 8); err != nil || v != 22 {
		t.Errorf("a word is %d, %v", v, err)
	}
	pieces := []memory.Piece{
		{Addr: at, Data: make([]byte, 8)},
		{Addr: 8, Data: make([]byte, 8)}, // nothing is mapped there
		{Addr: at + 16, Data: make([]byte, 8)},
	}
	if err := p.Memory().ReadBatch(pieces); err != nil {
		t.Fatal(err)
	}
	if pieces[0].N != 8 || pieces[1].N != 0 || pieces[2].N != 8 || pieces[2].Data[0] != 33 {
		t.Errorf("pieces: %+v", pieces)
	}
}
