//go:build linux && (amd64 || arm64)

package liveimage

import (
	"bytes"
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

// An Image is the head of a core in memory: a Backend. Its head has the ELF
// header, the program headers and notes. vmcoreinfo has one more note, the
// block that marks memory that is not captured, and copies of the executable's
// first page and of the number of goroutines: without them no other tool
// recognizes the program, and Delve counts goroutines without end. A head, vmcoreinfo and the
// regions' memory, in the order of Places and rounded up to 4, form a core.
//
// There are two heads, each with its vmcoreinfo. A change modifies the one that
// Places does not return, which then becomes the current one. A reader of the
// other one still has a valid head until the next change.
type Image struct {
	mu      sync.Mutex
	max     int
	me      *self.Process
	notes   []elfcore.Note // constant notes
	copies  []elfcore.Copy // of memory that is no region
	heads   [2]head
	current int    // index of the head that is valid
	static  []byte // vmcoreinfo without the regions
	placed  []placed
	covered []elfcore.Range // by placed; sorted, without overlaps
	named   map[string]bool // symbols of placed
	types   describe.Types  // of all regions that were placed
	layout  int             // counts changes that require a new head
}

// A head is memory with a fixed address, with room for all regions. It is laid
// out with room for twice its regions, so that one more only extends it, and
// registering n regions takes O(n) time.
type head struct {
	elf, info         []byte
	elfSize, infoSize int
	layout            int               // the layout that it was built for
	placed            int               // number of regions in it
	table             *note.RegionTable // in elf
	spare             int               // unused program headers
	text, textEnd     int               // end of vmcoreinfo's text in info, and of the room for it
	end               uint64            // file offset of the next piece
}

// markedRoom is the room for an agent that knows the format to list what it could
// not read.
const markedRoom = 640

// typesRoom is the room reserved for descriptions of types.
const typesRoom = 256 << 10

// maxRegions is the maximum number of registered regions.
const maxRegions = 1 << 20

// A Place is where an agent finds one of the files.
type Place struct {
	ID   uint64
	Name string
	Addr uint64
	Size uint64 // true size; the file's size is rounded up to 4
}

type placed struct {
	note.Region
	part   int
	symbol describe.Symbol
	load   []elfcore.Range // the parts that no earlier region covers
	lines  []byte          // of vmcoreinfo
}

// New makes the head of a core image for at most limit regions. It contains the
// caller's registers.
func New(limit int) (*Image, error) {
	if limit < 0 || limit > maxRegions {
		return nil, fmt.Errorf("live core image: for %d regions, at most %d are possible", limit, maxRegions)
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
		Why: "kept ready for an agent", When: time.Now(), Who: "coreimage.Live", GoVersion: runtime.Version(), BuildID: me.BuildIDs.Go,
		GNUBuildID: me.BuildIDs.GNU, Program: me.Path, Main: describe.MainPackage(), Host: me.Host, Kernel: me.Kernel, PID: os.Getpid(), Strict: true,
		Extra: describe.Tags(),
	}
	l := &Image{max: limit, me: me, layout: 1, named: map[string]bool{}, notes: []elfcore.Note{
		thread.Note(), proc.Note(), elfcore.AuxvNote(me.Auxv), elfcore.FileNote(me.Files),
		{Name: note.Owner, Type: note.TypeCapture, Desc: capture.Encode()},
		{Name: note.Owner, Type: note.TypeMarked, Desc: append(note.EncodeMarked(nil), make([]byte, markedRoom)...)},
	}}
	if constants := describe.Constants(); len(constants) > 0 {
		l.notes = append(l.notes, elfcore.Note{Name: note.Owner, Type: note.TypeConstants, Desc: note.EncodeConstants(constants)})
	}
	for _, r := range []elfcore.Range{me.FirstPage(), me.GoroutineCount()} {
		data := make([]byte, r.Len()&^3)
		if data = data[:self.Read(data, r.Start)&^3]; len(data) > 0 {
			l.copies = append(l.copies, elfcore.Copy{Addr: r.Start, Data: data})
		}
	}
	// Reserve room for the worst case: an earlier region splits each region in
	// two, regions do not touch, and each has 512 bytes of names.
	var fixed int
	for _, n := range l.notes {
		fixed += len(elfcore.AppendNote(nil, n))
	}
	var data uint64
	for _, r := range me.Writable {
		data += r.Len()
	}
	block := elfcore.BlockFor(data)
	copies := 0
	for _, c := range l.copies {
		copies += len(c.Data)
	}
	programs := 8 + 2*len(l.copies) + 4*limit + 2*len(me.Writable) + int(data/block) + 256
	l.static = describe.Static().Bytes()
	for i := range l.heads {
		l.heads[i].elf = make([]byte, 64+56*programs+fixed+64+(96+512)*limit+typesRoom)
		l.heads[i].info = make([]byte, len(l.static)+64+320*limit+int(block)+8+copies)
	}
	l.covered = l.copied()
	return l, l.update()
}

// Name returns "coreimage".
func (l *Image) Name() string { return "coreimage" }

// Places returns the memory for an agent to copy, in order: the head,
// vmcoreinfo, the regions.
func (l *Image) Places() []Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	head := l.head()
	out := head[:]
	for _, p := range l.placed {
		out = append(out, Place{p.ID, p.Name, p.Addr, p.Size})
	}
	return out
}

