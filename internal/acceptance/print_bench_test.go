//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/peak"
)

// What `print` costs for a map of 300,000 structs with texts, maps and slices, compared with Delve:
// time, and the memory that the commands take.
func BenchmarkPrint(b *testing.B) {
	dir := b.TempDir()
	exe, tool, core, pid := filepath.Join(dir, "sessions"), filepath.Join(dir, "meminspect"), filepath.Join(dir, "sessions.core"), filepath.Join(dir, "pid")
	buildFor(b, exe, "./testdata/sessions")
	buildFor(b, tool, "../../cmd/meminspect")
	p := exec.Command(exe, "300000", pid, "open")
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	defer p.Wait()
	defer p.Process.Kill()
	await.True(b, "the program is ready", func() bool { _, err := os.Stat(pid); return err == nil })
	capture := exec.Command(tool, "capture", strconv.Itoa(p.Process.Pid), "-q", "-o", core, "--budget", "2GiB", "--region-budget", "1GiB")
	if text, err := capture.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	runner := peak.Build(b)
	for _, v := range []struct{ name, elements, path, delve string }{
		{"all", "-1", "main.sessions", ""}, // Delve does not end in five minutes
		{"a field of all", "-1", "main.sessions[*].User", ""},
		{"1,000 entries", "1000", "main.sessions", "main.sessions"},
		{"one entry", "-1", `main.sessions["user123456"]`, `main.sessions["user123456"]`},
		{"length", "-1", "len(main.sessions)", "len(main.sessions)"},
	} {
		b.Run(v.name+"/meminspect", func(b *testing.B) {
			measure(b, runner, exec.Command(tool, "print", "--elements", v.elements, core, v.path))
		})
		if v.delve != "" {
			cmd, err := debuggers.DelveCommand(b.TempDir(), exe, core, "config max-array-values 1000", "print "+v.delve)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(v.name+"/Delve", func(b *testing.B) { measure(b, runner, cmd) })
		}
	}
}
