// Package locate finds out what program a process runs: its executable, the
// data of its modules, its runtime types, and its annotations and exclusions.
// The program keeps running.
package locate

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gcstats"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/walk"
)

// ErrNotGo is wrapped by errors about a process that is not a readable Go
// program.
var ErrNotGo = errors.New("not a Go program that can be read")

// A Program is a Go program, with the facts that are known before it is
// stopped.
type Program struct {
	Source   Source
	Identity model.Identity
	Maps     []process.Mapping
	Binary   Binary
	Symbols  Symbols
	Runtime  Runtime
	Types    Types
	Stacks   Stacks
	Marks    Marks
	Problems model.Problems

	// Code returns the calls at addresses. It reads files, because the program may
	// have ended.
	Code *module.Code

	debug debugReads
}

// Types are the program's types, and a record of the memory that they were read
// from.
type Types struct {
	*gotypes.Set
	Reads *walk.Trace
}

// A Runtime describes the program's copy of the Go runtime.
type Runtime struct {
	*module.Program
	Home      Binary // the file with it: the executable, or a shared library of a C program
	Goroutine goroutine.Layout
	Cells     goroutine.Cells // of the list of all goroutines
	CellsErr  error           // why the cells were not found
	Counters  gcstats.Place
	heap      func() (heap.Place, error)
	Cgo       bool // C code runs in the program

	// Variables is the memory of the runtime's own variables, as far as there are
	// symbols. Private is that of variables that no core has, Printed that of the last
	// text that was printed.
	Variables, Private, Printed memory.Ranges
}

// Heap returns where the heap's spans are. It searches on the first call.
func (r *Runtime) Heap() (heap.Place, error) { return r.heap() }

// Locate finds the program of a source. It returns [ErrNotGo] if that is not a
// readable Go program.
func Locate(source Source, opts *model.Options) (*Program, error) {
	p := &Program{Source: source}
	if err := p.findBinary(); err != nil {
		return nil, err
	}
	if err := p.findRuntime(); err != nil {
		return nil, err
	}
	if err := p.findSymbols(opts); err != nil {
		return nil, err
	}
	p.findEmbedded()
	p.Runtime.Variables, p.Runtime.Private, p.Runtime.Printed = p.Symbols.runtimeVariables(p.Identity.Data)
	p.Runtime.Cgo = p.usesCgo()
	p.Types.Reads = walk.NewTrace(p.Binary.Memory)
	p.Types.Set = gotypes.New(p.Types.Reads, p.Runtime.Program)
	p.findMarks(len(opts.Include) > 0)
	p.Runtime.Cells, p.Runtime.CellsErr = goroutine.Find(p.Runtime.Program, p.Symbols.Address)
	p.Runtime.heap = sync.OnceValues(func() (heap.Place, error) { return heap.FindPlace(p.Runtime.Program, p.Symbols.Address) })
	if p.Marks.excludes() {
		_, _ = p.Runtime.Heap() // before anything stops
	}
	p.Runtime.Counters = gcstats.Find(p.Runtime.Program, p.Symbols.Address)
	p.Identity.Layouts = p.Marks.layouts()
	p.Identity.Constants = p.constants()
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
		if source, ok := p.Source.(librarian); ok {
			if missing := source.MissingLibrary(); missing != nil {
				return fmt.Errorf("%w: its Go code is in a shared library that cannot be read: %w", ErrNotGo, missing)
			}
		}
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

// identify reads the facts about the process from the source. After its release
// the process may be dead, and the kernel reports nothing about it.
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
		id.Build.Info = buildSettings(info, args)
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

// buildSettings returns the build information as text. Linker flags set
// variables to strings, which may be as secret as arguments: without args their
// values are omitted.
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

// Outline returns the facts about a process that may not be read or is not a
// readable Go program. It fails only if the process has ended.
func Outline(source Source) (model.Identity, []process.Mapping, error) {
	id := model.Identity{PID: source.PID(), Machine: source.Machine()}
	var err error
	if id.Stat, err = source.Stat(); err != nil {
		return id, nil, err
	}
	id.Path = id.Stat.Name
	// All of the following may be forbidden.
	id.Auxv, _ = source.Auxv()
	maps, _ := source.Maps()
	if file, name, path, err := source.Executable(); err == nil {
		if b, err := place(file, path, name, maps); err == nil {
			id.Files, id.Data = b.Files, b.data(maps)
		}
	}
	return id, maps, nil
}
