// Package kinfo keeps Android's Debug Kinfo block about a Go program in a file:
// the bounds of its code, the address of the pc-line table (which a Go program
// has instead of kallsyms), and its build.
package kinfo

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/meminspect/meminspect/runtime/format/kinfo"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/replace"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// A Block keeps the file up to date. It is a Backend. It records the few
// addresses that the block has room for, and none of the program's regions.
type Block struct {
	mu      sync.Mutex
	path    string
	info    kinfo.Info
	written []byte
}

// Open writes the block to a file of mode 0600 and attaches itself. It replaces
// the file atomically when the block changes, so that a reader always sees a
// valid one.
func Open(path string) (*Block, error) {
	if registry.Off {
		return &Block{}, nil
	}
	b := &Block{path: path, info: describe()}
	if err := b.update(); err != nil {
		return nil, err
	}
	if err := registry.Attach((*backend)(b)); err != nil {
		return nil, fmt.Errorf("kinfo: %w", err)
	}
	return b, nil
}

// Close detaches the block; the file stays.
func (b *Block) Close() error {
	if registry.Off {
		return nil
	}
	return registry.Detach((*backend)(b))
}

// A backend adapts a Block to the registry's interface.
type backend Block

func (b *backend) Name() string                           { return "kinfo" }
func (b *backend) RegisterRegion(registry.Region) error   { return (*Block)(b).update() }
func (b *backend) UnregisterRegion(registry.Region) error { return (*Block)(b).update() }

// update writes the block if it has changed.
func (b *Block) update() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	block := b.info.Encode()
	if string(block) == string(b.written) {
		return nil
	}
	err := replace.File(b.path, func(f *os.File) error {
		_, err := f.Write(block)
		return err
	})
	if err != nil {
		return fmt.Errorf("kinfo: %w", err)
	}
	b.written = block
	return nil
}

// describe returns the description of the program, which does not change while
// it runs.
func describe() kinfo.Info {
	text, etext, pclntab := self.Bounds()
	i := kinfo.Info{EnabledAll: pclntab != 0, BitPerLong: strconv.IntSize, NameLen: 512, ModuleNameLen: 56, SymbolLen: 512, Release: runtime.Version()}
	i.Address[kinfo.Relative] = uint64(text)
	i.Address[kinfo.Text] = uint64(text)
	i.Address[kinfo.SText] = uint64(text)
	i.Address[kinfo.EText] = uint64(etext)
	i.Address[kinfo.Names] = uint64(pclntab)
	if me, err := self.Inspect(); err == nil {
		for _, r := range me.Writable {
			i.Address[kinfo.End] = max(i.Address[kinfo.End], r.End)
		}
		// The table's header has the number of functions at offset 8, since Go 1.20.
		var n [8]byte
		if pclntab != 0 && self.Read(n[:], uint64(pclntab)+8) == len(n) {
			i.NumSyms = uint32(binary.LittleEndian.Uint64(n[:]))
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		i.BuildInfo = info.Main.Path + "@" + info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				i.BuildInfo += " " + s.Value
			}
		}
	}
	return i
}
