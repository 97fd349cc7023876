//go:build linux && (amd64 || arm64)

package coreimage

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// plan decides the content of the core; it does not read the regions' memory.
func plan(opts []Option) (*image, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	c := &image{
		read:   self.Read,
		direct: readDirectly,
		keys:   newKeys(),
	}
	c.Machine = self.Machine
	describe.Register()
	c.collect()
	// The program may map more memory at any time. The regions' memory is already
	// kept alive here.
	me, err := self.Inspect()
	if err != nil {
		return nil, err
	}
	unreadable := unreadable(c.regions, me.Readable)
	absent := absent(unreadable)
	c.holes = elfcore.Subtract(absent, c.redacted)
	var data []elfcore.Range
	switch {
	case o.strict:
		data = []elfcore.Range{me.GoroutineCount()}
	case o.data && !registry.HasExclusions():
		data = me.Writable
	default:
		data = c.runtimeVariables(me.Bias)
	}
	data = append(slices.Clone(data), me.FirstPage())
	if o.data && !o.strict && registry.HasExclusions() {
		for _, r := range me.Writable {
			c.receipts = append(c.receipts, note.Receipt{Addr: r.Start, Size: r.Len(), Reason: note.ReasonUnknownType, Count: 1, Rule: "exclusions exist: only memory of known type is captured"})
		}
	}
	without := elfcore.Merge(slices.Concat(c.redacted, absent), 0)
	spans := spans(c.regions, data, without, c.seams)
	block := uint64(0)
	variables := self.GoVariables()
	for i := range spans {
		s := &spans[i]
		s.own = s.ownMemory(me.Readable, variables)
		block = max(block, min(s.Len(), blockSize))
	}
	c.a = newBlock(block)
	captured := c.segments(spans)
	// Mark redacted memory wherever it is, so that no debugger looks for it
	// elsewhere.
	cover := append(slices.Clone(me.Writable), c.redacted...)
	c.Segments = slices.Concat(captured, elfcore.Mark(cover, captured))
	c.Notes = c.notes(me, &o, c.markedSize(len(unreadable)))
	return c, nil
}

func (c *image) notes(me *self.Process, o *options, markedSize int) []elfcore.Note {
	thread := self.CallingThread()
	proc := elfcore.Process{
		SName: 'R', UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		PID: int32(os.Getpid()), PPID: thread.PPID, PGRP: thread.PGRP, SID: thread.SID,
		Name: filepath.Base(me.Path), Args: filepath.Base(me.Path),
	}
	if o.args {
		proc.Args = strings.Join(os.Args, " ")
	}
	capture := &note.Capture{
		Why: o.why, When: time.Now(), Who: "coreimage.Write", GoVersion: runtime.Version(),
		BuildID: me.BuildIDs.Go, GNUBuildID: me.BuildIDs.GNU, Program: me.Path, Main: describe.MainPackage(), Host: me.Host, Kernel: me.Kernel,
		PID: os.Getpid(), Strict: o.strict, Extra: describe.Tags(),
	}
	if capture.Why == "" {
		capture.Why = "asked"
	}
	plain := make([]note.Region, len(c.regions))
	for i := range plain {
		plain[i] = c.regions[i].Region
	}
	notes := []elfcore.Note{
		thread.Note(),
		proc.Note(),
		elfcore.AuxvNote(me.Auxv),
		elfcore.FileNote(me.Files),
		elfcore.VMCoreInfoNote(describe.Text()),
		{Name: note.Owner, Type: note.TypeTypes, Desc: note.EncodeTypes(c.types.List)},
		{Name: note.Owner, Type: note.TypeCapture, Desc: capture.Encode()},
		{
			Name: note.Owner, Type: note.TypeRegions, LateSize: len(note.EncodeRegions(plain)),
			Late: func() ([]byte, error) { return note.EncodeRegions(c.finish()), nil },
		},
		{
			Name: note.Owner, Type: note.TypeMarked, LateSize: markedSize,
			Late: func() ([]byte, error) { return c.marked(markedSize), nil },
		},
	}
	if constants := describe.Constants(); len(constants) > 0 {
		notes = append(notes, elfcore.Note{Name: note.Owner, Type: note.TypeConstants, Desc: note.EncodeConstants(constants)})
	}
	if len(c.receipts) > 0 {
		notes = append(notes, elfcore.Note{Name: note.Owner, Type: note.TypeReceipts, Desc: note.EncodeReceipts(c.receipts)})
	}
	return notes
}

// runtimeVariables returns variables of the Go runtime that reveal no program
// data and that Delve always reads. The last text that the runtime printed becomes a
// region. In a stripped program no variable is found, and Delve looks for none.
func (c *image) runtimeVariables(bias uint64) []elfcore.Range {
	var ranges []elfcore.Range
	for name, r := range self.Variables(bias) {
		if name != self.Backlog {
			ranges = append(ranges, r)
			continue
		}
		// The printed text has no type that shows whether it is secret. Which goroutines
		// run under package runtime/secret is unknown here.
		if !registry.HasExclusions() && !strings.Contains(runtime.Version(), "runtimesecret") {
			c.regions = append(c.regions, region{Region: note.Region{
				ID: anchor.IDBacklog, Name: name, Addr: r.Start, Size: r.Len(), Kind: anchor.SlotString,
			}})
		}
	}
	return ranges
}
