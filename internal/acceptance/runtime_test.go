package acceptance

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/matrix"
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// goIn runs the go command in the runtime module, alone.
func goIn(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..", "runtime")
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The runtime module builds and passes its tests with the toolchains that its
// users may have.
func TestRuntimeWithOlderToolchains(t *testing.T) {
	for _, version := range []string{"go1.24.9", "go1.25.5", "go1.27.3"} {
		t.Run(version, func(t *testing.T) {
			if version == "go1.27.3" && !full {
				t.Skip(matrix.Sampled)
			}
			env := []string{"GOTOOLCHAIN=" + version}
			if out, err := goIn(t, env, "version"); err != nil {
				t.Skipf("toolchain %s is missing: %v: %s", version, err, out)
			}
			packages := []string{"."}
			if full {
				packages = []string{"./..."}
			}
			if out, err := goIn(t, env, append([]string{"test"}, packages...)...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if out, err := goIn(t, env, "build", "./..."); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Programs for other systems compile with it.
func TestRuntimeCompilesElsewhere(t *testing.T) {
	systems, tags := []string{"windows/amd64", "darwin/arm64", "freebsd/amd64", "linux/arm64", "linux/386"}, []string{""}
	if full {
		tags = append(tags, "meminspect_off")
		systems = append(systems, "linux/arm", "linux/riscv64", "linux/s390x", "windows/arm64", "openbsd/amd64", "netbsd/amd64", "js/wasm", "wasip1/wasm", "android/arm64")
	}
	for _, s := range systems {
		t.Run(s, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(s, "/")
			env := []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"}
			for _, tag := range tags {
				if out, err := goIn(t, env, "build", "-tags="+tag, "./..."); err != nil {
					t.Errorf("tag %q: %v\n%s", tag, err, out)
				}
			}
		})
	}
}

// With the tag, a program that uses everything holds nothing of the package.
func TestOffLeavesNoTrace(t *testing.T) {
	for _, c := range []struct {
		tags string
		want bool
	}{{"", true}, {"meminspect_off", false}} {
		exe := filepath.Join(t.TempDir(), "offprog")
		if out, err := exec.Command("go", "build", "-tags="+c.tags, "-o", exe, "./testdata/offprog").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command("go", "tool", "nm", exe).Output()
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "meminspect/meminspect/runtime") || strings.Contains(line, "main.table") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		if (len(found) > 0) != c.want {
			t.Errorf("tags %q: %d symbols: %q", c.tags, len(found), found)
		}
		if out, err := exec.Command(exe).CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
			t.Errorf("tags %q: %v: %s", c.tags, err, out)
		}
	}
}

// With the tag, the other packages of the runtime leave the functions that the
// program, or package slog, calls, the errors that it gets, and nothing else: no
// data, no code that uses them.
func TestOffLeavesOnlyCalledFunctions(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "offall")
	if out, err := exec.Command("go", "build", "-tags=meminspect_off", "-o", exe, "./testdata/offall").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("go", "tool", "nm", "-size", exe).Output()
	if err != nil {
		t.Fatal(err)
	}
	// Package slog calls the handler through an interface. A package whose
	// variables are all static data keeps an empty init.
	allowed := regexp.MustCompile(`/logring\.\(\*Handler\)\.(Enabled|Handle)$|/logring\.Handler,log/slog\.Handler$|/(coreimage|monitor)\.ErrUnsupported$|\.\.inittask$|\b1 T \S+\.init$`)
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "meminspect/meminspect/runtime") && !allowed.MatchString(line) {
			t.Errorf("left: %s", line)
		}
	}
	run := exec.Command(exe)
	run.Dir = t.TempDir()
	if out, err := run.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Errorf("%v: %s", err, out)
	}
	made, err := filepath.Glob(exe + ".*")
	if err != nil || len(made) > 0 {
		t.Errorf("files of the program: %q, %v", made, err)
	}
}

