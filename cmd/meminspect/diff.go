package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/diff"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

func diffCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff CORE CORE",
		Short: "Compare the values and the goroutines of two cores",
		Long: `Compare two cores of a program, the earlier one first: which values of its regions
were added (+), removed (-) or changed (~), and which groups of goroutines came,
went, grew or shrank. Maps are compared by their keys, slices by the elements that
both have in the same order, and pointers by what they lead to, never by address.
Numbers that changed have the difference and the rate since the earlier core. The
cores may be of two versions of the program: fields that only one has are added or
removed.

The exit status is 0 if nothing differs, 1 if something does, and 2 for errors.`,
		Example: `  meminspect diff before.core after.core
  meminspect diff --json before.core after.core`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var sides [2]diffSide
			for i, arg := range args {
				core, err := openCore(cmd, arg)
				if err != nil {
					return fmt.Errorf("diff: %w", err)
				}
				defer core.Close()
				if sides[i], err = openSide(cmd, core); err != nil {
					return fmt.Errorf("diff: %s: %w", arg, err)
				}
				defer sides[i].prog.Close()
			}
			out := comparison(&sides[0], &sides[1])
			var err error
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), out)
			} else {
				err = printDiff(cmd.OutOrStdout(), &out)
			}
			if err == nil && len(out.Changes)+len(out.Goroutines) > 0 {
				return &exitError{status: exitFindings}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A diffSide is one of two cores that are compared.
type diffSide struct {
	prog       *inspect.Program
	goroutines []stacks.Goroutine
	when       time.Time // zero if unknown
}

func openSide(cmd *cobra.Command, core *inspect.Core) (s diffSide, err error) {
	if err = core.NeedRegions(); err != nil {
		return s, err
	}
	if s.prog, err = inspect.OpenProgram(core, ""); err != nil {
		return s, err
	}
	warn(cmd, s.prog)
	if core.Capture != nil {
		s.when = core.Capture.When
	}
	if s.goroutines, _, err = stacks.Read(s.prog); err != nil { // a core may have none
		s.goroutines = nil
	}
	return s, nil
}

// diffJSON is a comparison as --json prints it.
type diffJSON struct {
	Before     string           `json:"before"` // path of a core
	After      string           `json:"after"`
	Elapsed    duration.Seconds `json:"elapsed,omitempty"`
	Unknown    int              `json:"unknown"` // values that could not be compared
	Changes    []changeJSON     `json:"changes"`
	Goroutines []groupChange    `json:"goroutines"`
}

type changeJSON struct {
	Kind      diff.Kind    `json:"kind"`
	Path      string       `json:"path"`
	Type      string       `json:"type"`
	Before    *value.Value `json:"before,omitempty"`
	After     *value.Value `json:"after,omitempty"`
	Delta     string       `json:"delta,omitempty"` // of numbers
	PerSecond string       `json:"perSecond,omitempty"`
}

type groupChange struct {
	Before    int      `json:"before"` // goroutines
	After     int      `json:"after"`
	Functions []string `json:"functions"` // innermost first
	frames    []stacks.Frame
}

// comparison compares two cores.
func comparison(before, after *diffSide) diffJSON {
	limits := value.Limits{Elements: -1}
	result := diff.Programs(before.prog, after.prog, limits)
	out := diffJSON{
		Before: before.prog.Core.Path, After: after.prog.Core.Path, Unknown: result.Unknown,
		Changes: []changeJSON{}, Goroutines: []groupChange{},
	}
	var elapsed time.Duration
	if !before.when.IsZero() && !after.when.IsZero() {
		elapsed = after.when.Sub(before.when)
		out.Elapsed = duration.Seconds(elapsed)
	}
	for _, c := range result.Changes {
		change := changeJSON{Kind: c.Kind, Path: c.Path}
		if c.Before != nil {
			change.Type, change.Before = c.Before.Type, c.Before.Brief()
		}
		if c.After != nil {
			change.Type, change.After = c.After.Type, c.After.Brief()
		}
		change.Delta, change.PerSecond = c.Difference(elapsed)
		out.Changes = append(out.Changes, change)
	}
	for _, g := range diff.Groups(before.goroutines, after.goroutines) {
		change := groupChange{Before: g.Before, After: g.After, frames: g.Frames}
		for i := range g.Frames {
			change.Functions = append(change.Functions, g.Frames[i].Function)
		}
		out.Goroutines = append(out.Goroutines, change)
	}
	return out
}

func printDiff(w io.Writer, d *diffJSON) error {
	var b strings.Builder
	for _, c := range d.Changes {
		fmt.Fprintln(&b, oneLine(changeText(c)))
	}
	for _, g := range d.Goroutines {
		fmt.Fprintf(&b, "%s\n", groupChangeText(g))
		printCalls(&b, g.frames)
	}
	if d.Unknown > 0 {
		fmt.Fprintf(&b, "%s could not be compared: a core does not have them\n", plural(d.Unknown, "value"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func changeText(c changeJSON) string {
	switch c.Kind {
	case diff.Added:
		return "+ " + c.Path + " = " + c.After.Line()
	case diff.Removed:
		return "- " + c.Path + " = " + c.Before.Line()
	}
	text := "~ " + c.Path + ": " + c.Before.Line() + " → " + c.After.Line()
	if by := diff.DifferenceText(c.Delta, c.PerSecond); by != "" {
		text += " (" + by + ")"
	}
	return text
}

func groupChangeText(g groupChange) string {
	switch {
	case g.Before == 0:
		return "+ " + plural(g.After, "goroutine")
	case g.After == 0:
		return "- " + plural(g.Before, "goroutine")
	}
	return fmt.Sprintf("~ %d → %s", g.Before, plural(g.After, "goroutine"))
}
