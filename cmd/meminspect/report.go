package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/signature"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// reportFlags are the flags of report.
type reportFlags struct {
	exe, link string
	format    choice
	json      bool
}

func reportCommand() *cobra.Command {
	f := reportFlags{format: choose("text", "json", "markdown", "otlp")}
	cmd := &cobra.Command{
		Use:   "report CORE",
		Short: "Print on one screen why a program ended, where, and what it was doing",
		Long: `Print the report of a core, the most important facts first: why the program ended
or was captured, its version and how long it ran; the calls of the goroutine that
failed, with the lines of the source if they are at hand and with the annotated
objects to which the calls have pointers; groups of the other goroutines, and what
they wait for; the entries that are annotated as summary; the last log records;
what the core lacks; and the commands that show more.

"meminspect CORE" is short for this command. Calls of the standard library are
counted only. In the template of --source-url, {file} is the path of the source
file in the program's main module, {line} the line and {commit} the revision.

The format otlp is a log record of OpenTelemetry, for the path /v1/logs of a
collector.`,
		Example: `  meminspect report shop.core
  meminspect report --format markdown shop.core
  meminspect report --source-url 'https://git.example.com/shop/blob/{commit}/{file}#L{line}' shop.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd, args[0]); err != nil {
				return fmt.Errorf("report: %w", err)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.exe, "exe", "", "the executable of the captured program")
	fl.StringVar(&f.link, "source-url", "", "add links to the source, made with this `template`")
	fl.Var(&f.format, "format", "form of the report")
	fl.BoolVar(&f.json, "json", false, "one JSON object, as --format json")
	exclusive(cmd, "", "format", "json")
	return cmd
}

func (f *reportFlags) run(cmd *cobra.Command, path string) error {
	core, err := readCore(cmd, path)
	if err != nil {
		return err
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, f.exe)
	if err != nil {
		return err
	}
	defer prog.Close()
	warn(cmd, prog)
	if why := report.NoLinks(f.link, core); why != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: report: --source-url makes no links: %s\n", why)
	}
	r := report.Make(prog, f.link)
	w := cmd.OutOrStdout()
	next := nextCommands(r, openArguments(cmd, core))
	switch {
	case f.json || f.format.value == "json":
		return printJSON(w, reportOf(r, next))
	case f.format.value == "otlp":
		return printJSON(w, otlpOf(reportOf(r, next)))
	case f.format.value == "markdown":
		return printMarkdown(w, r, next)
	}
	return printReport(w, r, next, screenWidth(w))
}

// screenWidth returns the number of columns of a report: 80, or those of a wider
// terminal, at most 120.
func screenWidth(w io.Writer) int {
	const least, most = 80, 120
	if width := shellWidth(w); width > 0 {
		return min(max(width, least), most)
	}
	if file, ok := unwrapped(w).(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return min(max(width, least), most)
		}
	}
	return least
}

// openArguments returns the arguments by which other commands open the core too.
func openArguments(cmd *cobra.Command, core *inspect.Core) string {
	args := quoteForShell(core.Path)
	if files, err := cmd.Flags().GetStringArray("identity"); err == nil && core.Encrypted {
		for _, file := range files {
			args += " --identity " + quoteForShell(file)
		}
	}
	return args
}

// quoteForShell quotes an argument if a shell would change it.
func quoteForShell(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./:@%+=,", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// nextCommands returns the commands that show more of a core. args opens it.
func nextCommands(r *report.Report, args string) []string {
	switch why := r.Core.Without(); {
	case errors.Is(why, inspect.ErrForeign), errors.Is(why, inspect.ErrNoMemory):
		return []string{"meminspect info " + args}
	}
	var next []string
	add := func(when bool, command string) {
		if when {
			next = append(next, "meminspect "+command+" "+args)
		}
	}
	stacks := len(r.Groups) > 0 || r.Failed != nil
	add(stacks && (r.Cause.Hang() || len(r.Deadlocks) > 0), "waits")
	add(stacks, "goroutines --group --user")
	add(stacks && !r.Cause.Hang() && !r.Cause.Memory() && len(r.Deadlocks) == 0 && len(r.Alike) > maxSets, "waits")
	add(len(r.Core.Regions) > 0, "print")
	add(len(r.Log) > 0, "log")
	add(stacks && r.Cause.Memory() && len(r.Deadlocks) == 0, "waits")
	add(stacks && !r.Cause.Hang() && !r.Cause.Memory(), "debug")
	add(len(r.Core.Receipts) > 0 && len(next) < 4, "regions")
	return next
}

// withReport returns a command line in which "report" precedes a core that is
// in the position of a command.
func withReport(args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return args
	}
	if cmd, _, err := rootCommand().Find(args[:1]); err == nil && cmd.HasParent() {
		return args
	}
	_, process := processID(args[0])
	_, err := os.Stat(args[0])
	if err != nil && !process && !strings.ContainsAny(args[0], "./@") { // which names of commands do not have
		return args
	}
	return append([]string{"report"}, args...)
}

// reportJSON is a report as --json prints it.
type reportJSON struct {
	Core      string               `json:"core"`
	Bytes     int64                `json:"bytes,string"`
	Title     string               `json:"title"`
	Reason    string               `json:"reason,omitempty"`
	Message   string               `json:"message,omitempty"`
	PanicType string               `json:"panicType,omitempty"`
	Signature *signature.Signature `json:"signature,omitempty"`
	Program   string               `json:"program,omitempty"`
	PID       int                  `json:"pid,omitempty"`
	GoVersion string               `json:"goVersion,omitempty"`
	Build     *facts.Build         `json:"build,omitempty"`
	Process   *facts.Process       `json:"process,omitempty"`
	Holders   []heapreport.Root    `json:"holders,omitempty"`
	Leaks     *heapreport.Leaks    `json:"leaks,omitempty"`
	When      *time.Time           `json:"time,omitempty"`
	Host      string               `json:"host,omitempty"`
	Tags      map[string]string    `json:"tags,omitempty"`
	Attached  []facts.File         `json:"attached,omitempty"`
	Failed    *failedJSON          `json:"failed,omitempty"`
	Groups    []groupJSON          `json:"groups,omitempty"`
	Waits     []waitJSON           `json:"waits,omitempty"`
	Deadlocks []deadlockJSON       `json:"deadlocks,omitempty"`
	Summary   []namedJSON          `json:"summary,omitempty"`
	Log       []recordJSON         `json:"log,omitempty"`
	Older     int                  `json:"olderRecords,omitempty"`
	Gaps      []string             `json:"gaps,omitempty"`
	Next      []string             `json:"next,omitempty"`
}

type failedJSON struct {
	ID      uint64     `json:"id,string"`
	State   string     `json:"state,omitempty"`
	Calls   []callJSON `json:"calls"`
	Created *frameJSON `json:"created,omitempty"`
	Problem string     `json:"problem,omitempty"`
}

type callJSON struct {
	Function string       `json:"function"`
	File     string       `json:"file"`
	Line     int          `json:"line"`
	Library  bool         `json:"library,omitempty"`
	Source   string       `json:"source,omitempty"`
	Link     string       `json:"link,omitempty"`
	Objects  []objectJSON `json:"objects,omitempty"`

	Omitted *omissionJSON `json:"omitted,omitempty"`
}

type objectJSON struct {
	Address address `json:"address"`
	Path    string  `json:"path"`
}

type namedJSON struct {
	Name  string       `json:"name"`
	Value *value.Value `json:"value"`
}

func reportOf(r *report.Report, next []string) *reportJSON {
	info := coreInfo(r.Core)
	out := &reportJSON{
		Core: info.Core, Bytes: info.Bytes, Title: r.Title(), Reason: r.Cause.Reason, Message: r.Cause.Message, PanicType: r.Cause.Type,
		Program: info.Program, PID: info.PID, GoVersion: info.GoVersion, Build: info.Build, Process: info.Process, When: info.When, Host: info.Host, Tags: info.Tags, Attached: info.Attached,
		Failed: failedOf(r.Failed), Older: r.Older, Gaps: r.Gaps, Next: next,
	}
	if r.Signature.ID != "" {
		out.Signature = &r.Signature
	}
	if r.Heap != nil {
		out.Holders, out.Leaks = r.Heap.Holders(report.MaxHolders), r.Heap.Leaks
	}
	for i := range r.Groups {
		out.Groups = append(out.Groups, groupOf(&r.Groups[i]))
	}
	for i := range r.Waits {
		out.Waits = append(out.Waits, waitOf(&r.Waits[i]))
	}
	for i := range r.Deadlocks {
		out.Deadlocks = append(out.Deadlocks, deadlockOf(&r.Deadlocks[i]))
	}
	for _, v := range r.Summary {
		out.Summary = append(out.Summary, namedJSON{v.Name, v.Value})
	}
	for i := range r.Log {
		out.Log = append(out.Log, logJSON(&r.Log[i]))
	}
	return out
}

func failedOf(g *report.Goroutine) *failedJSON {
	if g == nil {
		return nil
	}
	out := &failedJSON{ID: g.ID, State: g.State, Calls: []callJSON{}, Created: frameOf(g.Created), Problem: g.Problem}
	for i := range g.Calls {
		c := &g.Calls[i]
		call := callJSON{Function: c.Function, File: c.File, Line: c.Line, Library: c.Library, Source: c.Source, Link: c.Link, Omitted: omissionOf(c.Omitted)}
		for _, o := range c.Objects {
			call.Objects = append(call.Objects, objectJSON{address(o.Addr), o.Path})
		}
		out.Calls = append(out.Calls, call)
	}
	return out
}
