//go:build linux

package acceptance

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// regionStatuses are the regions of testdata/statuses and the status of each, by
// the way of making a core: of a program that is stopped (or from a full core),
// that runs, by the program itself, by an agent that copies a live image, by
// minidump export. A dash is for a way that cannot know the status, or that refuses
// the region.
const regionStatuses = `
number   | complete               | complete               | complete             | complete           | complete
null     | complete               | complete               | complete             | partial (depth)    | partial (depth)
list     | complete               | complete               | partial (depth)      | partial (depth)    | partial (depth)
deep     | partial (depth)        | partial (depth)        | partial (depth)      | partial (depth)    | partial (depth)
words    | partial (budget)       | partial (budget)       | partial (depth)      | partial (depth)    | partial (depth)
block    | partial (budget)       | partial (budget)       | complete             | complete           | complete
secret   | partial (redacted)     | partial (redacted)     | partial (redacted)   | partial (redacted) | partial (redacted)
pointer  | partial (untyped)      | partial (untyped)      | partial (untyped)    | partial (untyped)  | partial (untyped)
lost     | partial (unreadable)   | partial (unreadable)   | partial (depth)      | partial (depth)    | partial (depth)
bad      | partial (inconsistent) | partial (inconsistent) | partial (depth)      | partial (depth)    | partial (depth)
torn     | complete               | torn                   | torn                 | -                  | torn
text     | complete               | complete               | complete             | complete           | complete
foreign  | complete               | complete               | complete             | complete           | complete
half     | partial (unreadable)   | partial (unreadable)   | partial (unreadable) | -                  | partial (unreadable)
unmapped | unreadable             | unreadable             | unreadable           | -                  | unreadable
gone     | gone                   | gone                   | gone                 | -                  | -
`

// A coreWriter is a way of making a core.
type coreWriter struct {
	name    string
	column  int      // of regionStatuses
	command []string // of the tool, which ends with the process ID, the full core or the directory of cores
}

var coreWriters = []coreWriter{
	{"capture", 1, []string{"capture", "--stop"}},
	{"capture of a running program", 2, []string{"capture", "--no-stop"}},
	{"filter", 1, []string{"filter"}},
	{"trigger", 1, []string{"trigger", "--dir"}},
	{"own core", 3, nil},
	{"live image", 4, nil},
	{"minidump", 5, nil},
}

// Whatever writes a core, and whatever status a region has: the core's note, info,
// regions, print and the exit status agree on it, and print shows a complete region
// as a whole.
func TestStatusesAgree(t *testing.T) {
	needAMD64(t)
	exe, meminspect := build(t, "statuses", []string{"CGO_ENABLED=0"}), tool(t)
	tally := matrix.NewTally(t)
	n := 0
	for row := range strings.Lines(strings.TrimSpace(regionStatuses)) {
		fields := strings.Split(row, "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		t.Run(fields[0], func(t *testing.T) {
			r := &statusRun{region: fields[0], tool: meminspect, exe: exe}
			for _, w := range coreWriters {
				if n++; fields[w.column] == "-" {
					continue
				}
				if !matrix.Whole() && n%12 != 0 {
					tally.Skip(1)
					continue
				}
				tally.RunIn(t, w.name, func(t *testing.T) { r.check(t, w, fields[w.column]) })
			}
		})
	}
}

// A statusRun has one region.
type statusRun struct{ region, tool, exe string }

// check makes cores until one has a status, which depends on the moment only if it
// is torn, and compares what is reported about each of them.
func (r *statusRun) check(t *testing.T, w coreWriter, want string) {
	const tries = 50
	got := ""
	for try := 0; got != want && (try == 0 || want == "torn" && try < tries); try++ {
		core := r.write(t, w)
		got = r.compare(t, core)
	}
	if got != want {
		t.Errorf("the region is %s, want %s", got, want)
	}
}

