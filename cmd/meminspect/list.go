package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/signature"
)

// defaultDir returns the default directory of cores.
func defaultDir() string {
	if dir := os.Getenv("MEMINSPECT_DIR"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "meminspect")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "meminspect")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("meminspect-%d", os.Getuid()))
}

// addDir adds the flag for the directory of @1 and other selectors to a command
// that reads cores.
func addDir(cmd *cobra.Command) {
	cmd.Flags().String("dir", "", "`directory` of cores that are named @1 (the newest) or PROGRAM@2 (default as for run)")
}

// dirOf returns the directory that [addDir]'s flag names.
func dirOf(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("dir"); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	return defaultDir()
}

// corePath returns the path of the core that an argument names: a path, or a
// selector such as @1.
func corePath(cmd *cobra.Command, arg string) (string, error) {
	selector, ok := corefile.ParseSelector(arg)
	if !ok {
		return arg, nil
	}
	if _, err := os.Lstat(arg); err == nil {
		return arg, nil // a file has that name
	}
	core, err := selector.Find(dirOf(cmd))
	return core.Path, err
}

func listCommand() *cobra.Command {
	f := listFlags{tags: tags{}}
	cmd := &cobra.Command{
		Use:   "list [PROGRAM]",
		Short: "List the cores in a directory, the newest first",
		Long: `List the cores that run, core-handler and trigger left in a directory, the newest
first. The first column is the name by which each command that reads cores accepts
it: @1 is the newest of all, PROGRAM@1 the newest of a program. With --group the
cores of one bug, which have the same signature, are one line; the bug with the
newest core comes first.

The full cores in the store of systemd-coredump are listed too: --dir
/var/lib/systemd/coredump. Each command reads them; rm does not remove them.`,
		Example: `  meminspect list --dir cores
  meminspect list --dir cores --group
  meminspect list --dir cores --since 24h --reason panic server`,
		Args: cobra.MaximumNArgs(1),
		RunE: f.list,
	}
	cmd.Flags().Var((*duration.Value)(&f.since), "since", "list only cores that are at most this old; 0 lists all")
	cmd.Flags().StringVar(&f.reason, "reason", "", "list only cores with this `reason`, such as panic, signal-sigkill or sigkill")
	cmd.Flags().Var(f.tags, "tag", "list only cores that have this tag: KEY=VALUE; may be repeated")
	cmd.Flags().BoolVar(&f.group, "group", false, "print one line for all cores of a bug: how many, and when the first and the last were made")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object a line")
	return cmd
}

type listFlags struct {
	since  time.Duration
	reason string
	tags   tags
	group  bool
	json   bool
	given  bool // the directory
}

func (f *listFlags) list(cmd *cobra.Command, args []string) error {
	o, err := openOptions(cmd)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	dir, program := dirOf(cmd), ""
	if len(args) > 0 {
		program = args[0]
	}
	f.given = cmd.Flags().Changed("dir")
	lines, err := f.cores(dir, program, o)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	w := cmd.OutOrStdout()
	if why := f.excluded(dir, program); len(lines) == 0 && why != "" {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: list: %s\n", why)
		return err
	}
	switch {
	case f.json && f.group:
		return printJSONLines(w, groupCores(lines))
	case f.json:
		return printJSONLines(w, lines)
	case len(lines) == 0:
		_, err := fmt.Fprintf(w, "no cores in %s\n", dir)
		return err
	case f.group:
		return printCoreGroups(w, groupCores(lines))
	}
	return printList(w, lines)
}

