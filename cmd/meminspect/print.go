package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func printCommand() *cobra.Command {
	var exe string
	var asJSON bool
	var limits value.Limits
	format := value.Format{Explain: true}
	var types bool
	cmd := &cobra.Command{
		Use:   "print CORE [NAME|PATH…]",
		Short: "Print the values of a core's regions",
		Long: `Print the values in a core, in Go syntax, by the runtime types of the program:
neither symbols nor debug information are needed. Without a NAME all regions are
printed except the project's own, such as the log (meminspect log) and vmcoreinfo
(meminspect info --vmcoreinfo). A NAME is that of a region, its variable (queue, main.queue,
example.com/shop.queue) or its ID; * and ? match as in a shell.

A PATH is a Go expression that begins with a NAME and leads to values below it:

  main.sessions["ada"].Orders[3]   fields, elements, and keys of maps
  main.sessions[*].User            * selects all elements
  main.queue.jobs[2:5]             a part of a slice, an array or a text
  len(main.queue.jobs), cap(main.queue.jobs)
  *main.head, main.shape.(*main.Circle)

A path needs no * and no type assertion on its way: it leads through pointers,
interfaces and atomic pointers. Keys that are structs are written as they are printed.

A comment replaces what the core lacks: not captured, redacted (an exclusion
covers it), unreadable, torn, cut by budget, or omitted because of the limits
below. A pointer to a value that was printed before is printed as an address.
Values that goroutines wait to send on a channel follow those in its
buffer, after an arrow.

On a terminal, what is more than two pointers away is replaced by the number of its
fields, elements or entries; --depth prints more. Other output has all of it.

The executable is the one that the core names, if its build ID is still the
same, or the one given with --exe. Without one the core's own types and names
are used.

The exit status is 3 if the core does not have a value that a PATH names.`,
		Example: `  meminspect print shop.core
  meminspect print shop.core main.counter 'dyn*'
  meminspect print --json shop.core main.last
  meminspect print --hex --addr shop.core main.last
  meminspect print --type shop.core main.last
  meminspect print now.core 'main.sessions[*].User' 'len(main.queue.jobs)'`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completePaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := openCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
			defer core.Close()
			if err := core.NeedRegions(); err != nil {
				return fmt.Errorf("print: %s: %w", args[0], err)
			}
			if err := noRegions(cmd, core); err != nil {
				return err
			}
			prog, err := inspect.OpenProgram(core, exe)
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
			defer prog.Close()
			warn(cmd, prog)
			// Most of what is read is garbage as soon as it is written.
			const percent = 50
			defer debug.SetGCPercent(debug.SetGCPercent(percent))
			held, _ := core.Captured()
			limits.Values, limits.Constants = value.ValuesIn(held), !asJSON
			if !cmd.Flags().Changed("depth") && !asJSON && isTerminal(cmd.OutOrStdout()) {
				limits.Depth = terminalDepth
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
			p := printer{w: out, prog: prog, limits: limits, format: format, types: types, asJSON: asJSON}
			if err := errors.Join(p.print(args[1:]), out.Flush()); err != nil {
				return fmt.Errorf("print: %s: %w", args[0], err)
			}
			if p.missing {
				return &exitError{status: exitPartial}
			}
			return nil
		},
	}
	limits.Depth, limits.Elements, limits.Bytes = value.DefaultDepth, value.DefaultElements, value.DefaultBytes
	fl := cmd.Flags()
	fl.StringVar(&exe, "exe", "", "the executable of the captured program")
	fl.BoolVar(&asJSON, "json", false, "one JSON object a line")
	fl.Var(number{&limits.Depth, -1, anyNumber}, "depth", "pointers to follow; -1 for no limit (default 2 on a terminal)")
	fl.Var(number{&limits.Elements, -1, anyNumber}, "elements", "elements of each array, slice and map to print; -1 for all")
	fl.BoolVar(&format.Hex, "hex", false, "integers and bytes in hexadecimal digits")
	fl.BoolVar(&format.Addresses, "addr", false, "the address before each value; of a slice or a map that of its elements")
	fl.BoolVar(&types, "type", false, "print types instead of values")
	fl.Var(number{&limits.Bytes, -1, anyNumber}, "bytes", "bytes of each text to print; -1 for all")
	exclusive(cmd, "", "type", "json")
	exclusive(cmd, "", "hex", "json")
	exclusive(cmd, "", "addr", "json")
	return cmd
}