// The programs of the two tests above use every package of the runtime that
// programs import.
func TestOffProgramsUseEveryPackage(t *testing.T) {
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	used := list("-deps", "./testdata/offprog", "./testdata/offall")
	public := 0
	for _, pkg := range list("github.com/meminspect/meminspect/runtime/...") {
		if strings.Contains(pkg, "/internal/") || strings.Contains(pkg, "/format/") {
			continue
		}
		if public++; !slices.Contains(used, pkg) {
			t.Errorf("no program uses %s with the tag meminspect_off", pkg)
		}
	}
	if public < 9 {
		t.Errorf("%d packages", public)
	}
}

// What vmcoreinfo has of the runtime's goroutines is what the toolchain's own
// DWARF has.
func TestGoroutineLayoutsAgainstDWARF(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("cores are written and read on linux/amd64 here")
	}
	for _, version := range []string{"local", "go1.24.9", "go1.25.5", "go1.27.3"} {
		t.Run(version, func(t *testing.T) {
			if version != "local" && !full {
				t.Skip(matrix.Sampled)
			}
			dir := t.TempDir()
			program := filepath.Join(dir, "prog")
			source := filepath.Join(dir, "main.go")
			// A module of its own: the older toolchains cannot build the workspace.
			runtimeDir, err := filepath.Abs(filepath.Join("..", "..", "runtime"))
			if err != nil {
				t.Fatal(err)
			}
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("main.go", "package main\nimport (\"os\"; \"github.com/meminspect/meminspect/runtime/coreimage\")\nfunc main() { if err := coreimage.WriteFile(os.Args[1]); err != nil { panic(err) } }\n")
			write("go.mod", "module prog\ngo 1.24\nrequire github.com/meminspect/meminspect/runtime v0.0.0\n")
			write("go.work", "go 1.24\nuse (\n\t.\n\t"+strconv.Quote(runtimeDir)+"\n)\n")
			build := exec.Command("go", "build", "-o", program, source)
			build.Dir = dir
			build.Env = append(os.Environ(), "GOTOOLCHAIN="+version, "GOFLAGS=", "GOWORK="+filepath.Join(dir, "go.work"))
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := exec.Command(program, filepath.Join(dir, "core")).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			core, err := inspect.Open(filepath.Join(dir, "core"))
			if err != nil {
				t.Fatal(err)
			}
			defer core.Close()
			if len(core.VMCore.Offsets) < 13 {
				t.Fatalf("%v", core.VMCore.Offsets)
			}
			want := structOffsets(t, program, "runtime.g", "runtime.gobuf", "runtime.stack")
			for name, offset := range core.VMCore.Offsets {
				if got, ok := want[name]; !ok || uint64(got) != offset {
					t.Errorf("%s is at %d, DWARF has %d", name, offset, got)
				}
			}
		})
	}
}

func structOffsets(t *testing.T, exe string, structs ...string) map[string]int64 {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[string]int64{}
	for r := d.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return offsets
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		if e.Tag != dwarf.TagStructType || !slices.Contains(structs, name) {
			continue
		}
		typ, err := d.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range typ.(*dwarf.StructType).Field {
			offsets[name+"."+field.Name] = field.ByteOffset
		}
	}
}

// The whole registry against a plain model, by sequences of operations that
// rapid makes up and shortens, with goroutines that look on all the while.
func TestRegistryProperties(t *testing.T) {
	stop := make(chan bool)
	var lookers sync.WaitGroup
	for range 2 {
		lookers.Add(1)
		go func() {
			defer lookers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				for r := range meminspect.Regions() {
					if r.Size == 0 || r.Addr() == 0 {
						t.Errorf("%+v", r)
					}
				}
			}
		}()
	}
	defer lookers.Wait()
	defer close(stop)
	rapid.Check(t, checkRegistry)
}

// A modelRegion is one that the registry should have.
type modelRegion struct {
	id         meminspect.ID
	first, end int // of the block's elements
}