// cores returns the cores in a directory that the flags select: those of a program if it
// is not "".
func (f *listFlags) cores(dir, program string, o corefile.OpenOptions) ([]listJSON, error) {
	cores, err := corefile.ListAll(dir)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || f.given) { // the default directory is made with the first core
		return nil, err
	}
	var lines []listJSON
	places := map[string]int{}
	for i, c := range cores {
		places[c.Program]++
		switch {
		case program != "" && c.Program != program:
			continue
		case !f.hasReason(c.Reason):
			continue
		case f.since > 0 && time.Since(c.When) > f.since:
			continue
		}
		selector := corefile.Selector{N: i + 1}
		if program != "" {
			selector = corefile.Selector{Program: c.Program, N: places[c.Program]}
		}
		line := listJSON{Selector: selector.String(), Core: c.Path, Program: c.Program, PID: c.PID, When: c.When, Reason: c.Reason, Bytes: c.Bytes}
		if c.Full {
			line.Message = "(full core: reading it takes longer)"
		} else {
			line.describe(o)
		}
		if line.Waits = c.Waits; c.Waits {
			line.Message = strings.TrimSpace(waitsToBeSent + " " + line.Message)
		}
		if line.has(f.tags) {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// hasReason reports whether the flags select cores with a reason. The name of a signal is
// enough.
func (f *listFlags) hasReason(reason string) bool {
	return f.reason == "" || reason == f.reason || reason == "signal-"+strings.ToLower(f.reason)
}

// excluded returns what the filters exclude if they exclude all cores of a directory, "" if it
// has none.
func (f *listFlags) excluded(dir, program string) string {
	cores, err := corefile.ListAll(dir)
	if err != nil || len(cores) == 0 {
		return ""
	}
	programs, reasons := map[string]bool{}, map[string]bool{}
	for _, c := range cores {
		programs[c.Program] = true
		if program == "" || c.Program == program {
			reasons[c.Reason] = true
		}
	}
	have := fmt.Sprintf("%s has %s", dir, plural(len(cores), "core"))
	switch {
	case program != "" && !programs[program]:
		return fmt.Sprintf("no core of the program %q: %s, of the programs: %s", program, have, some(programs))
	case !slices.ContainsFunc(slices.Collect(maps.Keys(reasons)), f.hasReason):
		return fmt.Sprintf("no core with the reason %q: %s, with the reasons: %s", f.reason, have, some(reasons))
	}
	return "no core is selected: " + have
}

// describe adds the facts that only the core contains. If it cannot be read,
// the message is the reason.
func (l *listJSON) describe(o corefile.OpenOptions) {
	core, err := inspect.OpenWith(l.Core, o)
	switch {
	case errors.Is(err, corefile.ErrEncrypted):
		l.Message = "(encrypted)"
		return
	case err != nil:
		l.Message = "(" + strings.TrimPrefix(err.Error(), "open core "+l.Core+": ") + ")" // the row has the path
		return
	}
	defer core.Close()
	l.Message, l.Tags, l.Where = report.CauseOf(core).Message, core.Tags(), facts.WhereOf(core)
	if core.Capture != nil {
		l.Host = core.Capture.Host
	}
	if s, err := report.SignatureOf(core); err == nil && s.ID != "" {
		l.Signature = &s
	}
}

// has reports whether the core has all of these tags.
func (l *listJSON) has(tags tags) bool {
	for key, value := range tags {
		if got, ok := l.Tags[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// listJSON is a core as --json prints it.
type listJSON struct {
	Selector string    `json:"selector"`
	Core     string    `json:"core"`
	Program  string    `json:"program"`
	PID      int       `json:"pid"`
	When     time.Time `json:"time"`
	Reason   string    `json:"reason"`
	Bytes    int64     `json:"bytes,string"`
	Waits    bool      `json:"waits,omitempty"`
	Message  string    `json:"message,omitempty"`
	Tags     tags      `json:"tags,omitempty"`
	Host     string    `json:"host,omitempty"`
	facts.Where

	Signature *signature.Signature `json:"signature,omitempty"`
}

// waitsToBeSent is at the beginning of the message of a core in the spool.
const waitsToBeSent = "(waits to be sent)"

// longestMessage is the number of characters of a message in the table.
const longestMessage = 60

func printList(w io.Writer, lines []listJSON) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	pods := slices.ContainsFunc(lines, func(l listJSON) bool { return l.PodName() != "" })
	pod := func(text string) string {
		if !pods {
			return ""
		}
		return text + "\t"
	}
	fmt.Fprintln(tw, "CORE\tTIME (UTC)\tPROGRAM\tPID\t"+pod("POD")+"REASON\tSIZE\tSIGNATURE\tMESSAGE")
	for _, l := range lines {
		id := ""
		if l.Signature != nil {
			id = l.Signature.ID
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s%s\t%s\t%s\t%s\n", l.Selector, l.When.Format(time.DateTime), l.Program, l.PID, pod(oneLine(l.PodName())), l.Reason,
			bytesize.Short(uint64(l.Bytes)), id, cutLine(oneLine(l.Message), longestMessage))
	}
	return tw.Flush()
}

func rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm CORE...",
		Short: "Remove cores",
		Long: `Remove cores. Only files with a core's name are removed. If one of the names is
wrong, nothing is removed.`,
		Example: `  meminspect rm --dir cores @2 server@1`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var paths []string
			for _, arg := range args {
				path, err := corePath(cmd, arg)
				if err != nil {
					return fmt.Errorf("rm: %w", err)
				}
				info, err := os.Lstat(path)
				if err != nil {
					return fmt.Errorf("rm: %w", err)
				}
				if !corefile.IsName(filepath.Base(path)) || !info.Mode().IsRegular() {
					return fmt.Errorf("rm %s: it is not a file with the name of a core: nothing is removed", path)
				}
				if !slices.Contains(paths, path) {
					paths = append(paths, path)
				}
			}
			var failed []error
			for _, path := range paths {
				if err := os.Remove(path); err != nil {
					failed = append(failed, err)
					continue
				}
				fmt.Fprintln(cmd.OutOrStdout(), "removed "+strings.TrimPrefix(path, "./"))
			}
			if err := errors.Join(failed...); err != nil {
				return fmt.Errorf("rm: %w", err)
			}
			return nil
		},
	}
}
