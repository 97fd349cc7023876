package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func infoCommand() *cobra.Command {
	var asJSON, lines bool
	var file string
	cmd := &cobra.Command{
		Use:   "info CORE",
		Short: "Describe a core: its program, when, why, and what it contains",
		Long: `Print the facts about a core: which program it was captured from, when, why and
by which tool, how long the program was stopped, how much of its memory the core
contains, and what was omitted and why. For a core of another tool, info prints
the facts that it contains.`,
		Example: `  meminspect info shop.core
  meminspect info --json shop.core
  meminspect info --vmcoreinfo shop.core
  meminspect info --attached shop.yaml shop.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := readWholeCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("info: %w", err)
			}
			defer core.Close()
			if file != "" {
				return printAttached(cmd.OutOrStdout(), core, file)
			}
			if lines {
				return printVMCoreInfo(cmd.OutOrStdout(), core)
			}
			info := coreInfo(core)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), info)
			}
			info.print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	cmd.Flags().BoolVar(&lines, "vmcoreinfo", false, "print the vmcoreinfo: a line for each symbol, size, offset, length and number")
	cmd.Flags().StringVar(&file, "attached", "", "print the attached `file` of this name")
	exclusive(cmd, "", "json", "vmcoreinfo", "attached")
	return cmd
}

// printAttached prints an attached file: unchanged, but to a terminal escaped.
func printAttached(w io.Writer, core *inspect.Core, path string) error {
	var paths []string
	for _, f := range core.Attached() {
		if f.Path == path {
			_, err := w.Write(f.Data)
			return err
		}
		paths = append(paths, f.Path)
	}
	if len(paths) == 0 {
		return fmt.Errorf("info: --attached %s: %s has no attached file", path, core.Path)
	}
	return fmt.Errorf("info: --attached %s: %s has no file of this name: name one of %s", path, core.Path, strings.Join(paths, ", "))
}

// printVMCoreInfo prints the lines of a core's vmcoreinfo.
func printVMCoreInfo(w io.Writer, core *inspect.Core) error {
	text := core.VMCoreInfo()
	if text == "" {
		return fmt.Errorf("info: %s: it has no vmcoreinfo: it was not written by meminspect, or is not of a Go program", core.Path)
	}
	_, err := io.WriteString(w, text)
	return err
}

// infoJSON is the output of info --json.
type infoJSON struct {
	Core       string            `json:"core"`
	Bytes      int64             `json:"bytes,string"`
	Missing    uint64            `json:"missingBytes,omitempty,string"`
	Packed     int64             `json:"storedBytes,omitempty,string"` // of a compressed core
	Encrypted  bool              `json:"encrypted,omitempty"`
	Machine    string            `json:"machine"`
	Program    string            `json:"program,omitempty"`
	PID        int               `json:"pid,omitempty"`
	GoVersion  string            `json:"goVersion,omitempty"`
	BuildID    string            `json:"goBuildID,omitempty"`
	GNUBuildID string            `json:"gnuBuildID,omitempty"`
	Build      *facts.Build      `json:"build,omitempty"`
	Process    *facts.Process    `json:"process,omitempty"`
	Why        string            `json:"reason,omitempty"`
	When       *time.Time        `json:"time,omitempty"`
	Who        string            `json:"requester,omitempty"`
	Tool       string            `json:"tool,omitempty"`
	Host       string            `json:"host,omitempty"`
	Kernel     string            `json:"kernel,omitempty"`
	Stopped    duration.Seconds  `json:"stopped,omitempty"`
	Strict     bool              `json:"strict,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Attached   []facts.File      `json:"attached,omitempty"`
	More       map[string]string `json:"more,omitempty"`
	Signal     int32             `json:"signal,omitempty"`
	Threads    threadsJSON       `json:"threads"`
	Segments   int               `json:"segments"`
	Captured   uint64            `json:"capturedBytes,string"`
	Marked     uint64            `json:"markedBytes,string"`
	Torn       uint64            `json:"tornBytes,omitempty,string"`
	TornPlaces int               `json:"tornPlaces,omitempty"`
	Regions    *capture.Regions  `json:"regions,omitempty"` // nil: no table
	Receipts   []receiptJSON     `json:"receipts,omitempty"`
	Problems   []string          `json:"problems,omitempty"`
	Crash      string            `json:"crash,omitempty"`
}

// threadsJSON is the part of [capture.Count] that a core has.
type threadsJSON struct {
	Captured int `json:"captured"`
}

type receiptJSON struct {
	Reason string `json:"reason"`
	Bytes  uint64 `json:"bytes,string"`
	Places uint32 `json:"places"`
	Rule   string `json:"rule,omitempty"`
}

func coreInfo(c *inspect.Core) *infoJSON {
	captured, marked := c.Captured()
	info := &infoJSON{
		Core: c.Path, Bytes: c.Bytes, Missing: c.Missing(), Packed: c.Compressed, Encrypted: c.Encrypted, Machine: elfcore.MachineName(c.Machine),
		Threads: threadsJSON{len(c.Threads)}, Segments: c.Filled(), Captured: captured, Marked: marked, Torn: c.Torn.Size(), TornPlaces: len(c.Torn),
	}
	info.BuildID, info.GNUBuildID = c.BuildIDs()
	info.Build, info.Process = facts.BuildOf(c), facts.ProcessOf(c)
	info.Attached = facts.FilesOf(c)
	info.Program, info.PID = c.Program(), c.PID()
	if c.Signal != nil {
		info.Signal = c.Signal.Signal
	}
	if c.NeedRegions() == nil {
		regions := capture.CountRegions(c.Regions)
		info.Regions = &regions
	}
	if r := c.Capture; r != nil {
		info.Why, info.Who, info.Tool, info.Host, info.Kernel = r.Why, r.Who, r.ToolVersion, r.Host, r.Kernel
		info.GoVersion = r.GoVersion
		info.Stopped, info.Strict = duration.Seconds(r.Stopped), r.Strict
		if !r.When.IsZero() {
			when := r.When.UTC()
			info.When = &when
		}
		info.Tags = c.Tags()
		for _, p := range r.Extra {
			if strings.HasPrefix(p.Key, note.TagPrefix) {
				continue
			}
			if info.More == nil {
				info.More = map[string]string{}
			}
			info.More[p.Key] = strings.TrimRight(p.Value, " ") // A value that replaced a longer one is padded.
		}
	}
	for _, r := range c.Receipts {
		info.Receipts = append(info.Receipts, receiptJSON{r.Reason.String(), r.Size, r.Count, r.Rule})
	}
	info.Problems = c.Problems()
	if c.Crash != nil {
		info.Crash = c.Crash.Text
	}
	return info
}

func (i *infoJSON) print(w io.Writer) {
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(w, "%-10s %s\n", name+":", text)
		}
	}
	state := ""
	if i.Missing > 0 {
		state = fmt.Sprintf(", truncated: %d bytes are missing", i.Missing)
	}
	if i.Packed > 0 {
		state += fmt.Sprintf(", compressed to %d", i.Packed)
	}
	line("core", "%s, %d bytes, %s%s", i.Core, i.Bytes, i.Machine, state)
	if i.Program != "" {
		line("program", "%s, pid %d", i.Program, i.PID)
	}
	line("built by", "%s", i.GoVersion)
	line("build id", "%s", i.BuildID)
	line("GNU id", "%s", i.GNUBuildID)
	if i.Build != nil {
		printBuild(i.Build, line)
	}
	if i.Process != nil {
		printProcess(i.Process, line)
	}
	line("why", "%s", i.Why)
	if i.Signal != 0 {
		line("signal", "%d", i.Signal)
	}
	if i.When != nil {
		line("when", "%s", i.When.Format("2006-01-02 15:04:05.000000000 UTC"))
	}
	line("who", "%s", strings.TrimSpace(i.Who+" "+i.Tool))
	if i.Host != "" {
		line("host", "%s, kernel %s", i.Host, i.Kernel)
	}
	if i.Stopped != 0 {
		line("stopped", "for %v", time.Duration(i.Stopped))
	}
	line("tags", "%s", strings.Join(facts.Tags(i.Tags), ", "))
	for _, f := range i.Attached {
		cut := ""
		if f.Stored < f.Size {
			cut = fmt.Sprintf(", the first %d are stored", f.Stored)
		}
		line("attached", "%s, %d bytes%s", f.Path, f.Size, cut)
	}
	for _, key := range sortedKeys(i.More) {
		line(key, "%s", i.More[key])
	}
	mode := ""
	if i.Strict {
		mode = ", strict: regions alone"
	}
	line("memory", "%d bytes captured, %d marked as not captured, in %d segments%s", i.Captured, i.Marked, i.Segments, mode)
	if i.Torn > 0 {
		line("torn", "%d bytes%s changed while they were read", i.Torn, places(uint32(i.TornPlaces)))
	}
	line("threads", "%d", i.Threads.Captured)
	if i.Regions == nil {
		line("regions", "no table: not written by meminspect")
	} else {
		line("regions", "%d%s", i.Regions.All, incompleteText(i.Regions))
		for _, why := range sortedKeys(i.Regions.Reasons) {
			line("missing", "%s, in %s", why, countOf(i.Regions.Reasons[why], "region"))
		}
	}
	printReceipts(i.Receipts, i.Captured == 0, line)
	for _, problem := range i.Problems {
		line("problem", "%s", problem)
	}
	if i.Crash != "" {
		fmt.Fprintf(w, "crash:\n%s\n", strings.TrimRight(i.Crash, "\n"))
	}
}