// Head returns the first two of Places: the head and vmcoreinfo.
func (l *Image) Head() [2]Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head()
}

func (l *Image) head() [2]Place {
	h := &l.heads[l.current]
	return [2]Place{
		{anchor.IDELFHeader, "ELF", address(h.elf), uint64(h.elfSize)},
		{anchor.IDVMCoreInfo, "vmcoreinfo", address(h.info), uint64(h.infoSize)},
	}
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// RegisterRegion adds a region to the image.
func (l *Image) RegisterRegion(r registry.Region) error {
	if id := r.ID; id == anchor.IDELFHeader || id == anchor.IDVMCoreInfo {
		return nil // they are first in any case
	}
	if r.Kind == anchor.SlotWeak {
		return ErrWeak
	}
	p := placed{part: r.Part, symbol: describe.SymbolOf(&r), Region: note.Region{
		Status: describe.StatusOf(&r) | describe.LeadsOf(&r).ByType(), // an agent copies the values later
		ID:     r.ID, Addr: uint64(r.Addr()), Size: r.Size, Captured: r.Size, TypeAddr: uint64(r.TypeAddr()), Budget: r.Budget,
		Order: r.Order, Kind: r.Kind, Flags: r.Flags, Depth: int32(r.Depth),
		Name: short(r.Name), Expr: short(r.Expr), Package: short(r.Package), Pos: short(r.Pos),
	}}
	t := r.Type()
	if t != nil {
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
	if t != nil && l.types.Add(t) {
		l.layout++
	}
	l.place(&p)
	l.placed = append(l.placed, p)
	if err := l.update(); err != nil {
		l.placed = l.placed[:len(l.placed)-1]
		l.replace()
		return err
	}
	return nil
}

// short truncates names to the room that New reserved.
func short(s string) string { return s[:min(len(s), 96)] }

// UnregisterRegion removes a region from the image; later ones move up. It
// compares ID and registration, not addresses: two regions may cover the same
// memory.
func (l *Image) UnregisterRegion(r registry.Region) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := uint64(r.Addr())
	i := slices.IndexFunc(l.placed, func(p placed) bool {
		return p.ID == r.ID && p.Order == r.Order && p.part == r.Part && p.Addr == addr
	})
	if i < 0 {
		return nil // regions 1 and 2, and refused ones
	}
	l.placed = slices.Delete(l.placed, i, i+1)
	l.replace()
	return l.update()
}

// place determines the parts of a region that no earlier one covers.
func (l *Image) place(p *placed) {
	mine := []elfcore.Range{{Start: p.Addr, End: p.Addr + p.Size}}
	p.load = elfcore.Subtract(mine, elfcore.Overlapping(l.covered, mine[0]))
	l.covered = insert(l.covered, mine[0])
	if len(elfcore.Overlapping(l.me.Writable, mine[0])) > 0 {
		l.layout++ // it is no longer marked
	}
	var text format.Text
	if !l.named[p.symbol.Name] {
		l.named[p.symbol.Name] = true
		p.symbol.Put(&text)
	}
	p.lines = text.Bytes()
}

// replace places all regions again after one was removed.
func (l *Image) replace() {
	l.covered, l.named = l.copied(), map[string]bool{}
	l.layout++
	for i := range l.placed {
		l.place(&l.placed[i])
	}
}

// copied returns the memory that the image has copies of.
func (l *Image) copied() (ranges []elfcore.Range) {
	for _, c := range l.copies {
		ranges = append(ranges, elfcore.Range{Start: c.Addr, End: c.Addr + uint64(len(c.Data))})
	}
	return elfcore.Merge(ranges, 0)
}

// update brings the other head up to date and makes it the current one. It
// changes nothing if there is no room.
func (l *Image) update() error {
	h := &l.heads[1-l.current]
	if h.layout != l.layout || !h.extend(l.placed[h.placed:]) {
		if err := l.rebuild(h); err != nil {
			h.layout = 0
			return err
		}
	}
	l.current = 1 - l.current
	return nil
}

// extend adds regions to a head. It reports false if there is no room; the head
// is then unusable.
func (h *head) extend(regions []placed) bool {
	for i := range regions {
		p := &regions[i]
		if h.text+len(p.lines) > h.textEnd || !h.table.Append(&p.Region) ||
			!elfcore.AddPiece(h.elf[:h.elfSize], elfcore.Piece{Addr: p.Addr, Size: p.Size, Load: p.load}, h.end, h.spare) {
			return false
		}
		h.spare -= len(p.load)
		h.text += copy(h.info[h.text:], p.lines)
		h.end += (p.Size + 3) &^ 3
		h.placed++
	}
	return true
}

// rebuild writes a head from scratch, with room for twice the regions if that
// fits.
func (l *Image) rebuild(h *head) error {
	if l.lay(h, max(16, len(l.placed))) || l.lay(h, 0) {
		return nil
	}
	return fmt.Errorf("%w: %d regions, with their names", ErrFull, len(l.placed))
}

// lay writes a head with room for more further regions. It reports false if
// that does not fit.
func (l *Image) lay(h *head, more int) bool {
	texts, loads, lines := 0, 0, len(l.static)
	for i := range l.placed {
		p := &l.placed[i]
		for _, s := range []string{p.Name, p.Expr, p.Package, p.Type, p.Pos, p.Note} {
			texts += 4 + len(s)
		}
		loads += len(p.load)
		lines += len(p.lines)
	}
	regions := len(l.placed) + more
	table := make([]byte, note.RegionTableSize(regions, texts+64*more))
	note.NewRegionTable(table, regions)
	info := elfcore.AppendNote(nil, elfcore.VMCoreInfoNote(append(slices.Clone(l.static), make([]byte, (lines+64*more-len(l.static)+3)&^3)...)))
	image := elfcore.Head{
		Machine: self.Machine,
		Notes: append(slices.Clone(l.notes), elfcore.Note{Name: note.Owner, Type: note.TypeTypes, Desc: note.EncodeTypes(l.types.List)},
			elfcore.Note{Name: note.Owner, Type: note.TypeRegions, Desc: table}),
		More:   uint64(len(info)),
		Marked: elfcore.Subtract(elfcore.Merge(l.me.Writable, 0), l.covered),
		Copies: l.copies,
		Spare:  loads + more,
	}
	b, block := image.Bytes()
	h.textEnd = len(info)
	info = append(info, bytes.Repeat([]byte{elfcore.MarkByte}, int(block))...)
	for _, c := range l.copies {
		info = append(info, c.Data...)
	}
	if len(b) > len(h.elf) || len(info) > len(h.info) {
		return false
	}
	h.elfSize, h.infoSize = copy(h.elf, b), copy(h.info, info)
	at := h.elfSize - (len(table)+3)&^3
	h.table = note.NewRegionTable(h.elf[at:at+len(table)], regions)
	h.text = bytes.Index(info, l.static) + len(l.static)
	h.end = uint64(h.elfSize + h.infoSize)
	h.layout, h.placed, h.spare = l.layout, 0, image.Spare
	return h.extend(l.placed)
}

// insert adds r to sorted ranges without overlaps, and keeps them so.
func insert(rs []elfcore.Range, r elfcore.Range) []elfcore.Range {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].End >= r.Start })
	j := i
	for j < len(rs) && rs[j].Start <= r.End {
		r.Start, r.End = min(r.Start, rs[j].Start), max(r.End, rs[j].End)
		j++
	}
	return slices.Replace(rs, i, j, r)
}
