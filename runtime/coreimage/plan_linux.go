//go:build linux && (amd64 || arm64)

package coreimage

import (
	"hash/maphash"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// plan decides what stands in the core; nothing of the regions is read yet.
func plan(opts []Option) (*image, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	self, err := inspectSelf()
	if err != nil {
		return nil, err
	}
	c := &image{
		a:    make([]byte, blockSize),
		b:    make([]byte, blockSize),
		seed: maphash.MakeSeed(),
		read: readMemory,
	}
	c.Machine = machine
	c.collect()
	var data []elfcore.Range
	switch {
	case o.strict:
	case o.data && !meminspect.HasExclusions():
		data = self.writable
	default:
		data = runtimeVariables(self.bias)
	}
	if o.data && !o.strict && meminspect.HasExclusions() {
		for _, r := range self.writable {
			c.receipts = append(c.receipts, note.Receipt{Addr: r.Start, Size: r.Len(), Reason: note.ReasonUnknownType, Count: 1, Rule: "exclusions stand: only what has a type is captured"})
		}
	}
	captured := c.segments(spans(c.regions, data, c.erased))
	// What is erased is marked wherever it lies, so that no debugger looks for
	// it elsewhere.
	cover := append(slices.Clone(self.writable), c.erased...)
	c.Segments = append(captured, elfcore.Mark(cover, captured)...)
	c.Notes = c.notes(self, &o)
	return c, nil
}

func (c *image) notes(self *self, o *options) []elfcore.Note {
	thread := callingThread()
	proc := elfcore.Process{
		SName: 'R', UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		PID: int32(os.Getpid()), PPID: thread.PPID, PGRP: thread.PGRP, SID: thread.SID,
		Name: filepath.Base(self.exe), Args: filepath.Base(self.exe),
	}
	if o.args {
		proc.Args = strings.Join(os.Args, " ")
	}
	capture := &note.Capture{
		Why: o.why, When: time.Now(), Who: "coreimage.Write", GoVersion: runtime.Version(),
		BuildID: self.goBuildID, GNUBuildID: self.gnuBuildID, Program: self.exe, Host: self.host, Kernel: self.kernel,
		PID: os.Getpid(), Strict: o.strict,
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
		elfcore.AuxvNote(self.auxv),
		elfcore.FileNote(self.files),
		elfcore.VMCoreInfoNote(c.vmcoreinfo(self)),
		{Name: note.Owner, Type: note.TypeCapture, Desc: capture.Encode()},
		{
			Name: note.Owner, Type: note.TypeRegions, LateSize: len(note.EncodeRegions(plain)),
			Late: func() ([]byte, error) { return note.EncodeRegions(c.finish()), nil },
		},
	}
	if len(c.receipts) > 0 {
		notes = append(notes, elfcore.Note{Name: note.Owner, Type: note.TypeReceipts, Desc: note.EncodeReceipts(c.receipts)})
	}
	return notes
}

func (c *image) vmcoreinfo(self *self) []byte {
	var t vmcoreinfo.Text
	t.Field("OSRELEASE", self.kernel)
	t.Field("BUILD-ID", self.gnuBuildID)
	t.Field("PAGESIZE", strconv.Itoa(syscall.Getpagesize()))
	t.Field("GOVERSION", runtime.Version())
	t.Field("GOOS", runtime.GOOS)
	t.Field("GOARCH", runtime.GOARCH)
	for i := range c.regions {
		r := &c.regions[i]
		if r.Addr == 0 {
			continue
		}
		name := r.Name
		if r.Package != "" {
			name = r.Package + "." + r.Expr
		}
		t.Symbol(name, r.Addr)
	}
	return t.Bytes()
}
