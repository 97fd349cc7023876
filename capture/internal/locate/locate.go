// Package locate finds out what program a process runs: its executable, the
// data of its modules, its runtime types, and what is annotated and excluded in
// it. The program runs on meanwhile.
package locate

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gcstats"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/walk"
)

// ErrNotGo is wrapped by the errors about a process that is not a Go program
// that can be read.
var ErrNotGo = errors.New("not a Go program that can be read")

// A Program is a Go program, with what can be known about it before it is
// stopped.
type Program struct {
	Source   Source
	Identity model.Identity
	Maps     []process.Mapping
	Binary   Binary
	Symbols  Symbols
	Runtime  Runtime
	Stacks   Stacks
	Marks    Marks
	Problems model.Problems

	// Types are the program's. TypeReads knows which memory they were read from.
	Types     *gotypes.Set
	TypeReads *walk.Trace

	// Code has the calls at addresses, from files: the program may be gone.
	Code *module.Code

	debug        *debugTypes // as they are asked for
	closures     *debuginfo.Closures
	closuresRead bool
}

// A Runtime is how the program's copy of the Go runtime is laid out.
type Runtime struct {
	*module.Program
	Goroutine goroutine.Layout
	Cells     goroutine.Cells // of the list of all goroutines
	CellsErr  error           // why that was not found
	Counters  gcstats.Place
	Heap      heap.Place
	HeapErr   error // why that was not found
	Cgo       bool  // C code runs in the program

	// Variables is where the runtime's own variables are, as far as there are
	// symbols.
	Variables memory.Ranges
}

// Locate finds the program of a source. It fails with [ErrNotGo] if that is not
// a Go program that can be read.
func Locate(source Source, opts *model.Options) (*Program, error) {
	p := &Program{Source: source}
	if err := p.findBinary(); err != nil {
		return nil, err
	}
	if err := p.findRuntime(); err != nil {
		return nil, err
	}
	if err := p.findSymbols(opts.Symbols); err != nil {
		return nil, err
	}
	p.findEmbedded()
	p.Runtime.Variables = p.Symbols.runtimeVariables(p.Identity.Data)
	p.Runtime.Cgo = p.usesCgo()
	p.TypeReads = walk.NewTrace(p.Binary.Memory)
	p.Types = gotypes.New(p.TypeReads, p.Runtime.Program)
	p.findMarks(len(opts.Include) > 0)
	p.Runtime.Cells, p.Runtime.CellsErr = goroutine.Find(p.Runtime.Program, p.Symbols.Address)
	if p.Marks.excludes() {
		p.Runtime.Heap, p.Runtime.HeapErr = heap.FindPlace(p.Runtime.Program, p.Symbols.Address)
	}
	p.Runtime.Counters = gcstats.Find(p.Runtime.Program, p.Symbols.Address)
	p.Identity.Layouts = p.Marks.layouts()
	if err := p.identify(opts.Args); err != nil {
		return nil, err
	}
	p.findStacks()
	return p, nil
}

// findBinary finds the executable file and where it was loaded.
func (p *Program) findBinary() error {
	var err error
	if p.Maps, err = p.Source.Maps(); err != nil {
		return err
	}
	file, name, path, err := p.Source.Executable()
	if err != nil {
		if errors.Is(err, exe.ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrNotGo, err)
		}
		return err
	}
	if p.Binary, err = place(file, path, name, p.Maps); err != nil {
		return err
	}
	p.Binary.splice(p.Maps, p.Source.Memory())
	p.Identity.Path = strings.TrimSuffix(name, " (deleted)")
	p.Identity.Files = p.Binary.Files
	p.Identity.Data = p.Binary.data(p.Maps)
	return nil
}

// findRuntime finds the data of the Go runtime.
func (p *Program) findRuntime() error {
	prog, err := module.OfImage(p.Binary.Image, p.Binary.Memory)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	p.Runtime.Program = prog
	if prog.Incomplete != nil {
		p.Problems.Missing("modules", prog.Incomplete)
	}
	p.findCode()
	if p.Runtime.Goroutine, err = goroutine.LayoutOf(prog.Version); err != nil {
		return fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	p.Identity.GoVersion = prog.Version.Text
	p.Identity.BuildID, p.Identity.GNUBuildID = p.Binary.File.BuildIDs()
	if prog.BuildInfo != nil {
		p.Identity.Main = prog.BuildInfo.Path
		if p.Identity.Module = prog.BuildInfo.Main.Path; prog.BuildInfo.Main.Version != "" {
			p.Identity.Module += "@" + prog.BuildInfo.Main.Version
		}
	}
	return nil
}

// identify asks the source about the process. Once the process is released it
// may be dead, and the kernel tells nothing about it.
func (p *Program) identify(args bool) error {
	id := &p.Identity
	id.PID, id.Machine, id.Host = p.Source.PID(), p.Source.Machine(), p.Source.Host()
	var err error
	if id.Stat, err = p.Source.Stat(); err != nil {
		return err
	}
	if id.Auxv, err = p.Source.Auxv(); err != nil {
		p.Problems.Missing("auxiliary vector", err)
	}
	if info := p.Runtime.BuildInfo; info != nil {
		id.BuildInfo = buildSettings(info, args)
	}
	if args {
		words, err := p.Source.Args()
		if err != nil {
			p.Problems.Missing("arguments", err)
		}
		id.Args = strings.Join(words, " ")
	}
	return nil
}

// buildSettings returns the build information as text. Linker flags set variables to
// texts, which may be secret as arguments may: without args their values are left out.
func buildSettings(info *debug.BuildInfo, args bool) string {
	kept := *info
	if !args {
		kept.Settings = slices.Clone(info.Settings)
		for i := range kept.Settings {
			if kept.Settings[i].Key == "-ldflags" {
				kept.Settings[i].Value = "(left out)"
			}
		}
	}
	return kept.String()
}

// Outline returns what is known about a process that may not be read or is not
// a Go program that can be read. It fails only if the process is gone.
func Outline(source Source) (model.Identity, []process.Mapping, error) {
	id := model.Identity{PID: source.PID(), Machine: source.Machine()}
	var err error
	if id.Stat, err = source.Stat(); err != nil {
		return id, nil, err
	}
	id.Path = id.Stat.Name
	// All that follows may be forbidden.
	id.Auxv, _ = source.Auxv()
	maps, _ := source.Maps()
	if file, name, path, err := source.Executable(); err == nil {
		if b, err := place(file, path, name, maps); err == nil {
			id.Files, id.Data = b.Files, b.data(maps)
		}
	}
	return id, maps, nil
}
