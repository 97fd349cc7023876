package process

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// ErrReclaimed is returned if the kernel has taken memory back from a process that its
// OOM killer ended, before it was read. Reading does not fail then: the kernel maps the
// pages of the executable again, with the values that variables had at the start.
var ErrReclaimed = errors.New("the kernel has taken the memory of the program back, as it does of one that its OOM killer ended: the values are lost")

// DataPages are the pages of an executable's variables that a process has copies of,
// because it has written to them. A program never loses one, whatever it does.
type DataPages map[memory.Address]bool

// DataPages returns the current ones. ok is false if they are not known.
func (i *Image) DataPages() (pages DataPages, ok bool) {
	if i.pages == nil {
		return nil, false
	}
	var err error
	if i.data == nil {
		if i.data, err = i.dataRanges(); err != nil {
			return nil, false
		}
	}
	pages = DataPages{}
	for _, r := range i.data {
		if !i.addCopies(pages, r) {
			return nil, false
		}
	}
	return pages, len(i.data) > 0
}

// dataRanges returns where the variables of the executable are that have initial values.
func (i *Image) dataRanges() (list []memory.Range, err error) {
	name, err := i.process.ExeName()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.NewSectionReader(i.maps, 0, math.MaxInt64))
	if err != nil {
		return nil, err
	}
	mappings, err := ParseMaps(text)
	if err != nil {
		return nil, err
	}
	for _, m := range mappings {
		if m.Write && !m.Shared && m.Inode != 0 && m.Path == name {
			list = append(list, m.Range)
		}
	}
	return list, nil
}

// Bits of an entry of /proc/PID/pagemap (man proc_pid_pagemap).
const (
	pagePresent  = 1 << 63
	pageSwapped  = 1 << 62
	pageOfFile   = 1 << 61
	pagemapEntry = 8
)

// addCopies adds the pages of a range that are no longer those of the file.
func (i *Image) addCopies(pages DataPages, r memory.Range) bool {
	size := memory.Address(os.Getpagesize())
	entries := make([]byte, (r.End-r.Start)/size*pagemapEntry)
	if _, err := i.pages.ReadAt(entries, int64(r.Start/size*pagemapEntry)); err != nil {
		return false
	}
	for n := 0; n < len(entries); n += pagemapEntry {
		entry := binary.NativeEndian.Uint64(entries[n:])
		if entry&pageSwapped != 0 || entry&(pagePresent|pageOfFile) == pagePresent {
			pages[r.Start+memory.Address(n/pagemapEntry)*size] = true
		}
	}
	return true
}

// CheckKept returns ErrReclaimed if the process has lost one of the pages since, or had
// none already: every Go program writes to variables when it starts.
func (i *Image) CheckKept(before DataPages) error {
	now, ok := i.DataPages()
	if !ok {
		return nil // it has ended, or is not readable: reading fails
	}
	for page := range before {
		if !now[page] {
			return ErrReclaimed
		}
	}
	if len(now) == 0 {
		return ErrReclaimed
	}
	return nil
}
