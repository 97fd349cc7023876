//go:build linux && (amd64 || arm64)

package liveimage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	format "github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// An Image keeps the head of a core image in memory, as regions 1 (ELF header,
// program headers, notes, the block that marks what is not captured) and 2
// (vmcoreinfo), and edits it as regions come and go. An agent that knows
// nothing of ELF copies the memory of Regions, in order, into files: cat of
// these files is a core. It is a Backend: attach it, or let package minidump do
// so.
//
// The sizes of regions count rounded up to 4 in the file; what pads them is
// zeros. A range that an earlier region covers gets no second segment.
type Image struct {
	mu      sync.Mutex
	max     int
	me      *self.Process
	notes   []elfcore.Note // that do not change
	header  []byte         // the head's room
	used    int            // of it
	info    []byte         // the vmcoreinfo note's room
	infoLen int
	static  []byte // what vmcoreinfo says beside the regions
	placed  []placed
}

// mostRegions is as many as can be registered at a time.
const mostRegions = 1 << 20

// A Place is where an agent finds one of the files.
type Place struct {
	ID   uint64
	Name string
	Addr uint64
	Size uint64 // that of the file is this, rounded up to 4
}

type placed struct {
	note.Region
	part int
}

// New makes the head of a core image for at most max regions. Registers in
// it are those of the caller.
func New(max int) (*Image, error) {
	if max < 0 || max > mostRegions {
		return nil, fmt.Errorf("live core image: for %d regions, at most %d are possible", max, mostRegions)
	}
	me, err := self.Inspect()
	if err != nil {
		return nil, fmt.Errorf("live core image: %w", err)
	}
	thread := self.CallingThread()
	proc := elfcore.Process{
		SName: 'R', UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid()),
		PPID: thread.PPID, PGRP: thread.PGRP, SID: thread.SID, Name: filepath.Base(me.Path), Args: filepath.Base(me.Path),
	}
	capture := note.Capture{
		Why: "kept ready for an agent", When: time.Now(), Who: "coreimage.Live", GoVersion: runtime.Version(), BuildID: me.GoBuildID,
		GNUBuildID: me.GNUBuildID, Program: me.Path, Main: describe.MainPackage(), Host: me.Host, Kernel: me.Kernel, PID: os.Getpid(), Strict: true,
	}
	l := &Image{max: max, me: me, notes: []elfcore.Note{
		thread.Note(), proc.Note(), elfcore.AuxvNote(me.Auxv), elfcore.FileNote(me.Files),
		{Name: note.Owner, Type: note.TypeCapture, Desc: capture.Encode()},
	}}
	// Room for the worst case: each region split in two by an earlier one and
	// apart from the others, with 512 bytes of names.
	var fixed int
	for _, n := range l.notes {
		fixed += len(elfcore.AppendNote(nil, n))
	}
	var data uint64
	for _, r := range me.Writable {
		data += r.Len()
	}
	block := elfcore.BlockFor(data)
	programs := 8 + 4*max + 2*len(me.Writable) + int(data/block) + 256
	l.header = make([]byte, 64+56*programs+fixed+64+(96+512)*max+int(block))
	l.static = describe.Static().Bytes()
	l.info = make([]byte, len(l.static)+64+256*max)
	return l, l.rebuild()
}

// Name is "coreimage".
func (l *Image) Name() string { return "coreimage" }

// Announce registers the head and vmcoreinfo as regions 1 and 2, for those who
// walk the regions. Withdraw takes them back.
func (l *Image) Announce() {
	l.mu.Lock()
	head, info := l.header[:l.used], l.info[:l.infoLen]
	l.mu.Unlock()
	// A full registry is no reason not to keep the image.
	_ = registry.AddBuiltin(anchor.IDELFHeader, "ELF", head)
	_ = registry.AddBuiltin(anchor.IDVMCoreInfo, "vmcoreinfo", info)
}

// Withdraw undoes Announce.
func (l *Image) Withdraw() {
	registry.RemoveAll([]uint64{anchor.IDELFHeader, anchor.IDVMCoreInfo})
}

