//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/matrix"
)

// The goroutines in the code of a plugin have their frames, for each release that can be read,
// in a capture and in a full core.
func TestPlugins(t *testing.T) {
	needAMD64(t)
	tally := matrix.NewTally(t)
	archive, err := txtar.ParseFile("testdata/plugins.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files, err := txtar.FS(archive)
	if err != nil {
		t.Fatal(err)
	}
	inPlugin := regexp.MustCompile(`\[chan receive\]:\n(?:\S.*\n\t.*\n)*example\.com/plugins/p\.Run\(.*\)\n\t.*/p/p\.go:8 `)
	for i, release := range []string{"1.26.8", "1.22.12", "1.27.3", "1.25.5", "1.24.9", "1.23.12", "1.21.13"} {
		if i >= 2 && !full {
			tally.Skip(1)
			continue
		}
		tally.Run(release, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, files); err != nil {
				t.Fatal(err)
			}
			withCgo := []string{"CGO_ENABLED=1"}
			plugin := compile(t, goal{release, way{"plugin", withCgo, []string{"-buildmode=plugin"}}}, dir, "p.so", "./p")
			exe := compile(t, goal{release, way{"host", withCgo, []string{"-ldflags=-X=main.path=" + plugin}}}, dir, "host")
			p := start(t, exe)
			core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
			for name, file := range map[string]string{"capture": core, "full core": fullCore(t, p.Process.Pid)} {
				text, err := exec.Command(tool(t), "goroutines", "--all", file).CombinedOutput()
				if err != nil || !inPlugin.Match(text) {
					t.Errorf("%s: %v: no goroutine of the plugin in\n%s", name, err, text)
				}
			}
		})
	}
}
