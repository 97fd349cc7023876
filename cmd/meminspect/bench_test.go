package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkGenerate compares generate over a tree of 1,000 packages with one
// annotated variable each with "go list ./..." of the same tree.
func BenchmarkGenerate(b *testing.B) {
	tree := b.TempDir()
	writeText(b, filepath.Join(tree, "go.mod"), "module example.com/many\n\ngo 1.24\n")
	for i := range 1000 {
		writeText(b, filepath.Join(tree, fmt.Sprintf("p%d", i), "p.go"), "package p\n\n//meminspect:entry\nvar queue []int\n")
	}
	removeOutputs := func(b *testing.B) {
		for _, name := range []string{"meminspect.ids", "meminspect_gen.go"} {
			names, err := filepath.Glob(filepath.Join(tree, "*", name))
			if err != nil {
				b.Fatal(err)
			}
			for _, name := range names {
				if err := os.Remove(name); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("golist", func(b *testing.B) { benchCommand(b, tree, nil, nil, "go", "list", "./...") })
	b.Run("generate/first", func(b *testing.B) { benchCommand(b, tree, nil, removeOutputs, "meminspect", "generate", "./...") })
	b.Run("generate/unchanged", func(b *testing.B) { benchCommand(b, tree, nil, nil, "meminspect", "generate", "./...") })
	b.Run("generate/check", func(b *testing.B) { benchCommand(b, tree, nil, nil, "meminspect", "generate", "--check", "./...") })
}

// BenchmarkLint compares lint with go vet of the same tree, golang.org/x/tools
// without its tests, which need more modules, as it is and with an annotation in
// each tenth package: without any result in the build cache but the compiled
// packages, and with all results in it.
func BenchmarkLint(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchLint(b, copyTools(b)) })
	b.Run("annotated", func(b *testing.B) {
		tree := copyTools(b)
		annotateTools(b, tree)
		benchLint(b, tree)
	})
}

// copyTools returns a copy of golang.org/x/tools without its tests.
func copyTools(b *testing.B) string {
	b.Helper()
	tree := b.TempDir()
	from, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/tools").Output()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.CopyFS(tree, os.DirFS(strings.TrimSpace(string(from)))); err != nil {
		b.Fatal(err)
	}
	download := exec.Command("go", "mod", "download") // the commands that are measured may not
	download.Dir, download.Env = tree, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := download.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	err = filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(d.Name(), "_test.go") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return tree
}

// annotateTools annotates a variable in each tenth package and generates.
func annotateTools(b *testing.B, tree string) {
	b.Helper()
	runtime, err := filepath.Abs("../../runtime")
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = tree, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return out
	}
	const path = "github.com/meminspect/meminspect/runtime"
	run("go", "mod", "edit", "-require="+path+"@v0.0.0", "-replace="+path+"="+runtime)
	packages := strings.Split(strings.TrimSpace(string(run("go", "list", "-f", "{{.Dir}} {{.Name}}", "./..."))), "\n")
	for i := 0; i < len(packages); i += 10 {
		dir, name, _ := strings.Cut(packages[i], " ")
		writeText(b, filepath.Join(dir, "annotated.go"), "package "+name+"\n\n//meminspect:entry\nvar annotated []int\n")
	}
	run("meminspect", "generate", "./...")
}

// benchLint measures lint and go vet in a tree.
func benchLint(b *testing.B, tree string) {
	b.Helper()
	cache := b.TempDir()
	env := []string{"GOCACHE=" + cache, "GOFLAGS=-mod=mod", "GOPROXY=off"}
	// Both need export data.
	build := exec.Command("go", "build", "./...")
	build.Dir, build.Env = tree, append(append(os.Environ(), "GOWORK=off"), env...)
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	clean := b.TempDir()
	if err := os.CopyFS(clean, os.DirFS(cache)); err != nil {
		b.Fatal(err)
	}
	restore := func(b *testing.B) {
		if err := errors.Join(os.RemoveAll(cache), os.CopyFS(cache, os.DirFS(clean))); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("cold/vet", func(b *testing.B) { benchCommand(b, tree, env, restore, "go", "vet", "./...") })
	b.Run("cold/lint", func(b *testing.B) { benchCommand(b, tree, env, restore, "meminspect", "lint", "./...") })
	b.Run("warm/vet", func(b *testing.B) {
		timeCommand(b, tree, env, "go", "vet", "./...")
		benchCommand(b, tree, env, nil, "go", "vet", "./...")
	})
	b.Run("warm/lint", func(b *testing.B) {
		timeCommand(b, tree, env, "meminspect", "lint", "./...")
		benchCommand(b, tree, env, nil, "meminspect", "lint", "./...")
	})
}

// benchCommand measures a whole command, and the processor time that it and its
// children take. The preparation is not measured.
func benchCommand(b *testing.B, dir string, env []string, prepare func(*testing.B), name string, args ...string) {
	b.Helper()
	var processor time.Duration
	for b.Loop() {
		if prepare != nil {
			b.StopTimer()
			prepare(b)
			b.StartTimer()
		}
		processor += timeCommand(b, dir, env, name, args...)
	}
	b.ReportMetric(processor.Seconds()/float64(b.N), "cpu-s/op")
}

// timeCommand runs a command, which may find something, and returns the processor
// time that it and its children took.
func timeCommand(b *testing.B, dir string, env []string, name string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func writeText(b *testing.B, name, text string) {
	b.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
		b.Fatal(err)
	}
}
