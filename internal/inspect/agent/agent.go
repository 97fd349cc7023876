// Package agent plays the two who work with a Minidump table of contents: the
// firmware, which copies each region that the table names into a file and knows
// nothing of what is in it, and the host tool, which puts the files together.
package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// ErrChanging reports a table that kept changing while it was read.
var ErrChanging = errors.New("the table of contents keeps changing: stop the program, or try again")

// bounds of what is taken from a table that may be anything.
const (
	maxRegions = 1 << 20
	maxBytes   = 16 << 30 // of all of them
)

// A Copy is a region as the agent copied it.
type Copy struct {
	minidump.Region
	File  string
	True  uint64 // bytes of it that are the region's; the rest is padding
	Holes uint64 // bytes that could not be read, and are marks
	Torn  bool   // it changed while it was copied

	holes []elfcore.Range
}

// Export copies the regions of the table at an address into files of mode 0600
// in dir, which is made if it is not there and may hold no such files yet. What
// pads a region to a multiple of 4 is zeros: its true size is known from the
// core image's head, which is the first region. The file of the head gets the
// statuses of the regions as they were copied.
func Export(mem memory.Memory, table memory.Address, dir string) ([]Copy, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if old, err := filepath.Glob(filepath.Join(dir, "md_*.BIN")); err != nil || len(old) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s holds %d files of an earlier export", dir, len(old)))
	}
	for range 3 {
		regions, err := readTable(mem, table)
		if err != nil {
			return nil, err
		}
		copies, err := export(mem, regions, dir)
		if err != nil {
			remove(copies)
			return nil, err
		}
		again, err := readTable(mem, table)
		if err == nil && same(regions, again) {
			return copies, nil
		}
		remove(copies)
	}
	return nil, ErrChanging
}

func same(a, b []minidump.Region) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func remove(copies []Copy) {
	for _, c := range copies {
		os.Remove(c.File)
	}
}

func readTable(mem memory.Memory, at memory.Address) ([]minidump.Region, error) {
	head := make([]byte, minidump.GlobalSize)
	if _, err := mem.ReadAt(head, at); err != nil {
		return nil, fmt.Errorf("table of contents: %w", err)
	}
	s, err := minidump.ParseGlobal(head)
	if err != nil {
		return nil, err
	}
	if s.Count > maxRegions {
		return nil, fmt.Errorf("%w: %d regions", minidump.ErrNotTable, s.Count)
	}
	b := make([]byte, int(s.Count)*minidump.RegionSize)
	if _, err := mem.ReadAt(b, memory.Address(s.Address)); err != nil {
		return nil, fmt.Errorf("regions of the table of contents: %w", err)
	}
	var regions []minidump.Region
	var total uint64
	for ; len(b) > 0; b = b[minidump.RegionSize:] {
		r := minidump.ParseRegion(b)
		if !r.Valid {
			continue
		}
		if r.Size%4 != 0 || r.Size > maxBytes-total {
			return nil, fmt.Errorf("%w: region %q %d has %d bytes", minidump.ErrNotTable, r.Name, r.Sequence, r.Size)
		}
		if !plain(r.Name) {
			return nil, fmt.Errorf("%w: a file cannot be called %q", minidump.ErrNotTable, r.Name)
		}
		total += r.Size
		regions = append(regions, r)
	}
	return regions, nil
}

// plain reports whether a name may be part of a file's: what a table holds may be
// anything, and leads nowhere out of the folder.
func plain(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == utf8.RuneError })
}

func export(mem memory.Memory, regions []minidump.Region, dir string) (copies []Copy, err error) {
	h := readHead(mem, regions)
	for i, r := range regions {
		c := Copy{Region: r, File: filepath.Join(dir, minidump.FileName(&r)), True: r.Size}
		if h != nil && i >= headRegions {
			c.True = h.regions[i-headRegions].Size
		}
		f, err := os.OpenFile(c.File, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return copies, err
		}
		copies = append(copies, c)
		err = copyRegion(f, mem, &copies[i])
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return copies, err
		}
	}
	if h == nil {
		return copies, nil
	}
	return copies, h.write(copies)
}

const (
	pageSize = 4096
	chunk    = 1 << 20
)

// copyRegion writes a region's memory, marks for what cannot be read, and zeros
// for the padding. Then it reads the memory again, and compares.
func copyRegion(f *os.File, mem memory.Memory, c *Copy) error {
	first, second := make([]byte, min(c.True, chunk)), make([]byte, min(c.True, chunk))
	for done := uint64(0); done < c.True; done += chunk {
		b := first[:min(chunk, c.True-done)]
		c.read(mem, b, c.Address+done, true)
		if _, err := f.WriteAt(b, int64(done)); err != nil {
			return err
		}
	}
	for done := uint64(0); done < c.True && !c.Torn; done += chunk {
		was, now := first[:min(chunk, c.True-done)], second[:min(chunk, c.True-done)]
		if _, err := f.ReadAt(was, int64(done)); err != nil {
			return err
		}
		c.read(mem, now, c.Address+done, false)
		c.Torn = !bytes.Equal(was, now)
	}
	return f.Truncate(int64(c.Size))
}

// read reads memory into b. Pages that cannot be read are marks, and recorded if
// record is set.
func (c *Copy) read(mem memory.Memory, b []byte, addr uint64, record bool) {
	for len(b) > 0 {
		n, _ := mem.ReadAt(b, memory.Address(addr))
		b, addr = b[n:], addr+uint64(n)
		bad := min(pageSize-addr%pageSize, uint64(len(b)))
		elfcore.FillMarks(b[:bad])
		if record && bad > 0 {
			c.Holes += bad
			c.holes = append(c.holes, elfcore.Range{Start: addr, End: addr + bad})
		}
		b, addr = b[bad:], addr+bad
	}
}