// write makes a core in a new way, and checks the exit status of the command that
// makes it.
func (r *statusRun) write(t *testing.T, w coreWriter) string {
	t.Helper()
	dir := t.TempDir()
	if w.name == "trigger" {
		startWithInput(t, r.tool, "run", "--quiet", "--dir", dir, "--", r.exe, r.region)
		await.True(t, "the supervisor listens", func() bool { found, _ := filepath.Glob(dir + "/.trigger-*"); return len(found) == 1 })
		r.checkExit(t, "", append(slices.Clone(w.command), dir))
		return r.checkExit(t, "", append(slices.Clone(w.command), dir, "--require=complete"))
	}
	p, in := startWithInput(t, r.exe, r.region)
	core := filepath.Join(dir, "core")
	do := func(command, file string) {
		fmt.Fprintf(in, "%s %s\n", command, file)
		p.expect(t, "ready")
	}
	switch w.name {
	case "own core":
		do("own", core)
	case "strict own core":
		do("strict", core)
	case "live image":
		do("live", core)
	case "minidump":
		do("minidump", filepath.Join(dir, "toc"))
		files := filepath.Join(dir, "files")
		runTool(t, r.tool, "minidump", "export", "--pid", strconv.Itoa(p.Process.Pid), files)
		runTool(t, r.tool, "minidump", "assemble", "-o", core, files)
	default:
		source := strconv.Itoa(p.Process.Pid)
		if w.name == "filter" {
			source = fullCore(t, p.Process.Pid)
			defer os.Remove(source)
		}
		r.checkExit(t, core, append(w.command, "-q", "-o", core, source))
		r.checkExit(t, core, append(w.command, "-q", "-o", core, "--require=complete", source))
	}
	return core
}

// checkExit runs a command that makes a core, and returns its path. The exit status and
// the error must be those of the region's status in that core. Without a path, the
// command prints it.
func (r *statusRun) checkExit(t *testing.T, core string, command []string) string {
	t.Helper()
	out, err := exec.Command(r.tool, command...).CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	failed := exit != nil && exit.ExitCode() == 3
	if exit != nil && !failed {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	if core == "" {
		core, _, _ = strings.Cut(string(out), "\n")
	}
	status := r.find(t, core).Status
	want, text := status&^(note.Expected|note.Gone) != 0, ""
	if slices.Contains(command, "--require=complete") && status&^note.Gone != 0 {
		want, text = true, fmt.Sprintf("\t%s: %v\n", r.region, status)
	}
	if failed != want || !strings.Contains(string(out), text) {
		t.Errorf("%v: the region is %v, and it ended with %v:\n%s", command, status, err, out)
	}
	return core
}

// find returns the region in a core's note.
func (r *statusRun) find(t *testing.T, path string) *note.Region {
	t.Helper()
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	for i := range core.Regions {
		if core.Regions[i].Name == r.region {
			return &core.Regions[i]
		}
	}
	t.Fatalf("no region %s", r.region)
	return nil
}

// compare compares what commands print about a core with its note, and returns the
// region's status in the note.
func (r *statusRun) compare(t *testing.T, path string) string {
	t.Helper()
	region := r.find(t, path)
	status := region.Status
	type reported struct {
		Name, Status string
		Reasons      []string
		Value        json.RawMessage
	}
	decode := func(text string) (found reported) {
		for line := range strings.Lines(text) {
			var v reported
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v: %.200s", err, line)
			}
			if v.Name == r.region {
				found = v
			}
		}
		return found
	}
	for line := range strings.Lines(runTool(t, r.tool, "regions", path)) {
		if fields := strings.Fields(line); fields[1] == r.region && !strings.Contains(line, "  "+status.String()+"  ") {
			t.Errorf("the region is %v, and regions prints %s", status, line)
		}
	}
	printed := decode(runTool(t, r.tool, "print", "--json", "--elements=10", path, r.region))
	for command, v := range map[string]reported{"print": printed, "regions": decode(runTool(t, r.tool, "regions", "--json", path))} {
		if v.Status != status.Word() || !slices.Equal(v.Reasons, status.Reasons()) {
			t.Errorf("the region is %v, and %s --json prints %s %q", status, command, v.Status, v.Reasons)
		}
	}
	text := runTool(t, r.tool, "print", "--elements=10", path, r.region)
	r.checkValue(t, region, text, string(printed.Value))
	r.checkCounts(t, path)
	return status.String()
}

