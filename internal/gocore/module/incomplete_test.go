package module_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// patched is memory of which one word is another.
type patched struct {
	memory.Mapped
	at   memory.Address
	word uint64
}

func (p patched) ReadAt(b []byte, addr memory.Address) (int, error) {
	n, err := p.Mapped.ReadAt(b, addr)
	word := binary.LittleEndian.AppendUint64(nil, p.word)
	for i := range word {
		if at := p.at.Add(uint64(i)); at >= addr && at < addr.Add(uint64(n)) {
			b[at-addr] = word[i]
		}
	}
	return n, err
}

// A module that cannot be read does not cost the modules before it.
func TestUnreadableModule(t *testing.T) {
	image, p := self(t)
	first := p.Modules[0]
	got, err := module.OfImage(image, patched{image, first.Addr.Add(first.Bytes - memory.PtrSize), 0x10})
	if err != nil || len(got.Modules) != 1 || got.Modules[0].Addr != first.Addr || got.Incomplete == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// denied is memory that may not be read.
type denied struct{ memory.Mapped }

func (denied) ReadAt(_ []byte, addr memory.Address) (int, error) {
	return 0, &memory.UnreadableError{Addr: addr, Err: fs.ErrPermission}
}

// Memory that may not be read is not reported as that of another kind of program.
func TestForbiddenMemory(t *testing.T) {
	image, _ := self(t)
	got, err := module.OfImage(image, denied{image})
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, module.ErrNoBuildInfo) {
		t.Errorf("%+v, %v", got, err)
	}
}
