//go:build linux

package acceptance

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// planted is how many secrets testdata/secrets makes.
const planted = 43

// secret is testdata/secrets' formula.
func secret(n int) []byte {
	x := uint64(n+1)*0x9e3779b97f4a7c15 + 0x1234567
	b := make([]byte, 8)
	for i := range b {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		b[i] = byte(x>>32) | 1
	}
	return b
}

// No core of any mode contains an excluded byte pattern, forwards or backwards;
// the neighbouring values are there; and gdb's full core of the same process
// has all of them, which proves the search.
func TestSecretsAreInNoCore(t *testing.T) {
	needAMD64(t)
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			exe := build(t, "secrets", w.env, w.flags...)
			p := start(t, exe)
			whole := mapped(t, fullCore(t, p.Process.Pid))
			if missing := absent(whole); len(missing) > 0 {
				t.Fatalf("the process itself does not hold the secrets %v", missing)
			}
			for _, c := range []struct {
				name string
				opts capture.Options
			}{
				{"default", capture.Options{Stop: capture.StopAlways}},
				{"strict", capture.Options{Stop: capture.StopAlways, Mode: capture.Strict}},
				{"data", capture.Options{Stop: capture.StopAlways, Mode: capture.Data}},
				{"deep", capture.Options{Stop: capture.StopAlways, Depth: 50}},
				{"shallow", capture.Options{Stop: capture.StopAlways, Depth: -1}},
				{"running", capture.Options{Stop: capture.StopNever, Mode: capture.Data}},
				{"skeleton", capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksSkeleton, Labels: true, Args: true}},
				{"without stacks", capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksNone}},
			} {
				core, summary := takeCore(t, p.Process.Pid, c.opts)
				data, err := os.ReadFile(core)
				if err != nil {
					t.Fatal(err)
				}
				if found := present(data); len(found) > 0 {
					t.Errorf("%s: the core holds the secrets %v", c.name, found)
				}
				if summary.Stacks == "full" {
					t.Errorf("%s: stacks are %s", c.name, summary.Stacks)
				}
				for _, visible := range []string{"ann visible", "label visible", "inner visible", "open visible"} {
					// A variable's own text is one pointer away.
					if c.name != "shallow" && !bytes.Contains(data, []byte(visible)) {
						t.Errorf("%s: the core does not hold %q", c.name, visible)
					}
				}
				// Of an excluded variable, annotated as it is, nothing was taken.
				if why := variable(t, core, "globalArray").Absent; why != inspect.Redacted {
					t.Errorf("%s: print reports of an excluded variable that it is %q", c.name, why)
				}
				if summary.Regions.Reasons["redacted"] == 0 || summary.Regions.All != 21 {
					t.Errorf("%s: %+v", c.name, summary.Regions)
				}
			}
			// What is left out for want of a type is not called cut by the depth.
			if _, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Depth: 50}); summary.Regions.Reasons["depth"] != 0 {
				t.Errorf("deep: %+v", summary.Regions)
			}
			if strings.Contains(w.name, "stripped") {
				return
			}
			core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
			got := debuggers.MustDelve(t, exe, core, "main.counter", "main.globalArray[0]", `main.users["ann"].Age`, "main.list[0].hidden[1]")
			if want := []string{"7", "165", "44", "165"}; !slices.Equal(got, want) {
				t.Errorf("Delve prints %q, want %q", got, want)
			}
		})
	}
}

// variable is what print shows of an annotated variable.
func variable(t *testing.T, core, expr string) *values.Value {
	t.Helper()
	c := openCore(t, core)
	prog, err := inspect.OpenProgram(c, "")
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	i := slices.IndexFunc(c.Regions, func(r note.Region) bool { return r.Expr == expr })
	if i < 0 {
		t.Fatalf("no region %s", expr)
	}
	return values.Region(prog, &c.Regions[i], values.Limits{})
}

// present returns the secrets that data holds, in either direction.
func present(data []byte) (found []int) {
	for n := range planted {
		s := secret(n)
		back := slices.Clone(s)
		slices.Reverse(back)
		if bytes.Contains(data, s) || bytes.Contains(data, back) {
			found = append(found, n)
		}
	}
	return found
}

func absent(data []byte) (missing []int) {
	found := present(data)
	for n := range planted {
		if !slices.Contains(found, n) {
			missing = append(missing, n)
		}
	}
	return missing
}