// missingWords are what print shows, by the reason, for something that is missing.
var missingWords = map[string][]string{
	"depth": {"not captured", "inconsistent"}, "budget": {"cut by budget"}, "redacted": {"redacted", "not known"},
	"unreadable": {"unreadable", "not captured"}, "inconsistent": {"inconsistent"}, "untyped": {"unsafe.Pointer(0x"},
}

// checkValue compares what print shows of a region with its status.
func (r *statusRun) checkValue(t *testing.T, region *note.Region, text, value string) {
	t.Helper()
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	missing := has("not captured", "redacted", "unreadable", "inconsistent", "cut by", "collected")
	if region.Status == note.Complete && (missing || has("torn:") || strings.Contains(value, `"$missing"`)) {
		t.Errorf("the region is complete, and print shows %.300s\n%.300s", text, value)
	}
	if torn := region.Status&note.Torn != 0; torn != has("torn: some") {
		t.Errorf("the region is %v, and print shows %.300s", region.Status, text)
	}
	for _, reason := range region.Status.Reasons() {
		if byType := reason == "depth" && r.region == "null"; !byType && !has(missingWords[reason]...) {
			t.Errorf("the region is %v, and print shows %.300s", region.Status, text)
		}
	}
	if region.Status&(note.Unreadable|note.Gone) != 0 && (!missing || !strings.Contains(value, `"$missing"`)) {
		t.Errorf("the region is %v, and print shows %.300s\n%.300s", region.Status, text, value)
	}
}

// checkCounts compares the counts of info with those of a core's note.
func (r *statusRun) checkCounts(t *testing.T, path string) {
	t.Helper()
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	var info struct{ Regions capture.Regions }
	if err := json.Unmarshal([]byte(runTool(t, r.tool, "info", "--json", path)), &info); err != nil {
		t.Fatal(err)
	}
	var want struct{ all, complete, partial, torn, unreadable, gone int }
	reasons := map[string]int{}
	for i := range core.Regions {
		status := core.Regions[i].Status
		want.all++
		*map[string]*int{
			"complete": &want.complete, "partial": &want.partial, "torn": &want.torn, "unreadable": &want.unreadable, "gone": &want.gone,
		}[status.Word()]++
		for _, reason := range status.Reasons() {
			reasons[reason]++
		}
	}
	got := info.Regions
	if want.all != got.All || want.complete != got.Complete || want.partial != got.Partial || want.torn != got.Torn ||
		want.unreadable != got.Unreadable || want.gone != got.Gone || fmt.Sprint(reasons) != fmt.Sprint(got.Reasons) {
		t.Errorf("info counts %+v, the core has %+v with %v", got, want, reasons)
	}
	text := runTool(t, r.tool, "info", path)
	for _, line := range []string{
		count("regions:   %d", want.all), count(", %d partial", want.partial), count(", %d torn", want.torn),
		count(", %d unreadable", want.unreadable), count(", %d gone", want.gone),
	} {
		if !strings.Contains(text, line) {
			t.Errorf("info lacks %q:\n%s", line, text)
		}
	}
	for reason, n := range reasons {
		if !strings.Contains(text, "missing:   "+reason+", in "+strconv.Itoa(n)+" region") {
			t.Errorf("info lacks %d regions with something missing: %s:\n%s", n, reason, text)
		}
	}
}

// count is a part of a line about n regions, empty for none.
func count(format string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// startWithInput is start with the program's standard input.
func startWithInput(t *testing.T, exe string, args ...string) (*running, io.Writer) {
	t.Helper()
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	out, err1 := cmd.StdoutPipe()
	in, err2 := cmd.StdinPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := &running{cmd, bufio.NewScanner(out)}
	r.expect(t, "ready")
	return r, in
}
