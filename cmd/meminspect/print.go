package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func printCommand() *cobra.Command {
	var exe string
	var asJSON bool
	var limits value.Limits
	cmd := &cobra.Command{
		Use:   "print CORE [NAME…]",
		Short: "Print the values of a core's regions",
		Long: `Print the values in a core, in Go syntax, by the runtime types of the program:
neither symbols nor debug information are needed. Without a NAME all regions are
printed but the project's own, as the log (meminspect log) and vmcoreinfo
(meminspect info --vmcoreinfo). A NAME is that of a region, its variable (queue, main.queue,
example.com/shop.queue) or its ID; * and ? match as in a shell.

What the core does not hold is a comment in its place: not captured, redacted (an
exclusion covers it), unreadable, torn, cut by budget, or left out because of
the limits below. A pointer to what was printed before is written as its
address. Values that goroutines wait to send on a channel follow those in its
buffer, after an arrow.

The executable is the one that the core names, if its build ID is still the
same, or the one given with --exe. Without one the core's own types and names
are used.`,
		Example: `  meminspect print shop.core
  meminspect print shop.core main.counter 'dyn*'
  meminspect print --json shop.core main.last`,
		Args: cobra.MinimumNArgs(1),
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
			regions, err := selected(core, args[1:])
			if err != nil {
				return fmt.Errorf("print: %s: %w", args[0], err)
			}
			prog, err := inspect.OpenProgram(core, exe)
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
			defer prog.Close()
			for _, w := range prog.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: print: %s\n", w)
			}
			if asJSON {
				return printValuesJSON(cmd.OutOrStdout(), prog, regions, limits)
			}
			return printValues(cmd.OutOrStdout(), prog, mainPath(core), regions, limits)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&exe, "exe", "", "the executable that the core was taken of")
	fl.BoolVar(&asJSON, "json", false, "one JSON object a line")
	fl.IntVar(&limits.Depth, "depth", value.DefaultDepth, "pointers to follow; -1 for no limit")
	fl.IntVar(&limits.Elements, "elements", value.DefaultElements, "elements of each array, slice and map to print; -1 for all")
	fl.IntVar(&limits.Bytes, "bytes", value.DefaultBytes, "bytes of each text to print; -1 for all")
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

// selected returns the regions that the patterns name, in the core's order,
// without patterns those of the program. A pattern that names nothing is an
// error.
func selected(core *inspect.Core, patterns []string) ([]*note.Region, error) {
	used := make([]bool, len(patterns))
	var out []*note.Region
	for i := range core.Regions {
		r := &core.Regions[i]
		want := len(patterns) == 0 && (r.ID == anchor.IDNone || r.ID >= anchor.FirstDynamic)
		for k, p := range patterns {
			if value.Match(p, r, mainPath(core)) {
				want, used[k] = true, true
			}
		}
		if want {
			out = append(out, r)
		}
	}
	for k, p := range patterns {
		if !used[k] {
			return nil, fmt.Errorf("no region is called %q; `meminspect regions` lists them", p)
		}
	}
	return out, nil
}

// mainPath is the import path of the captured program's package main, "" when
// the core does not say.
func mainPath(core *inspect.Core) string {
	if core.Capture == nil {
		return ""
	}
	return core.Capture.Main
}

func printValues(w io.Writer, prog *inspect.Program, main string, regions []*note.Region, limits value.Limits) error {
	for _, r := range regions {
		if _, err := fmt.Fprintf(w, "%s = %s\n", oneLine(value.Label(r, main)), value.Region(prog, r, limits).Go()); err != nil {
			return err
		}
	}
	return nil
}

// valueJSON is a region's value as --json prints it.
type valueJSON struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Package string  `json:"package,omitempty"`
	Expr    string  `json:"expr,omitempty"`
	Type    string  `json:"type"`
	Address address `json:"address"`
	statusJSON
	Value *value.Value `json:"value"`
}

func printValuesJSON(w io.Writer, prog *inspect.Program, regions []*note.Region, limits value.Limits) error {
	enc := jsonLines(w)
	for _, r := range regions {
		v := value.Region(prog, r, limits)
		if err := enc.Encode(valueJSON{
			ID: fmt.Sprintf("%016x", r.ID), Name: r.Name, Package: r.Package, Expr: r.Expr,
			Type: v.Type, Address: address(r.Addr), Value: v, statusJSON: statusOf(r),
		}); err != nil {
			return err
		}
	}
	return nil
}
