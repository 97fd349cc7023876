package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meminspect/meminspect/internal/moduleproxy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"meminspect": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// Every archive in testdata/script is a scenario of its own.
func TestScripts(t *testing.T) {
	published := publishOnce(t)
	testscript.Run(t, testscript.Params{
		Dir:           "../../testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// published lets the go command see this tree's modules as if
			// they had been published.
			"published": func(ts *testscript.TestScript, _ bool, _ []string) {
				proxy, err := published()
				ts.Check(err)
				for _, setting := range proxy.Env() {
					name, value, _ := strings.Cut(setting, "=")
					ts.Setenv(name, value)
				}
			},
		},
		Setup: func(env *testscript.Env) error {
			// Scripts call the go command: it needs its caches.
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

// publishOnce builds the module proxy when the first script asks for it, and
// takes its modules out of the module cache when the last one is done.
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
