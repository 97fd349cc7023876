//go:build linux

package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// What capture and filter count is what info counts in their core: every number
// that both print has the same name and the same value.
func TestCountsAgree(t *testing.T) {
	exe := build(t, "secrets", []string{"CGO_ENABLED=0"})
	p := start(t, exe)
	pid := strconv.Itoa(p.Process.Pid)
	full := fullCore(t, p.Process.Pid)
	meminspect := tool(t)
	for _, flags := range []string{"", "--stacks=skeleton", "--stacks=none", "--segments=3", "--segments=100000", "--depth=0", "--depth=50", "--strict", "--data", "--args --labels", "--compress"} {
		for _, command := range []string{"capture", "filter"} {
			from := map[string]string{"capture": pid, "filter": full}[command]
			t.Run(command+" "+flags, func(t *testing.T) {
				if command == "filter" && strings.Contains(flags, "--args") {
					t.Skip("filter has no such flag")
				}
				core := filepath.Join(t.TempDir(), "core")
				args := append([]string{command, "--json", "-o", core}, strings.Fields(flags)...)
				made := numbers(t, runTool(t, meminspect, append(args, from)...))
				read := numbers(t, runTool(t, meminspect, "info", "--json", core))
				for _, name := range []string{".bytes", ".capturedBytes", ".segments", ".threads.captured", ".regions.all", ".regions.complete"} {
					if made[name] == "" || read[name] == "" {
						t.Errorf("%s: %q by %s, %q by info", name, made[name], command, read[name])
					}
				}
				for _, name := range slices.Sorted(maps.Keys(made)) {
					if got, ok := read[name]; ok && got != made[name] {
						t.Errorf("%s: %s by %s, %s by info", name, made[name], command, got)
					}
				}
				if !strings.Contains(flags, "--compress") {
					checkSum(t, core, read)
				}
			})
		}
	}
}

// runTool returns the standard output of the tool.
func runTool(t *testing.T, exe string, args ...string) string {
	t.Helper()
	out, err := exec.Command(exe, args...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) { // 3 is in part
		t.Fatalf("%v: %v\n%s", args, err, exit.Stderr)
	}
	return string(out)
}

// checkSum fails unless the segments of a core are what was captured and the marks.
func checkSum(t *testing.T, path string, counts map[string]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	core, err := elfcore.Open(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var all uint64
	filled := 0
	for i := range core.Loads {
		all += core.Loads[i].MemSize
		if !core.Loads[i].Marked() {
			filled++
		}
	}
	captured, err1 := strconv.ParseUint(counts[".capturedBytes"], 10, 64)
	marked, err2 := strconv.ParseUint(counts[".markedBytes"], 10, 64)
	if err1 != nil || err2 != nil || captured+marked != all || fmt.Sprint(filled) != counts[".segments"] {
		t.Errorf("%d bytes captured and %d marked, of %d in %d segments: %v, %v", captured, marked, all, filled, err1, err2)
	}
}

// numbers returns the values in a JSON object by their places.
func numbers(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var add func(place string, v any)
	add = func(place string, v any) {
		if object, ok := v.(map[string]any); ok {
			for name, value := range object {
				add(place+"."+name, value)
			}
			return
		}
		all[place] = fmt.Sprint(v)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	add("", v)
	return all
}
