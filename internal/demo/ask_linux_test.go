package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/terminaltest"
)

// Packages of the system are installed on a terminal after a question, elsewhere and in CI
// without one.
func TestToolsAsk(t *testing.T) {
	bin := t.TempDir()
	for name, text := range map[string]string{
		"apt-get": "#!/bin/sh\necho \"$@\" >>\"$INSTALLED\"\n",
		"sudo":    "#!/bin/sh\n[ \"$1\" = -n ] && shift\nexec \"$@\"\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name      string
		answer    string // on a terminal; "" for none
		ci        string
		asks      bool
		installed bool
	}{
		{"yes", "yes\n", "", true, true},
		{"return", "\n", "", true, true},
		{"no", "n\n", "", true, false},
		{"end of the input", "\x04", "", true, false},
		{"in CI", "n\n", "true", false, true},
		{"no terminal", "", "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			list := filepath.Join(dir, "installed")
			ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, "../../.ci/tools", dir, "no-such-command:some-package")
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "INSTALLED="+list, "CI="+c.ci)
			var master *os.File
			if c.answer != "" {
				var slave *os.File
				master, slave = terminaltest.Open(t)
				cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
				if _, err := master.WriteString(c.answer); err != nil {
					t.Fatal(err)
				}
			}
			err := cmd.Run()
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				t.Fatal(err) // it printed nothing to wait for
			}
			got, _ := os.ReadFile(list) // it need not be there
			if installed := strings.Contains(string(got), "install -qy some-package"); installed != c.installed || (err == nil) != c.installed {
				t.Errorf("installed: %v, %v: %q", installed, err, got)
			}
			if master != nil {
				// The script has ended, and names the package with each answer.
				said := make([]byte, 4096)
				n, err := 0, error(nil)
				for err == nil && n < len(said) && !strings.Contains(string(said[:n]), "some-package") {
					var more int
					more, err = master.Read(said[n:])
					n += more
				}
				if asks := strings.Contains(string(said[:n]), "some-package with apt-get? [Y/n]"); asks != c.asks {
					t.Errorf("asks: %v: %q, %v", asks, said[:n], err)
				}
			}
		})
	}
}
