package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/collector"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

type captureFlags struct {
	strict, data          bool
	stop, noStop          bool
	stacks                string
	args, labels          bool
	include               []string
	symbols               string
	budget, regionBudget  string
	depth                 int
	reason                string
	output, dir           string
	compress              bool
	recipients            []string
	json, quiet, noRecord bool
}

func captureCommand() *cobra.Command {
	var f captureFlags
	cmd := &cobra.Command{
		Use:   "capture PID",
		Short: "Capture a running Go process into a small core",
		Long: `Capture reads another Go process and writes an ELF core that gdb, Delve and this
tool open: every annotated or registered value with what it leads to, every
goroutine with its stack, every thread. The program needs not to help, may be
stripped, hanging or stopped, and is held still for milliseconds.

Programs with cgo are not held still unless --stop is given, since system calls
of C code may fail with EINTR when they are interrupted; what changed while it
was read is marked as torn then.

The core goes to PROGRAM.PID.UTCTIME.REASON.core in the working directory, mode
0600, and its path is printed. Where memory may not be read, a core without
memory is written that records why, and the exit status is 3.`,
		Example: `  meminspect capture $PID
  meminspect capture $PID -o now.core --stacks=skeleton
  meminspect capture $PID -o now.core.zst --compress`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid <= 0 {
				return fmt.Errorf("capture: %q is not a process ID", args[0])
			}
			return f.run(cmd, pid)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.strict, "strict", false, "regions alone, nothing else of the program's memory")
	fl.BoolVar(&f.data, "data", false, "the program's unannotated variables too")
	fl.BoolVar(&f.stop, "stop", false, "hold the program still, with cgo too")
	fl.BoolVar(&f.noStop, "no-stop", false, "let the program run while it is read")
	fl.StringVar(&f.stacks, "stacks", "auto", "goroutine stacks: auto, full, skeleton (no locals) or none")
	fl.BoolVar(&f.args, "args", false, "store the command line, which may hold secrets")
	fl.BoolVar(&f.labels, "labels", false, "store goroutine labels, which may hold secrets")
	fl.StringArrayVar(&f.include, "include", nil, "take this variable as if it were annotated (IMPORTPATH.NAME)")
	fl.StringVar(&f.symbols, "symbols", "", "unstripped twin of the executable, of the same build")
	fl.StringVar(&f.budget, "budget", "", "bytes of memory at most, with KiB, MiB or GiB (256MiB)")
	fl.StringVar(&f.regionBudget, "region-budget", "", "bytes at most for each region that does not say (16MiB)")
	fl.IntVar(&f.depth, "depth", anchor.DefaultDepth, "pointers to follow from regions that do not say; 0 for none")
	fl.StringVar(&f.reason, "reason", "asked", "why, for the record and the file's name")
	fl.StringVarP(&f.output, "output", "o", "", "file to write, - for standard output")
	fl.StringVar(&f.dir, "dir", "", "folder for the file")
	fl.BoolVar(&f.compress, "compress", false, "compress with zstd")
	fl.StringArrayVar(&f.recipients, "recipient", nil, "encrypt to this age public key (age1…); may be given more than once")
	fl.BoolVar(&f.json, "json", false, "print a summary as JSON")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors")
	fl.BoolVar(&f.noRecord, "no-record", false, "write no core where memory may not be read")
	cmd.MarkFlagsMutuallyExclusive("strict", "data")
	cmd.MarkFlagsMutuallyExclusive("stop", "no-stop")
	cmd.MarkFlagsMutuallyExclusive("output", "dir")
	cmd.MarkFlagsMutuallyExclusive("json", "quiet")
	return cmd
}

// options turns the flags into the collector's.
func (f *captureFlags) options() (collector.Options, error) {
	o := collector.Options{
		Args: f.args, Labels: f.labels, Include: f.include, Symbols: f.symbols,
		Depth: f.depth, Reason: f.reason, Who: "meminspect capture",
	}
	if f.depth <= 0 {
		o.Depth = -1
	}
	switch {
	case f.strict:
		o.Mode = collector.Strict
	case f.data:
		o.Mode = collector.Data
	}
	switch {
	case f.stop:
		o.Stop = collector.StopAlways
	case f.noStop:
		o.Stop = collector.StopNever
	}
	stacks, ok := map[string]collector.Stacks{
		"auto": collector.StacksAuto, "full": collector.StacksFull, "skeleton": collector.StacksSkeleton, "none": collector.StacksNone,
	}[f.stacks]
	if !ok {
		return o, fmt.Errorf("capture: --stacks=%s: it must be auto, full, skeleton or none", f.stacks)
	}
	o.Stacks = stacks
	for _, b := range []struct {
		flag, text string
		into       *uint64
	}{{"budget", f.budget, &o.Budget}, {"region-budget", f.regionBudget, &o.RegionBudget}} {
		if b.text == "" {
			continue
		}
		n, err := byteCount(b.text)
		if err != nil {
			return o, fmt.Errorf("capture: --%s: %w", b.flag, err)
		}
		*b.into = n
	}
	return o, nil
}

