package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A takeFlags is what the commands that make a core are told of what goes into
// it and where it goes.
type takeFlags struct {
	verb                 string // of the command
	strict, data         bool
	stacks               string
	args, labels         bool
	include              []string
	symbols              string
	budget, regionBudget string
	depth, segments      int
	reason               string
	output, dir          string
	compress             bool
	recipients           []string
	json, quiet          bool
}

func (f *takeFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	f.addMemory(fl)
	fl.StringVarP(&f.output, "output", "o", "", "file to write, - for standard output")
	fl.StringVar(&f.dir, "dir", "", "folder for the file")
	fl.BoolVar(&f.compress, "compress", false, "compress with zstd")
	fl.StringArrayVar(&f.recipients, "recipient", nil, "encrypt to this age public key (age1…); may be given more than once")
	fl.BoolVar(&f.json, "json", false, "print a summary as JSON")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors")
	exclusive(cmd, "strict", "data")
	exclusive(cmd, "output", "dir")
	exclusive(cmd, "json", "quiet")
}

func (f *takeFlags) addMemory(fl *pflag.FlagSet) {
	fl.BoolVar(&f.strict, "strict", false, "regions alone, nothing else of the program's memory")
	fl.BoolVar(&f.data, "data", false, "the program's unannotated variables too")
	fl.StringVar(&f.stacks, "stacks", "auto", "goroutine stacks: auto, full, skeleton (no locals) or none")
	fl.BoolVar(&f.args, "args", false, "store the command line, which may hold secrets")
	fl.BoolVar(&f.labels, "labels", false, "store goroutine labels, which may hold secrets")
	fl.StringArrayVar(&f.include, "include", nil, "take this variable as if it were annotated (IMPORTPATH.NAME)")
	fl.StringVar(&f.symbols, "symbols", "", "unstripped twin of the executable, of the same build")
	fl.StringVar(&f.budget, "budget", "", "bytes of memory at most, with KiB, MiB or GiB (256MiB)")
	fl.StringVar(&f.regionBudget, "region-budget", "", "bytes at most for each region that does not say (16MiB)")
	fl.IntVar(&f.depth, "depth", anchor.DefaultDepth, "pointers to follow from regions that do not say; 0 for none")
	fl.IntVar(&f.segments, "segments", capture.DefaultSegments, "segments to join down to: more make a smaller file and slower debuggers")
}

// options turns the flags into the collector's.
func (f *takeFlags) options() (capture.Options, error) {
	o := capture.Options{
		Args: f.args, Labels: f.labels, Include: f.include, Symbols: f.symbols,
		Depth: f.depth, Segments: f.segments, Reason: f.reason,
		Request: request.Request{Requester: "meminspect " + f.verb, Hold: request.Hold{PauseGC: gcpause.Begin}},
	}
	switch {
	case f.depth < 0:
		return o, fmt.Errorf("%s: --depth=%d: want 0 or more", f.verb, f.depth)
	case f.depth == 0:
		o.Depth = -1 // the collector's word for none
	}
	if f.segments < 1 {
		return o, fmt.Errorf("%s: --segments=%d: want 1 or more", f.verb, f.segments)
	}
	switch {
	case f.strict:
		o.Mode = capture.Strict
	case f.data:
		o.Mode = capture.Data
	}
	stacks, ok := map[string]capture.Stacks{
		"auto": capture.StacksAuto, "full": capture.StacksFull, "skeleton": capture.StacksSkeleton, "none": capture.StacksNone,
	}[f.stacks]
	if !ok {
		return o, fmt.Errorf("%s: --stacks=%s: it must be auto, full, skeleton or none", f.verb, f.stacks)
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
			return o, fmt.Errorf("%s: --%s: %w", f.verb, b.flag, err)
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

// form is how the core is stored.
func (f *takeFlags) form() (corefile.Form, error) {
	recipients, err := corefile.ParseRecipients(f.recipients, nil)
	if err != nil {
		return corefile.Form{}, fmt.Errorf("%s: %w", f.verb, err)
	}
	return corefile.Form{Compress: f.compress, Recipients: recipients}, nil
}

// take has a core made, saves it and reports.
func (f *takeFlags) take(cmd *cobra.Command, opts capture.Options, make func(capture.Options) (*capture.Core, error)) error {
	form, err := f.form()
	if err != nil {
		return err
	}
	clear := func() {}
	if !f.quiet {
		opts.Progress, clear = progress(cmd.ErrOrStderr())
	}
	core, err := make(opts)
	clear()
	if err != nil {
		return err
	}
	path, err := f.save(cmd, core, form)
	clear()
	if err != nil {
		return err
	}
	return f.report(cmd, core.Summary(), path)
}

func (f *takeFlags) save(cmd *cobra.Command, core *capture.Core, form corefile.Form) (string, error) {
	if f.output != "-" {
		path := f.output
		if path == "" {
			s := core.Summary()
			path = filepath.Join(f.dir, corefile.Name(s.Program, s.PID, s.When, s.Reason)+form.Suffix())
		}
		return path, corefile.Save(path, form, corefile.From(core))
	}
	w := cmd.OutOrStdout()
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return "", errors.New(f.verb + ": a core is not for a terminal; name a file with -o")
	}
	return "", form.Write(w, corefile.From(core))
}

// report prints where the core is and what it lacks.
func (f *takeFlags) report(cmd *cobra.Command, s *capture.Summary, path string) error {
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
			*capture.Summary
		}{path, s}); err != nil {
			return err
		}
	case !f.quiet:
		if path != "" {
			fmt.Fprintln(w, path)
		}
		line := summaryLine(s)
		if info, err := os.Stat(path); err == nil && (f.compress || len(f.recipients) > 0) {
			line += fmt.Sprintf(", %d in the file", info.Size())
		}
		fmt.Fprintln(cmd.ErrOrStderr(), line)
		for _, p := range s.Problems {
			fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %v\n", p)
		}
	}
	if s.Partial {
		return &exitError{status: exitPartial}
	}
	return nil
}

func summaryLine(s *capture.Summary) string {
	stopped := "not stopped"
	switch {
	case s.FullCore != "":
		stopped = "from " + s.FullCore
	case s.Stopped > 0:
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
func progress(w io.Writer) (func(capture.Progress), func()) {
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
	draw := func(p capture.Progress) {
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
