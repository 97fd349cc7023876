//go:build linux

package acceptance

import (
	"bytes"
	"os"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
)

// A process whose main thread has ended alone is captured like any other, stopped and
// running: its memory is that of its other threads. Arguments and environment, which are on the
// stack of the main thread, stay out.
func TestMainThreadEnded(t *testing.T) {
	const inArgs, inEnvironment = "planted in the arguments", "planted in the environment"
	t.Setenv("MEMINSPECT_PLANTED", inEnvironment)
	p := start(t, build(t, "mainless", []string{"CGO_ENABLED=0"}), inArgs)
	await.True(t, "the main thread has ended", func() bool { return p.state(t) == "Z" })
	for what, stop := range map[string]capture.Stop{"stopped": capture.StopAlways, "running": capture.StopNever} {
		path, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: stop})
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{inArgs, inEnvironment} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s: the core has what is %s", what, secret)
			}
		}
		core := openCore(t, path)
		found := false
		for _, r := range core.Regions {
			found = found || r.Name == "answer" && r.Captured == 8 && r.Status == 0
		}
		if !found || summary.Threads.Captured == 0 {
			t.Errorf("%s: %+v, regions %+v", what, summary, core.Regions)
		}
	}
	for _, c := range capture.Diagnose(p.Process.Pid) {
		if !c.OK {
			t.Errorf("%+v", c)
		}
	}
}
