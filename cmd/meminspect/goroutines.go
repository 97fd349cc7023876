package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// goroutinesFlags are the flags of goroutines.
type goroutinesFlags struct {
	exe              string
	all, group, json bool
	user             bool
	pprof            string
	labels           []string
	filter           stacks.Filter
}

func goroutinesCommand() *cobra.Command {
	var f goroutinesFlags
	cmd := &cobra.Command{
		Use:   "goroutines CORE",
		Short: "Print the goroutines of a core, grouped by their stacks",
		Long: `Print the goroutines of a core. On a terminal, goroutines with the same stack are
one group: the group of the goroutine that ended the program first, then the
largest. A group lists the states of its goroutines, how long they wait, their
frames without those of the runtime and of wrappers, who started them, and their
profiler labels. Elsewhere, and with --all, goroutines are printed one by one, as
a Go program's own traceback does; --group groups them.

The pc-line table is enough: neither symbols nor debug information are needed. If
the executable is missing, the core's own part of that table is used. The
executable is the one that the core names, if its build ID is the same, or the one
given with --exe.

If a stack is so deep that the core has only its two ends, both are printed, with
a line for the calls between them.

Wait times are those that the garbage collector noted, as in tracebacks. Labels
are in a core only if it was captured with --labels.`,
		Example: `  meminspect goroutines now.core
  meminspect goroutines --group --user now.core
  meminspect goroutines --all --state 'chan receive' --with worker now.core
  meminspect goroutines --waiting-longer 5m now.core
  meminspect goroutines --pprof goroutines.pb.gz now.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd, args[0]); err != nil {
				var exit *exitError
				if errors.As(err, &exit) && exit.err == nil {
					return err
				}
				return fmt.Errorf("goroutines: %w", err)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.exe, "exe", "", "the executable of the captured program")
	fl.BoolVar(&f.json, "json", false, "one JSON object a line")
	fl.BoolVar(&f.group, "group", false, "print groups of goroutines with the same stack (default on a terminal)")
	fl.BoolVar(&f.all, "all", false, "print goroutines one by one (default elsewhere)")
	fl.StringVar(&f.pprof, "pprof", "", "write a goroutine profile for go tool pprof to `FILE` instead")
	fl.StringArrayVar(&f.filter.States, "state", nil, "goroutines in this `STATE`, as tracebacks name it, or its first words, or leaked; may be repeated")
	fl.StringArrayVar(&f.filter.With, "with", nil, "goroutines with a function on the stack whose name has `TEXT` in it; may be repeated")
	fl.StringArrayVar(&f.filter.Without, "without", nil, "goroutines without a function on the stack whose name has `TEXT` in it; may be repeated")
	fl.Var((*duration.Value)(&f.filter.Longer), "waiting-longer", "goroutines that wait longer than this")
	fl.StringArrayVar(&f.labels, "label", nil, "goroutines with this profiler label, as `KEY=VALUE`; may be repeated")
	fl.BoolVar(&f.user, "user", false, "hide the standard library and the goroutines that run nothing else")
	exclusive(cmd, "", "group", "all", "pprof")
	exclusive(cmd, "", "json", "pprof")
	return cmd
}

func (f *goroutinesFlags) run(cmd *cobra.Command, path string) error {
	for _, text := range f.labels {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--label %s: no value: write --label KEY=VALUE", text)
		}
		f.filter.Labels = append(f.filter.Labels, stacks.Label{Key: key, Value: value})
	}
	prog, closeAll, err := openProgram(cmd, path, f.exe)
	if err != nil {
		return err
	}
	defer closeAll()
	list, missing, err := stacks.Read(prog)
	warn(cmd, prog)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	without := f.withoutMatch(list)
	list = f.filter.Select(list)
	if f.user {
		list = stacks.WithoutLibrary(prog, list)
	}
	if err := f.write(cmd.OutOrStdout(), prog, list); err != nil {
		return err
	}
	for _, text := range without {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: goroutines: %s: %s\n", path, text)
	}
	if missing > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: goroutines: %d more are not in the core\n", missing)
		return &exitError{status: exitPartial}
	}
	return nil
}

// withoutMatch returns which values of filters no goroutine has, and which values there are.
func (f *goroutinesFlags) withoutMatch(list []stacks.Goroutine) (texts []string) {
	states, labels := map[string]bool{}, map[string]bool{}
	for i := range list {
		states[strconv.Quote(oneLine(list[i].State))] = true
		for _, l := range list[i].Labels {
			labels[labelText(l.Key)+"="+labelText(l.Value)] = true
		}
	}
	for _, state := range f.filter.States {
		if !slices.ContainsFunc(list, func(g stacks.Goroutine) bool { return g.InState(state) }) {
			texts = append(texts, fmt.Sprintf("no goroutine is in state %q; there are: %s", state, some(states)))
		}
	}
	for i, l := range f.filter.Labels {
		switch {
		case len(labels) == 0:
			return append(texts, "no goroutine has labels: they are in a core only if it was captured with --labels")
		case !slices.ContainsFunc(list, func(g stacks.Goroutine) bool { return slices.Contains(g.Labels, l) }):
			texts = append(texts, fmt.Sprintf("no goroutine has the label %s; there are: %s", f.labels[i], some(labels)))
		}
	}
	return texts
}

// some lists names, at most 20 of them.
func some(names map[string]bool) string {
	const most = 20
	all := slices.Sorted(maps.Keys(names))
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("%d more", len(all)-most))
	}
	return strings.Join(all, ", ")
}

func (f *goroutinesFlags) write(w io.Writer, prog *inspect.Program, list []stacks.Goroutine) error {
	grouped := f.group || !f.all && !f.json && isTerminal(w)
	switch {
	case f.pprof != "":
		return writeWhole(f.pprof, func(w io.Writer) error { return stacks.Profile(w, prog, list) })
	case grouped && f.json:
		return printGroupsJSON(w, stacks.Groups(list))
	case grouped:
		printGroups(w, stacks.Groups(list))
	case f.json:
		return printGoroutinesJSON(w, list)
	default:
		printGoroutines(w, list)
	}
	return nil
}

func printGoroutines(w io.Writer, list []stacks.Goroutine) {
	for i := range list {
		g := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, goroutineHeader(g))
		for _, f := range stacks.FoldFrames(g.Frames) {
			printFrame(w, &f.Call, "(...)")
			for _, text := range f.After() {
				fmt.Fprintf(w, "... %s\n", text)
			}
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

// goroutineHeader returns the first line of a goroutine: that of a Go program's
// own traceback, and in parentheses what only a core has.
func goroutineHeader(g *stacks.Goroutine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "goroutine %d [%s", g.ID, g.State)
	if minutes := int64(g.Waited / time.Minute); minutes >= 1 {
		fmt.Fprintf(&b, ", %d minutes", minutes)
	}
	if g.Locked {
		b.WriteString(", locked to thread")
	}
	b.WriteByte(']')
	if len(g.Labels) > 0 {
		labels := make([]string, len(g.Labels))
		for i, l := range g.Labels {
			labels[i] = labelText(l.Key) + ": " + labelText(l.Value)
		}
		fmt.Fprintf(&b, " {%s}", strings.Join(labels, ", "))
	}
	var more []string
	if g.Failed {
		more = append(more, "failed")
	}
	if g.Thread != 0 {
		more = append(more, fmt.Sprintf("thread %d", g.Thread))
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(more, ", "))
	}
	b.WriteByte(':')
	return b.String()
}

// labelText quotes a key or a value of a label as Go 1.27 does.
func labelText(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("./_", r)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func printFrame(w io.Writer, f *stacks.Frame, suffix string) {
	fmt.Fprintf(w, "%s%s\n\t%s:%d +%#x\n", f.Function, suffix, f.File, f.Line, uint64(f.PC-f.Entry))
}

// goroutineJSON is a goroutine as --json prints it.
type goroutineJSON struct {
	ID      uint64            `json:"id,string"`
	Parent  uint64            `json:"parent,omitempty,string"`
	State   string            `json:"state"`
	Waited  duration.Seconds  `json:"waited,omitempty"`
	Left    duration.Seconds  `json:"left,omitempty"`
	Locked  bool              `json:"lockedToThread,omitempty"`
	Failed  bool              `json:"failed,omitempty"`
	Thread  int               `json:"thread,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Frames  []frameJSON       `json:"frames"`
	Created *frameJSON        `json:"created,omitempty"`
	Problem string            `json:"problem,omitempty"`
}

type frameJSON struct {
	PC       address       `json:"pc"`
	Function string        `json:"function"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Omitted  *omissionJSON `json:"omitted,omitempty"`
}

// omissionJSON is what is left out of a stack after a call.
type omissionJSON struct {
	Calls uint64 `json:"calls,string"`
	Bytes uint64 `json:"bytes,omitempty,string"`
}

func omissionOf(o stacks.Omission) *omissionJSON {
	if o == (stacks.Omission{}) {
		return nil
	}
	return &omissionJSON{Calls: o.Calls, Bytes: o.Bytes}
}

func frameOf(f *stacks.Frame) *frameJSON {
	if f == nil {
		return nil
	}
	return &frameJSON{PC: address(f.PC), Function: f.Function, File: f.File, Line: f.Line, Omitted: omissionOf(f.Omitted)}
}

func framesOf(frames []stacks.Frame) []frameJSON {
	out := make([]frameJSON, len(frames))
	for i := range frames {
		out[i] = *frameOf(&frames[i])
	}
	return out
}

func printGoroutinesJSON(w io.Writer, list []stacks.Goroutine) error {
	enc := jsonLines(w)
	for i := range list {
		g := &list[i]
		out := goroutineJSON{ID: g.ID, Parent: g.Parent, State: g.State, Waited: duration.Seconds(g.Waited), Left: duration.Seconds(g.Left), Locked: g.Locked, Failed: g.Failed, Thread: g.Thread,
			Frames: framesOf(g.Frames), Created: frameOf(g.Created), Problem: g.Problem}
		for _, l := range g.Labels {
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[l.Key] = l.Value
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