// noRegions warns if a core has no regions, with the reason. It is an error if it has
// no memory at all.
func noRegions(cmd *cobra.Command, core *inspect.Core) error {
	if len(core.Regions) > 0 {
		return nil
	}
	why := core.Without()
	if errors.Is(why, inspect.ErrNoMemory) {
		return &exitError{status: exitPartial, err: fmt.Errorf("%s: %s: %w", verbOf(cmd), core.Path, why)}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %s: %s: nothing is annotated or registered in the program: if its source has annotations, run `meminspect generate` and build it again\n", verbOf(cmd), core.Path)
	return nil
}

// mainPath is the import path of the captured program's package main, "" when
// the core does not have it.
func mainPath(core *inspect.Core) string {
	if core.Capture == nil {
		return ""
	}
	return core.Capture.Main
}

// terminalDepth is how many pointers are followed on a terminal: values that do not
// fill the screen.
const terminalDepth = 2

// A printer prints the values of regions and of paths.
type printer struct {
	w       io.Writer
	prog    *inspect.Program
	limits  value.Limits
	format  value.Format
	types   bool // instead of values
	asJSON  bool
	missing bool // a value that a path names is not in the core
}

// print prints what the arguments name, without arguments all regions of the program.
func (p *printer) print(args []string) error {
	core := p.prog.Core
	if len(args) == 0 {
		return p.regions(value.OfProgram)
	}
	var scope *expr.Scope
	printed := map[*note.Region]bool{}
	for _, arg := range args {
		named := false
		err := p.regions(func(r *note.Region) bool {
			if !value.Match(arg, r, mainPath(core)) {
				return false
			}
			named = true
			again := printed[r]
			printed[r] = true
			return !again
		})
		if err != nil {
			return err
		}
		if named {
			continue
		}
		if scope == nil {
			scope = expr.NewScope(p.prog)
		}
		if err := p.path(scope, arg); err != nil {
			return err
		}
	}
	return nil
}

// regions prints the regions that are wanted.
func (p *printer) regions(want func(*note.Region) bool) error {
	for i := range p.prog.Core.Regions {
		r := &p.prog.Core.Regions[i]
		if !want(r) {
			continue
		}
		if p.types {
			typ := r.Type
			if place, err := value.PlaceOf(p.prog, r); err == nil {
				typ = place.Definition()
			}
			if err := p.typeOf(value.Label(r, mainPath(p.prog.Core)), typ); err != nil {
				return err
			}
			continue
		}
		v := value.StreamRegion(p.prog, r, p.limits)
		if err := p.value(value.Label(r, mainPath(p.prog.Core)), "", r, v, address(r.Addr)); err != nil {
			return err
		}
	}
	return nil
}

// path prints the values to which a path leads.
func (p *printer) path(scope *expr.Scope, text string) error {
	path, err := expr.Parse(text, scope.Names())
	if err != nil {
		return err
	}
	for result, err := range path.Eval(scope) {
		if err != nil {
			return err
		}
		place, placed := result.Place()
		if placed && p.types {
			if err := p.typeOf(result.Path, place.Definition()); err != nil {
				return err
			}
			continue
		}
		v := result.Stream(p.prog, p.limits)
		if p.types && v.Absent == "" { // a number that was computed
			if err := p.typeOf(result.Path, v.Type); err != nil {
				return err
			}
			continue
		}
		p.missing = p.missing || v.Absent != ""
		addr := memory.Address(0)
		if placed {
			addr = place.Addr
		}
		if err := p.value(result.Path, result.Path, result.Region, v, address(addr)); err != nil {
			return err
		}
	}
	return nil
}

// typeOf prints the type of a value.
func (p *printer) typeOf(name, definition string) error {
	return writeString(p.w, oneLine(name)+": "+definition+"\n")
}

// value prints a value of a region.
func (p *printer) value(name, path string, r *note.Region, v *value.Value, addr address) error {
	if !p.asJSON {
		_, err := fmt.Fprintf(p.w, "%s = ", oneLine(name))
		return errors.Join(err, v.WriteGo(p.w, p.format), writeString(p.w, "\n"))
	}
	var head bytes.Buffer
	err := jsonLines(&head).Encode(valueJSON{
		ID: fmt.Sprintf("%016x", r.ID), Name: r.Name, Package: r.Package, Expr: r.Expr, Path: path,
		Type: v.Type, Address: addr, statusJSON: statusOf(r),
	})
	if err != nil {
		return err
	}
	// The value is written as it is read: one may be larger than memory.
	text := strings.TrimSuffix(head.String(), "}\n") + `,"value":`
	return errors.Join(writeString(p.w, text), v.WriteJSON(p.w), writeString(p.w, "}\n"))
}

func writeString(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// valueJSON is what precedes a value, the property "value", as --json prints it.
type valueJSON struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Package string  `json:"package,omitempty"`
	Expr    string  `json:"expr,omitempty"`
	Path    string  `json:"path,omitempty"` // of a value below the region
	Type    string  `json:"type"`
	Address address `json:"address,omitempty"`
	statusJSON
}
