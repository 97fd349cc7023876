package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/moduleproxy"
)

// A producer outside this repository gets the tool from a module proxy and runs
// it with the documented command lines.
func TestInstalledTool(t *testing.T) {
	proxy, err := moduleproxy.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Remove(); err != nil {
			t.Error(err)
		}
	})
	work := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/producer\n\ngo 1.26\n",
		"a.go":   "package producer\n\n//meminspect:entry depht=2\nvar Queue []int\n",
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sh := func(line string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = work
		cmd.Env = append(append(os.Environ(), "PWD="+work), proxy.Env()...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := sh("go get -tool github.com/meminspect/meminspect/cmd/meminspect-vet"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := sh("go vet -vettool=$(go tool -n meminspect-vet) ./...")
	if err == nil || !strings.Contains(out, `a.go:3:20: unknown argument "depht"`) {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}
