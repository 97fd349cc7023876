package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/duration"
)

// saveFlags are the flags of the commands that make one core: its content, and
// its destination.
type saveFlags struct {
	captureFlags
	reason      string
	output, dir string
	require     choice
	json, quiet bool
}

func (f *saveFlags) add(cmd *cobra.Command) {
	f.captureFlags.add(cmd)
	addRequire(cmd, &f.require)
	fl := cmd.Flags()
	fl.StringVarP(&f.output, "output", "o", "", "`file` to write; - is standard output")
	fl.StringVar(&f.dir, "dir", "", "`directory` for the core, made if it does not exist (default the working directory)")
	fl.BoolVar(&f.json, "json", false, "print a summary as JSON")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print only errors")
	exclusive(cmd, "", "output", "dir")
	exclusive(cmd, "", "json", "quiet")
}

// addRequire adds the flag of the commands that make a core and report what it lacks.
func addRequire(cmd *cobra.Command, require *choice) {
	*require = choose("nothing", "complete")
	cmd.Flags().Var(require, "require", "complete makes it an error (exit status 3) that a region is partial, torn or unreadable; the core is still written")
}

// options converts the flags to capture's options.
func (f *saveFlags) options(cmd *cobra.Command) capture.Options {
	o := f.captureFlags.options()
	o.Reason = f.reason
	heap := o.Request.Heap
	o.Request = requestOf(cmd)
	o.Request.Heap = heap
	return o
}

// save makes a core, saves it and reports it.
func (f *saveFlags) save(cmd *cobra.Command, opts capture.Options, makeCore func(capture.Options) (*capture.Core, error)) error {
	form, err := f.form()
	if err != nil {
		return fmt.Errorf("%s: %w", verbOf(cmd), err)
	}
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return fmt.Errorf("%s: --dir: %w", verbOf(cmd), err)
		}
	}
	clearProgress := func() {}
	if !f.quiet {
		opts.Progress, clearProgress = progress(cmd.ErrOrStderr())
	}
	core, err := makeCore(opts)
	clearProgress()
	if err != nil {
		return err
	}
	path, err := f.write(cmd, core, form)
	clearProgress()
	if err != nil {
		return err
	}
	return f.report(cmd, core.Summary(), path)
}

// write writes the core and returns the path of its file, "" for standard output.
func (f *saveFlags) write(cmd *cobra.Command, core *capture.Core, form corefile.Form) (string, error) {
	if f.output != "-" {
		path := f.output
		if path == "" {
			s := core.Summary()
			path = filepath.Join(f.dir, corefile.Name(s.Program, s.PID, s.When, s.Reason)+form.Suffix())
		}
		return path, corefile.Save(path, form, corefile.From(core))
	}
	w := cmd.OutOrStdout()
	if isTerminal(w) {
		return "", fmt.Errorf("%s: write a core to a terminal: name a file with -o, or redirect standard output", verbOf(cmd))
	}
	return "", form.Write(raw(w), corefile.From(core))
}

// report prints where the core is and what it lacks.
func (f *saveFlags) report(cmd *cobra.Command, s *capture.Summary, path string) error {
	w := cmd.OutOrStdout()
	if f.output == "-" {
		w = cmd.ErrOrStderr()
	}
	switch {
	case f.json:
		if err := printJSON(w, summaryOf(s, path)); err != nil {
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
	if err := checkRequired(f.require, verbOf(cmd), s.Regions.All, s.Regions.Incomplete); err != nil {
		return err
	}
	if s.Partial {
		return &exitError{status: exitPartial}
	}
	return nil
}

// checkRequired returns an error about the incomplete ones of all regions, if they
// must be complete.
func checkRequired(require choice, verb string, all int, list []capture.Incomplete) error {
	if len(list) == 0 || require.value != "complete" {
		return nil
	}
	const most = 20
	var b strings.Builder
	for i, r := range list {
		if i == most {
			fmt.Fprintf(&b, "\n\tand %d more: see meminspect regions", len(list)-most)
			break
		}
		fmt.Fprintf(&b, "\n\t%s: %s", oneLine(r.Name), r.Status)
	}
	return &exitError{status: exitPartial, err: fmt.Errorf("%s: --require=complete: these of %s are not complete:%s", verb, countOf(all, "region"), &b)}
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

// progress returns a function that draws a progress line on a terminal while a
// capture takes long, and one that clears it; in a pipe both do nothing. A
// terminal whose user stopped its output must not stop the captured program:
// lines that it does not accept are lost.
func progress(w io.Writer) (func(capture.Progress), func()) {
	if !isTerminal(w) {
		return nil, func() {}
	}
	w = raw(w)
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

// summaryJSON is a summary as --json prints it.
type summaryJSON struct {
	Path      string    `json:"path,omitempty"`
	PID       int       `json:"pid"`
	Program   string    `json:"program"`
	GoVersion string    `json:"goVersion,omitempty"`
	GoBuildID string    `json:"goBuildID,omitempty"`
	Time      time.Time `json:"time"`
	Reason    string    `json:"reason"`
	Mode      string    `json:"mode"`
	FullCore  string    `json:"fullCore,omitempty"`

	Bytes         int64  `json:"bytes,string"`
	CapturedBytes uint64 `json:"capturedBytes,string"`
	Segments      int    `json:"segments"`

	Find    duration.Seconds `json:"find"`
	Stopped duration.Seconds `json:"stopped"`
	Total   duration.Seconds `json:"total"`

	Threads    capture.Count     `json:"threads"`
	Goroutines capture.Count     `json:"goroutines"`
	Stacks     string            `json:"stacks"`
	Regions    capture.Regions   `json:"regions"`
	Partial    bool              `json:"partial"`
	Problems   []capture.Problem `json:"problems,omitempty"`
}

func summaryOf(s *capture.Summary, path string) summaryJSON {
	return summaryJSON{
		Path: path, PID: s.PID, Program: s.Program, GoVersion: s.GoVersion, GoBuildID: s.BuildID, Time: s.When.UTC(),
		Reason: s.Reason, Mode: s.Mode, FullCore: s.FullCore, Bytes: s.Bytes, CapturedBytes: s.Payload, Segments: s.Segments,
		Find: duration.Seconds(s.Find), Stopped: duration.Seconds(s.Stopped), Total: duration.Seconds(s.Total), Threads: s.Threads, Goroutines: s.Goroutines,
		Stacks: s.Stacks, Regions: s.Regions, Partial: s.Partial, Problems: s.Problems,
	}
}
