package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/moduleproxy"
)

func TestMain(m *testing.M) {
	if asRelay() { // run starts this executable
		return
	}
	testscript.Main(m, map[string]func(){
		"meminspect": func() {
			os.Exit(runValidated(os.Args[1:]))
		},
	})
}

// Every archive in testdata/script is a separate scenario.
func TestScripts(t *testing.T) {
	published := publishOnce(t)
	testscript.Run(t, testscript.Params{
		Dir:           "../../testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// readenv NAME FILE waits for a file and sets a variable to its text.
			"readenv": func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) != 2 {
					ts.Fatalf("usage: readenv NAME FILE")
				}
				var text []byte
				if !await.Poll(func() bool { text, _ = os.ReadFile(ts.MkAbs(args[1])); return len(text) > 0 }) {
					ts.Fatalf("no file %s", args[1])
				}
				ts.Setenv(args[0], strings.TrimSpace(string(text)))
			},
			"bucket":  bucket,
			"collect": collector,
			"receive": receive,
			// published lets the go command use this tree's modules as if they had been
			// published.
			"published": func(ts *testscript.TestScript, _ bool, _ []string) {
				proxy, err := published()
				ts.Check(err)
				for _, setting := range proxy.Env() {
					name, value, _ := strings.Cut(setting, "=")
					ts.Setenv(name, value)
				}
			},
		},
		Condition: func(cond string) (bool, error) {
			// [tool:NAME] is [exec:NAME] for what tools.mk installs: CI must have it.
			if name, ok := strings.CutPrefix(cond, "tool:"); ok {
				_, err := exec.LookPath(name)
				if err != nil && os.Getenv("CI") == "true" {
					return false, fmt.Errorf("%s is missing, and CI must have it", name)
				}
				return err == nil, nil
			}
			switch cond {
			case "full": // the long matrices are requested
				return matrix.Whole(), nil
			case "race": // the commands are built with the race detector
				info, _ := debug.ReadBuildInfo()
				return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}), nil
			case "captures": // doctor finds no obstacle on this host
				for _, check := range capture.DiagnoseHost() {
					if !check.OK {
						return false, nil
					}
				}
				return true, nil
			}
			return false, fmt.Errorf("condition %q is not known", cond)
		},
		Setup: func(env *testscript.Env) error {
			// Scripts call the go command, which needs its caches.
			for _, name := range []string{"HOME", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB"} {
				if value, ok := os.LookupEnv(name); ok {
					env.Setenv(name, value)
				}
			}
			repo, err := filepath.Abs("../..")
			env.Setenv("REPO", repo)
			return err
		},
	})
}

// publishOnce builds the module proxy for the first script that needs it, and
// removes its modules from the module cache after the last one.
func publishOnce(t *testing.T) func() (*moduleproxy.Proxy, error) {
	dir := t.TempDir()
	used := false
	build := sync.OnceValues(func() (*moduleproxy.Proxy, error) {
		used = true
		return moduleproxy.Build(dir, repository)
	})
	t.Cleanup(func() {
		if !used {
			return
		}
		if proxy, err := build(); err == nil {
			if err := proxy.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
	return build
}