func checkRegistry(t *rapid.T) {
	block := make([]int64, 64)
	var model []modelRegion
	events := map[meminspect.ID]int{}
	stop := meminspect.Notify(func(e meminspect.Event) {
		if uint64(e.Region.ID) < anchor.FirstDynamic {
			return
		}
		if e.Added {
			events[e.Region.ID]++
		} else {
			events[e.Region.ID]--
		}
	})
	defer stop()
	has := func(id meminspect.ID) bool {
		return slices.ContainsFunc(model, func(m modelRegion) bool { return m.id == id })
	}
	drop := func(id meminspect.ID) {
		model = slices.DeleteFunc(model, func(m modelRegion) bool { return m.id == id })
	}
	defer func() { // Unregister removes all regions of an ID
		for len(model) > 0 {
			id := model[0].id
			if err := meminspect.Unregister(id); err != nil {
				t.Error(err)
			}
			drop(id)
		}
	}()
	names := rapid.Map(rapid.IntRange(1, 6), func(n int) meminspect.ID { return meminspect.ID(anchor.NamedBit) | meminspect.ID(n) })
	bounds := func(t *rapid.T) (int, int) {
		from := rapid.IntRange(0, len(block)-1).Draw(t, "from")
		return from, rapid.IntRange(from+1, len(block)).Draw(t, "to")
	}
	t.Repeat(map[string]func(*rapid.T){
		"register": func(t *rapid.T) {
			id := names.Draw(t, "id")
			from, to := bounds(t)
			another := rapid.Bool().Draw(t, "another")
			var opts []meminspect.Option
			if another {
				opts = append(opts, meminspect.Another())
			}
			_, err := meminspect.RegisterSlice(id, block[from:to], opts...)
			if refused := has(id) && !another; (err != nil) != refused {
				t.Fatalf("%v", err)
			}
			if err == nil {
				model = append(model, modelRegion{id, from, to})
			}
		},
		"dynamic": func(t *rapid.T) {
			from, to := bounds(t)
			id, err := meminspect.RegisterSlice(meminspect.IDDynamic, block[from:to])
			if err != nil || has(id) {
				t.Fatalf("%v, %v", id, err)
			}
			model = append(model, modelRegion{id, from, to})
		},
		"replace": func(t *rapid.T) {
			id := names.Draw(t, "id")
			from, to := bounds(t)
			if _, err := meminspect.ReplaceSlice(id, block[from:to]); err != nil {
				t.Fatal(err)
			}
			drop(id)
			model = append(model, modelRegion{id, from, to})
		},
		"unregister": func(t *rapid.T) {
			id := names.Draw(t, "id")
			if err := meminspect.Unregister(id); (err == nil) != has(id) {
				t.Fatal(err)
			}
			drop(id)
		},
		"by pointer": func(t *rapid.T) {
			at := rapid.IntRange(0, len(block)-1).Draw(t, "at")
			before := len(model)
			model = slices.DeleteFunc(model, func(m modelRegion) bool { return m.first == at })
			if err := meminspect.UnregisterPointer(&block[at]); (err == nil) != (len(model) < before) {
				t.Fatal(err)
			}
		},
		"all or none": func(t *rapid.T) {
			a, b := names.Draw(t, "a"), names.Draw(t, "b")
			from, to := bounds(t)
			_, err := meminspect.RegisterAll(meminspect.Elements(a, block[from:to]), meminspect.Elements(b, block[from:to]))
			if refused := a == b || has(a) || has(b); (err != nil) != refused {
				t.Fatal(err)
			}
			if err == nil {
				model = append(model, modelRegion{a, from, to}, modelRegion{b, from, to})
			}
		},
		"": func(t *rapid.T) {
			var got, want []string
			live := map[meminspect.ID]int{}
			for r := range meminspect.Regions() {
				if uint64(r.ID) >= anchor.FirstDynamic && r.Kind != meminspect.KindEntry {
					got = append(got, fmt.Sprintf("%v %#x %d", r.ID, r.Addr(), r.Size))
				}
			}
			for _, m := range model {
				want = append(want, fmt.Sprintf("%v %p %d", m.id, &block[m.first], 8*(m.end-m.first)))
				live[m.id]++
			}
			if !slices.Equal(got, want) {
				t.Fatalf("regions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for id, n := range events {
				if n != live[id] {
					t.Fatalf("%v: notified of %d, there are %d", id, n, live[id])
				}
			}
		},
	})
}
