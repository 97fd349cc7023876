package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

func goroutinesCommand() *cobra.Command {
	var exe string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "goroutines CORE",
		Short: "Print the goroutines of a core with their stacks",
		Long: `Print the goroutines of a core as a Go program's own traceback does, by the
pc-line table: neither symbols nor debug information are needed, and when the
executable is gone, what the core carries of that table is enough. The goroutine
that ended the program is marked (failed).

The executable is the one that the core names, if its build ID is still the
same, or the one given with --exe.`,
		Example: `  meminspect goroutines now.core
  meminspect goroutines --json now.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := openCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("goroutines: %w", err)
			}
			defer core.Close()
			prog, err := inspect.OpenProgram(core, exe)
			if err != nil {
				return fmt.Errorf("goroutines: %w", err)
			}
			defer prog.Close()
			for _, w := range prog.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: goroutines: %s\n", w)
			}
			list, missing, err := stacks.Read(prog)
			if err != nil {
				return fmt.Errorf("goroutines: %s: %w", args[0], err)
			}
			if asJSON {
				err = printGoroutinesJSON(cmd.OutOrStdout(), list)
			} else {
				printGoroutines(cmd.OutOrStdout(), list)
			}
			if err == nil && missing > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: goroutines: %d more are not in the core\n", missing)
				return &exitError{status: exitPartial}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&exe, "exe", "", "the executable that the core was taken of")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func printGoroutines(w io.Writer, list []stacks.Goroutine) {
	for i := range list {
		g := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "goroutine %d [%s", g.ID, g.State)
		if g.Thread != 0 {
			fmt.Fprintf(w, ", thread %d", g.Thread)
		}
		if g.Locked {
			fmt.Fprint(w, ", locked to thread")
		}
		fmt.Fprint(w, "]")
		if g.Failed {
			fmt.Fprint(w, " (failed)")
		}
		fmt.Fprintln(w, ":")
		for k := range g.Frames {
			printFrame(w, &g.Frames[k], "(...)")
		}
		if g.Problem != "" {
			fmt.Fprintf(w, "... %s\n", g.Problem)
		}
		if g.Created != nil {
			fmt.Fprint(w, "created by ")
			in := ""
			if g.Parent != 0 {
				in = fmt.Sprintf(" in goroutine %d", g.Parent)
			}
			printFrame(w, g.Created, in)
		}
	}
}

func printFrame(w io.Writer, f *stacks.Frame, behind string) {
	fmt.Fprintf(w, "%s%s\n\t%s:%d +%#x\n", f.Function, behind, f.File, f.Line, uint64(f.PC-f.Entry))
}

// goroutineJSON is a goroutine as --json prints it.
type goroutineJSON struct {
	ID      uint64      `json:"id,string"`
	Parent  uint64      `json:"parent,omitempty,string"`
	State   string      `json:"state"`
	Locked  bool        `json:"lockedToThread,omitempty"`
	Failed  bool        `json:"failed,omitempty"`
	Thread  int         `json:"thread,omitempty"`
	Frames  []frameJSON `json:"frames"`
	Created *frameJSON  `json:"created,omitempty"`
	Problem string      `json:"problem,omitempty"`
}

type frameJSON struct {
	PC       address `json:"pc"`
	Function string  `json:"function"`
	File     string  `json:"file"`
	Line     int     `json:"line"`
}

func frameOf(f *stacks.Frame) *frameJSON {
	if f == nil {
		return nil
	}
	return &frameJSON{PC: address(f.PC), Function: f.Function, File: f.File, Line: f.Line}
}

func printGoroutinesJSON(w io.Writer, list []stacks.Goroutine) error {
	enc := jsonLines(w)
	for i := range list {
		g := &list[i]
		out := goroutineJSON{ID: g.ID, Parent: g.Parent, State: g.State, Locked: g.Locked, Failed: g.Failed, Thread: g.Thread,
			Frames: []frameJSON{}, Created: frameOf(g.Created), Problem: g.Problem}
		for k := range g.Frames {
			out.Frames = append(out.Frames, *frameOf(&g.Frames[k]))
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
