//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/duration"
)

func lastCommand() *cobra.Command {
	var f lastFlags
	cmd := &cobra.Command{
		Use:   "last [PROGRAM]",
		Short: "Print how programs ended the last time",
		Long: `Print how the programs that run supervises ended the last time: the reason, the
core, and how many crashes in a row there were, each within ten minutes of its
start. An end that ended run too is lost: its cause and time are not known, and it
counts as a crash. PROGRAM is the name of the executable, without its folder.

The exit status is 0. With --max-in-row, for health checks, it is 1 if a program
crashed more often in a row. It is 2 if the directory does not exist, or has records
of other programs and neither a record nor a start of PROGRAM.`,
		Example: `  meminspect last --dir cores
  meminspect last --dir cores --max-in-row 3 server`,
		Args: cobra.MaximumNArgs(1),
		RunE: f.run,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", "", "`directory` for cores of run (default as for run)")
	fl.Var(number{&f.max, 0, 1 << 30}, "max-in-row", "exit with status 1 if more than this many crashes in a row are recorded; 0 is no limit")
	fl.BoolVar(&f.json, "json", false, "print one JSON object a line")
	return cmd
}

type lastFlags struct {
	dir  string
	max  int
	json bool
}

// endJSON is an end as --json prints it.
type endJSON struct {
	Program   string           `json:"program"`
	PID       int              `json:"pid,omitempty"`
	Reason    string           `json:"reason"`
	Status    string           `json:"status,omitempty"`
	Crash     bool             `json:"crash"`
	Started   time.Time        `json:"started"`
	Time      time.Time        `json:"time"`
	Uptime    duration.Seconds `json:"uptime"`
	InRow     int              `json:"crashesInRow,omitempty"`
	LostInRow int              `json:"lostInRow,omitempty"`  // of these crashes
	Cores     map[string]int   `json:"coresInRow,omitempty"` // by reason
	Core      string           `json:"core,omitempty"`
	Signature string           `json:"signature,omitempty"`
}

func (f *lastFlags) run(cmd *cobra.Command, args []string) error {
	if f.dir == "" {
		f.dir = defaultDir()
	}
	all, err := store.Ends(f.dir)
	if err != nil {
		return fmt.Errorf("last: %w", err)
	}
	w := cmd.OutOrStdout()
	var ends []endJSON
	var often *store.End
	for i := range all {
		e := &all[i]
		if len(args) > 0 && e.Program != args[0] {
			continue
		}
		if f.max > 0 && e.InRow > f.max && often == nil {
			often = e
		}
		ends = append(ends, endJSON{e.Program, e.PID, e.Reason, e.Status, e.Crash, e.Started.UTC(), e.Time.UTC(), duration.Seconds(e.Uptime()), e.InRow, e.LostInRow, e.Cores, e.Core, e.Signature})
	}
	nothing, wrong := f.nothing(all, args)
	if len(ends) == 0 && wrong && f.max > 0 {
		return fmt.Errorf("last: %s", nothing)
	}
	switch {
	case f.json:
		err = printJSONLines(w, ends)
	case len(ends) == 0:
		_, err = fmt.Fprintln(w, nothing)
	default:
		for i := range ends {
			if err = ends[i].print(w); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	if often != nil {
		return &exitError{status: exitFindings, err: fmt.Errorf("last: %s: %s", often.Program, often.CrashesInRow())}
	}
	return nil
}

// nothing describes a directory without a record of the program, or of any. It
// reports whether the directory or the program may be the wrong one.
func (f *lastFlags) nothing(all []store.End, args []string) (text string, wrong bool) {
	if _, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
		return f.dir + " does not exist", true
	}
	if len(args) == 0 || len(all) == 0 {
		return f.dir + " has no record of how a program ended", false
	}
	var programs []string
	for _, e := range all {
		programs = append(programs, e.Program)
	}
	slices.Sort(programs)
	const most = 20
	more := ""
	if len(programs) > most {
		more = fmt.Sprintf(" and %d more", len(programs)-most)
		programs = programs[:most]
	}
	text = fmt.Sprintf("%s has no record of %s (it has records of: %s%s)", f.dir, args[0], strings.Join(programs, ", "), more)
	return text, !store.Begun(f.dir, args[0])
}

// spooled describes a core that was not sent when its program ended.
func spooled(path string) string {
	if !corefile.Spooled(path) {
		return ""
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return " (no longer there: it was sent, or removed)"
	}
	return " " + waitsToBeSent
}

func (e *endJSON) print(w io.Writer) error {
	status := ""
	if e.Status != "" {
		status = " (" + e.Status + ")"
	}
	when := ""
	if e.Reason == store.Lost {
		when = "noticed "
	}
	text := fmt.Sprintf("%s: %s%s, %s%s, %s after its start\n", e.Program, e.Reason, status, when, e.Time.Format("2006-01-02 15:04:05 UTC"), duration.Roughly(time.Duration(e.Uptime)))
	if e.Crash {
		text += "  " + (&store.End{InRow: e.InRow, LostInRow: e.LostInRow}).CrashesInRow()
		var cores []string
		for _, reason := range sortedKeys(e.Cores) {
			cores = append(cores, fmt.Sprintf("%d for %s", e.Cores[reason], reason))
		}
		if len(cores) > 0 {
			text += "; cores: " + strings.Join(cores, ", ")
		}
		text += "\n"
	}
	if e.Core != "" {
		text += "  core: " + e.Core + spooled(e.Core) + "\n"
	}
	if e.Signature != "" {
		text += "  bug:  " + e.Signature + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