// byteCount reads "64KiB", "1MiB", "2GiB" or a number of bytes.
func byteCount(text string) (uint64, error) {
	unit := uint64(1)
	for _, u := range []struct {
		suffix string
		size   uint64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > 1<<50/unit {
		return 0, fmt.Errorf("%q is not a number of bytes", text)
	}
	return n * unit, nil
}

func (f *captureFlags) run(cmd *cobra.Command, pid int) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	out := collector.Output{Path: f.output, Dir: f.dir, Compress: f.compress, Encrypt: f.recipients}
	if _, err := out.Recipients(); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	errOut := cmd.ErrOrStderr()
	clear := func() {}
	if !f.quiet {
		opts.Progress, clear = progress(errOut)
	}
	core, err := collector.Take(cmd.Context(), pid, opts)
	clear()
	if err != nil {
		core, err = f.refused(cmd, pid, opts, err)
		if err != nil {
			return err
		}
	}
	path, err := f.save(cmd, core, out)
	clear()
	if err != nil {
		return err
	}
	return f.report(cmd, core.Summary(), path)
}

// refused says why there is no memory to be had, and makes a core that does.
func (f *captureFlags) refused(cmd *cobra.Command, pid int, opts collector.Options, cause error) (*collector.Captured, error) {
	if !collector.Refused(cause) || f.noRecord || cmd.Context().Err() != nil {
		return nil, cause
	}
	core, err := collector.Record(pid, opts, cause)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	return core, nil
}

func (f *captureFlags) save(cmd *cobra.Command, core *collector.Captured, out collector.Output) (string, error) {
	if f.output != "-" {
		return core.Save(out)
	}
	w := cmd.OutOrStdout()
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return "", errors.New("capture: a core is not for a terminal; name a file with -o")
	}
	return "", core.Stream(w, out)
}

// report prints where the core is and what it lacks.
func (f *captureFlags) report(cmd *cobra.Command, s *collector.Summary, path string) error {
	w := cmd.OutOrStdout()
	if f.output == "-" {
		w = cmd.ErrOrStderr()
	}
	switch {
	case f.json:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			Path string `json:"path,omitempty"`
			*collector.Summary
		}{path, s}); err != nil {
			return err
		}
	case !f.quiet:
		if path != "" {
			fmt.Fprintln(w, path)
		}
		fmt.Fprintln(cmd.ErrOrStderr(), summaryLine(s))
		for _, p := range s.Problems {
			fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %v\n", p)
		}
	}
	if s.Partial {
		return &exitError{status: exitPartial}
	}
	return nil
}

func summaryLine(s *collector.Summary) string {
	stopped := "not stopped"
	if s.Stopped > 0 {
		stopped = "stopped for " + s.Stopped.Round(10*time.Microsecond).String()
	}
	return fmt.Sprintf("%d of %d regions complete, %d of %d goroutines, %d of %d threads, %d bytes, %s",
		s.Regions.Complete, s.Regions.All, s.Goroutines.Captured, s.Goroutines.All,
		s.Threads.Captured, s.Threads.All, s.Bytes, stopped)
}

// progress returns what draws a line on a terminal while a capture takes long,
// and what wipes it; in a pipe both do nothing. A terminal whose user stopped
// its output must not stop the captured program: lines that it does not take are
// lost.
func progress(w io.Writer) (func(collector.Progress), func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, func() {}
	}
	lines := make(chan string, 1)
	go func() {
		for line := range lines {
			fmt.Fprintf(w, "\r\x1b[K%s", line)
		}
	}()
	began := time.Now()
	drawn := time.Time{}
	draw := func(p collector.Progress) {
		now := time.Now()
		if now.Sub(began) < 300*time.Millisecond || now.Sub(drawn) < 100*time.Millisecond {
			return
		}
		drawn = now
		line := p.Step
		if p.Total > 0 {
			line += fmt.Sprintf(" %d%%", p.Done*100/p.Total)
		}
		select {
		case lines <- line:
		default:
		}
	}
	return draw, func() {
		if !drawn.IsZero() {
			drawn = time.Time{}
			lines <- ""
		}
	}
}
