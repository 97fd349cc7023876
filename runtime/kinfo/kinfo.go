// Package kinfo keeps Android's Debug Kinfo block about a Go program in a file:
// where its code begins and ends, where the pc-line table stands that a Go
// program has in the place of kallsyms, what built it.
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

// A Block keeps the file: a Backend. It holds addresses of the few things that
// the block has room for, none of the program's regions.
type Block struct {
	mu      sync.Mutex
	path    string
	info    kinfo.Info
	written []byte
}

// Open writes the block, with mode 0600, and attaches itself. The file is
// replaced whole when the block changes, so that it is right at every moment
// that somebody may read it.
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

// A backend is a Block as the registry sees it.
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
		// The table's head has the number of functions at 8, since Go 1.20.
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
