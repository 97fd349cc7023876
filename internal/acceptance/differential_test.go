//go:build linux

package acceptance

import (
	"os"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A capture of a program that annotates a variable of every kind is, for Delve,
// as good as a dump of the whole process: each variable prints the same, line
// by line, the goroutines that wait on channels included.
func TestCaptureIsAsGoodAsAWholeDump(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {Toolchain: "go1.24.9"}, {Toolchain: "go1.25.5"}, {Toolchain: "go1.27.3"},
		{Args: "-race"}, {Debug: true}, {Args: "-buildmode=pie -ldflags=-linkmode=external"}, {Toolchain: "go1.27.3", Env: "GOEXPERIMENT=mapsplitgroup"}} {
		b.Tables = true
		t.Run(b.String(), func(t *testing.T) {
			if i >= sample && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := kinds.Make(t, b)
			pid := kinds.Start(t, exe)
			full := gcore(t, pid)
			core, summary := takeCore(t, pid, capture.Options{Stop: capture.StopAlways, Depth: 100})
			p := kinds.Attach(t, pid, nil)
			var vars []kinds.Var
			for _, v := range p.Vars {
				if _, annotated := notAnnotated[v.Name]; !annotated {
					vars = append(vars, v)
				}
			}
			exprs := expressions(vars)
			want := debuggers.MustDelve(t, exe, full, exprs...)
			got := debuggers.MustDelve(t, exe, core, exprs...)
			if err := os.Remove(full); err != nil {
				t.Error(err)
			}
			different := 0
			for i, v := range vars {
				if got[i] != want[i] {
					different++
					t.Errorf("%s\nwhole dump: %s\n   capture: %s", v.Name, clip(want[i]), clip(got[i]))
				}
			}
			t.Logf("%d of %d variables print the same; %d bytes, stopped %v", len(vars)-different, len(vars), summary.Bytes, summary.Stopped)
		})
	}
}

// The same of programs that no table can be linked into: releases before Go 1.24
// know no runtime module, and the variables are named from outside.
func TestIncludedVariablesOfOlderReleases(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, b := range []kinds.Build{{Toolchain: "go1.21.13"}, {Toolchain: "go1.22.12"}, {Toolchain: "go1.23.12"}} {
		t.Run(b.String(), func(t *testing.T) {
			if i > 0 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := kinds.Make(t, b)
			pid := kinds.Start(t, exe)
			full := gcore(t, pid)
			vars := kinds.Attach(t, pid, nil).Vars
			names := make([]string, len(vars))
			for i, v := range vars {
				names[i] = v.Name
			}
			core, summary := takeCore(t, pid, capture.Options{Stop: capture.StopAlways, Depth: 100, Include: names})
			exprs := expressions(vars)
			want, got := debuggers.MustDelve(t, exe, full, exprs...), debuggers.MustDelve(t, exe, core, exprs...)
			if err := os.Remove(full); err != nil {
				t.Error(err)
			}
			for i, v := range vars {
				if got[i] != want[i] {
					t.Errorf("%s\nwhole dump: %s\n   capture: %s", v.Name, clip(want[i]), clip(got[i]))
				}
			}
			t.Logf("%d variables, %d bytes, stopped %v", len(vars), summary.Bytes, summary.Stopped)
		})
	}
}

// notAnnotated are variables of the program that its table does not have.
var notAnnotated = map[string]string{
	"kinds/other.Here": "another package's", "kinds/other.Pairs": "", "kinds/other.Root": "", "kinds/other.Counter": "", "kinds/other.hidden": "",
	"main.vWeak": "it is in a file for newer releases", "main.vWeakGone": "", "main.vUnique": "", "main.vMapWeak": "",
}
