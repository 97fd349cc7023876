package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
)

type heapFlags struct {
	exe                string
	paths, json, quiet bool
	pprof, diff        string
	top                int
	timeout            duration.Value
	noStop             bool
}

func heapCommand() *cobra.Command {
	f := heapFlags{top: 20, timeout: duration.Value(10 * time.Second)}
	cmd := &cobra.Command{
		Use:   "heap PID|CORE",
		Short: "Show what keeps the memory of a Go program alive",
		Long: `heap reads the heap of a Go program from outside and prints what keeps its
memory alive: annotated variables, other package-level variables, goroutines by
their first function, timers, caches of sync.Pool, finalizers and cleanups. For
each it prints the bytes that only this root keeps alive (retained), and the
bytes that count for it when each object counts once, for the first root that
reaches it. A heap profile shows which code allocated memory; this shows what keeps it.

The program is stopped while its heap is read, some 300 ms for 3 million objects,
and continues while the report is computed. It may be stripped: variables that are
not annotated then have only addresses, no names. A core of all memory, from
the kernel, gdb or Delve, is read in place. Of a core that was captured with
--heap, the report that the capture recorded is printed.

Goroutines that wait for ever are counted by their first function: neither a
variable nor a goroutine that may run leads to what they wait for.

--paths prints the largest paths from the roots, such as main.sessions[*].Tags,
and --pprof writes the report as a profile for go tool pprof, in which the stack
is the path. --diff compares with an earlier report: the output of --json, a
profile of --pprof, or a core.`,
		Example: `  meminspect heap $PID
  meminspect heap --paths $PID
  meminspect heap --json $PID > before.json
  meminspect heap --diff before.json $PID
  meminspect heap --pprof heap.pb.gz $PID
  meminspect heap full.core
  meminspect heap leak.core
  meminspect heap --diff before.core after.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd, args[0]); err != nil {
				return fmt.Errorf("heap: %w", err)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.paths, "paths", false, "print the largest paths from the roots")
	fl.Var(number{&f.top, 0, anyNumber}, "top", "how many roots and paths to print")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.StringVar(&f.pprof, "pprof", "", "write the report to this file as a profile for go tool pprof")
	fl.StringVar(&f.diff, "diff", "", "compare with the report in this file: JSON, a profile or a core")
	fl.Var(&f.timeout, "timeout", "how long the program may be stopped; then only totals are printed (0 for no limit)")
	fl.StringVar(&f.exe, "exe", "", "the executable of a full core (default the one that the core names)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print no progress")
	fl.BoolVar(&f.noStop, "no-stop", false, "not possible: an error that explains why")
	_ = fl.MarkHidden("no-stop")
	return cmd
}

func (f *heapFlags) run(cmd *cobra.Command, from string) error {
	if f.noStop {
		return errors.New("--no-stop: a heap that changes while it is read gives results that are wrong by any amount, without a sign of it: leave the flag out, the program is stopped for a fraction of a second")
	}
	// The arrays of a graph are large, few, and without pointers: frequent
	// collections cost little and save memory.
	const percent = 10
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	old, err := f.earlier(cmd)
	if err != nil {
		return fmt.Errorf("--diff: %w", err)
	}
	r, err := f.report(cmd, from)
	if err != nil {
		return err
	}
	if f.pprof != "" {
		if err := writeWhole(f.pprof, r.Profile); err != nil {
			return fmt.Errorf("--pprof: %w", err)
		}
	}
	if err := f.print(cmd.OutOrStdout(), r, old); err != nil {
		return err
	}
	if r.Partial || len(r.Problems) > 0 {
		return &exitError{status: exitPartial}
	}
	return nil
}

// earlier returns the report of --diff, nil without that flag.
func (f *heapFlags) earlier(cmd *cobra.Command) (*heapreport.Report, error) {
	if f.diff == "" {
		return nil, nil
	}
	path, err := corePath(cmd, f.diff)
	if err != nil {
		return nil, err
	}
	if path == f.diff && !corefile.Like(path) {
		return heapreport.Load(path)
	}
	return f.ofCore(cmd, path, heapreport.Options{})
}

// report reads the heap of a process, if from is its number, or of a core.
func (f *heapFlags) report(cmd *cobra.Command, from string) (*heapreport.Report, error) {
	p := heapProgress{w: raw(cmd.ErrOrStderr()), on: !f.quiet && isTerminal(cmd.ErrOrStderr())}
	defer p.clear()
	opts := heapreport.Options{Paths: f.paths, Timeout: time.Duration(f.timeout), Progress: p.show, Pause: gcpause.Begin}
	if pid, err := strconv.Atoi(from); err == nil {
		if pid <= 0 {
			return nil, fmt.Errorf("%q is not a process ID", from)
		}
		return heapreport.OfProcess(cmd.Context(), pid, opts)
	}
	return f.ofCore(cmd, from, opts)
}

// ofCore reads the report that a core records, or the heap of a full core.
func (f *heapFlags) ofCore(cmd *cobra.Command, from string, opts heapreport.Options) (*heapreport.Report, error) {
	o, err := openOptions(cmd)
	if err != nil {
		return nil, err
	}
	if from, err = corePath(cmd, from); err != nil {
		return nil, err
	}
	file, err := openFile(cmd.InOrStdin(), from, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", from, suggestSize(err))
	}
	defer file.Close()
	file.Path = from
	if r, err := recorded(file); r != nil || err != nil {
		if r != nil && !f.paths {
			r.Paths = nil
		}
		return r, err
	}
	core, err := fullcore.New(file, file.Size, fullcore.Options{Exe: f.exe})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", from, err)
	}
	defer core.Close()
	core.Path, core.Modified = file.Path, file.Modified
	opts.Timeout = 0 // nothing waits
	return heapreport.OfCore(cmd.Context(), core, opts)
}

// recorded returns the report that a capture stored in a core. It returns nil for the
// core of another tool, which may have all memory.
func recorded(file *corefile.File) (*heapreport.Report, error) {
	core, err := inspect.Read(file, file.Size)
	if err != nil || core.Capture == nil {
		return nil, nil //nolint:nilerr // the error about a full core is more exact
	}
	r, err := heapreport.Recorded(core)
	switch {
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", file.Path, err)
	case r == nil:
		return nil, fmt.Errorf("open %s: the core has no record of the heap: capture with --heap", file.Path)
	}
	return r, nil
}

func (f *heapFlags) print(w io.Writer, r, old *heapreport.Report) error {
	switch {
	case f.json && old != nil:
		return printJSON(w, struct {
			Changes []heapreport.Change `json:"changes"`
		}{r.Diff(old)})
	case f.json:
		return printJSON(w, r)
	case old != nil:
		return r.PrintDiff(w, old, f.top)
	}
	return r.Print(w, f.top)
}

// A heapProgress shows one progress line on a terminal.
type heapProgress struct {
	w  io.Writer
	on bool

	mu    sync.Mutex
	last  time.Time
	shown bool
}

func (p *heapProgress) show(step string, done, of uint64) {
	if !p.on {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	const often = 100 * time.Millisecond
	if time.Since(p.last) < often {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[Kheap: %s", step)
	if of > 0 {
		fmt.Fprintf(p.w, " %d %%", 100*done/of)
	}
}

// clear removes the line.
func (p *heapProgress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
