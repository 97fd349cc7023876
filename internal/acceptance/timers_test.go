//go:build linux

package acceptance

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
)

// Goroutines that wait for time to pass have the rest of that time, from Go 1.23 on.
func TestTimers(t *testing.T) {
	needAMD64(t)
	waiting := []string{"main.sleep", "main.after", "main.tick", "main.choose", "main.stopped"}
	t.Setenv("GODEBUG", "asynctimerchan=0") // as in a module with go 1.23 or later
	for _, g := range targets() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			dir := sources(t, "timers")
			exe := compile(t, g, dir, "timers")
			began := time.Now()
			p := start(t, exe)
			core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
			passed := time.Since(began)

			objects := readWaits(t, core)
			got := map[string]time.Duration{}
			for i := range objects {
				for _, w := range objects[i].Waiters {
					for _, f := range w.Calls() {
						if slices.Contains(waiting, f.Function) {
							left := w.Left
							if c := objects[i].Channel; c != nil {
								left = c.Left
							}
							got[f.Function] = max(got[f.Function], left)
						}
					}
				}
			}
			want := map[string]time.Duration{"main.sleep": 1, "main.after": 2, "main.tick": 3, "main.choose": 4, "main.stopped": 0}
			for name := range want {
				want[name] *= time.Hour
				if strings.HasPrefix(g.release, "1.21.") || strings.HasPrefix(g.release, "1.22.") {
					want[name] = 0
				}
			}
			round := maps.Clone(got)
			for name, d := range got {
				if d <= want[name] && d > want[name]-passed {
					round[name] = want[name]
				}
			}
			if diff := gocmp.Diff(want, round); diff != "" {
				t.Errorf("after %v: %s", passed, diff)
			}
		})
	}
}