// printReceipts prints what is not in a core, which may be empty. Exclusions of which it has
// no value are counted. A value that could not be followed has no bytes: its rule names it.
func printReceipts(receipts []receiptJSON, empty bool, line func(name, format string, args ...any)) {
	idle := 0
	for _, r := range receipts {
		switch {
		case r.Bytes == 0 && r.Rule != "" && r.Reason == note.ReasonExcluded.String():
			idle++
		case empty && r.Rule != "" && r.Reason == note.ReasonUnreadable.String():
			line("left out", "all memory: %s", r.Rule)
		case r.Bytes == 0 && strings.HasPrefix(r.Rule, r.Reason+" "):
			line("left out", "%s", r.Rule)
		case r.Bytes == 0 && r.Rule != "":
			line("left out", "%s: %s", r.Reason, r.Rule)
		case r.Rule != "":
			line("left out", "%d bytes%s, %s: %s", r.Bytes, places(r.Places), r.Reason, r.Rule)
		default:
			line("left out", "%d bytes%s, %s", r.Bytes, places(r.Places), r.Reason)
		}
	}
	if idle > 0 {
		line("left out", "nothing by %s, of which the core has no value", countOf(idle, "exclusion"))
	}
}

// incompleteText returns how many regions have each status but complete.
func incompleteText(r *capture.Regions) string {
	text := ""
	for _, count := range []struct {
		n      int
		status string
	}{{r.Gone, "gone"}, {r.Partial, "partial"}, {r.Torn, "torn"}, {r.Unreadable, "unreadable"}} {
		if count.n > 0 {
			text += fmt.Sprintf(", %d %s", count.n, count.status)
		}
	}
	return text
}

// countOf returns a number of things as text.
func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// places describes a number of places, unless it was not counted.
func places(n uint32) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " in one place"
	}
	return fmt.Sprintf(" in %d places", n)
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