// Places returns what an agent copies, in order: the head, vmcoreinfo, the
// regions.
func (l *Image) Places() []Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Place{
		{anchor.IDELFHeader, "ELF", address(l.header), uint64(l.used)},
		{anchor.IDVMCoreInfo, "vmcoreinfo", address(l.info), uint64(l.infoLen)},
	}
	for _, p := range l.placed {
		out = append(out, Place{p.ID, p.Name, p.Addr, p.Size})
	}
	return out
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// RegisterRegion adds a region to the image.
func (l *Image) RegisterRegion(r registry.Region) error {
	if id := r.ID; id == anchor.IDELFHeader || id == anchor.IDVMCoreInfo {
		return nil // they come first in any case
	}
	if r.Kind == anchor.SlotWeak {
		return ErrWeak
	}
	p := placed{part: r.Part, Region: note.Region{
		ID: r.ID, Addr: uint64(r.Addr()), Size: r.Size, Captured: r.Size, TypeAddr: uint64(r.TypeAddr()), Budget: r.Budget,
		Order: r.Order, Kind: r.Kind, Flags: r.Flags, Depth: int32(r.Depth),
		Name: short(r.Name), Expr: short(r.Expr), Package: short(r.Package), Pos: short(r.Pos),
	}}
	if t := r.Type(); t != nil {
		p.Type = short(t.String())
	}
	if p.Name == "" {
		p.Name = registry.FormatID(r.ID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.placed) == l.max {
		return fmt.Errorf("%w: it was made for %d", ErrFull, l.max)
	}
	l.placed = append(l.placed, p)
	if err := l.rebuild(); err != nil {
		l.placed = l.placed[:len(l.placed)-1]
		return err
	}
	return nil
}

// short keeps names within the room that New set aside.
func short(s string) string { return s[:min(len(s), 96)] }

// UnregisterRegion takes a region out of the image; later ones move up. It goes
// by ID and registration, never by address: two regions may cover the same
// memory.
func (l *Image) UnregisterRegion(r registry.Region) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := uint64(r.Addr())
	i := slices.IndexFunc(l.placed, func(p placed) bool {
		return p.ID == r.ID && p.Order == r.Order && p.part == r.Part && p.Addr == addr
	})
	if i < 0 {
		return nil // 1, 2 and what was refused
	}
	l.placed = slices.Delete(l.placed, i, i+1)
	return l.rebuild()
}

// rebuild writes the head anew, in one copy, and vmcoreinfo. It changes nothing
// when they do not fit.
func (l *Image) rebuild() error {
	info := elfcore.AppendNote(nil, elfcore.VMCoreInfoNote(l.vmcoreinfo()))
	table := make([]note.Region, len(l.placed))
	for i := range l.placed {
		table[i] = l.placed[i].Region
	}
	notes := slices.Clone(l.notes)
	notes = append(notes, elfcore.Note{Name: note.Owner, Type: note.TypeRegions, Desc: note.EncodeRegions(table)})
	head := elfcore.Head{Machine: self.Machine, Notes: notes, After: []elfcore.Piece{{Notes: true, Size: uint64(len(info))}}}
	var covered []elfcore.Range
	for _, r := range table {
		mine := elfcore.Range{Start: r.Addr, End: r.Addr + r.Size}
		head.After = append(head.After, elfcore.Piece{Addr: r.Addr, Size: r.Size, Load: elfcore.Subtract([]elfcore.Range{mine}, covered)})
		covered = insert(covered, mine)
	}
	head.Marked = elfcore.Subtract(elfcore.Merge(l.me.Writable, 0), covered)
	b := head.Bytes()
	if len(b) > len(l.header) || len(info) > len(l.info) {
		return fmt.Errorf("%w: head of %d bytes and vmcoreinfo of %d", ErrFull, len(b), len(info))
	}
	before := l.used
	l.used = copy(l.header, b)
	for i := l.used; i < before; i++ {
		l.header[i] = 0
	}
	l.infoLen = copy(l.info, info)
	return nil
}

// insert adds r to ranges that are sorted and apart, and leaves them so.
func insert(rs []elfcore.Range, r elfcore.Range) []elfcore.Range {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].End >= r.Start })
	j := i
	for j < len(rs) && rs[j].Start <= r.End {
		r.Start, r.End = min(r.Start, rs[j].Start), max(r.End, rs[j].End)
		j++
	}
	return slices.Replace(rs, i, j, r)
}

// vmcoreinfo has the image's regions, not the registry's: that cannot be walked
// while a backend is told of a change.
func (l *Image) vmcoreinfo() []byte {
	var text format.Text
	for i := range l.placed {
		name := l.placed[i].Name
		if l.placed[i].Package != "" {
			name = l.placed[i].Package + "." + l.placed[i].Expr
		}
		text.Symbol(name, l.placed[i].Addr)
	}
	return append(slices.Clone(l.static), text.Bytes()...)
}
