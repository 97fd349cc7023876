package api_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/api"
)

// maxNames is how many package-level names and methods all public packages
// export at most. A name that users see is a name that we keep and they learn:
// raise the number only for what users need.
const maxNames = 550

var linux = api.Build{GOOS: "linux", GOARCH: "amd64"}

// The exported API is what the files in api list, every name of it has a doc
// comment, and it does not grow unnoticed.
func TestAPI(t *testing.T) {
	root := filepath.Join("..", "..")
	packages, err := api.Load(root, linux, "./...", "./runtime/...", "./lint/golangci/...")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("%d public packages: there are more", len(packages))
	}
	names, listed := 0, map[string]bool{}
	for _, p := range packages {
		names += p.Names
		t.Logf("%4d %s", p.Names, p.Path)
		for _, name := range p.Undocumented {
			t.Errorf("%s.%s has no doc comment", p.Path, name)
		}
		file := filepath.Join(root, "api", p.Path+".txt")
		listed[file] = true
		compare(t, file, []byte(strings.Join(p.Lines, "\n")+"\n"))
	}
	t.Logf("%4d in all", names)
	if names > maxNames {
		t.Errorf("public packages export %d names and methods, at most %d are allowed: unexport some", names, maxNames)
	}
	leftovers(t, filepath.Join(root, "api"), listed)
}

var update = os.Getenv("UPDATE_API") != ""

func compare(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if update {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	was, is := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("%s: -%s", file, line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("%s: +%s", file, line)
		}
	}
	t.Errorf("%s: the exported API differs from this list: if it should, run `make api` and commit the list", file)
}

// leftovers finds lists of packages that no longer exist.
func leftovers(t *testing.T, dir string, listed map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txt" || listed[path] {
			return err
		}
		if update {
			return os.Remove(path)
		}
		t.Errorf("%s lists a package that is no longer public: run `make api`", path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A program compiles against the runtime in every build: all have the same API.
func TestRuntimeAPIIsTheSameInEveryBuild(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("compared on linux")
	}
	root := filepath.Join("..", "..")
	want, err := api.Load(root, linux, "./runtime/...")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []api.Build{
		{GOOS: "linux", GOARCH: "amd64", Tags: "meminspect_off"},
		{GOOS: "linux", GOARCH: "386"},
		{GOOS: "darwin", GOARCH: "arm64"},
	} {
		t.Run(strings.TrimSpace(b.GOOS+"/"+b.GOARCH+" "+b.Tags), func(t *testing.T) {
			got, err := api.Load(root, b, "./runtime/...")
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range want {
				if i >= len(got) || got[i].Path != p.Path {
					t.Fatalf("package %s is missing", p.Path)
				}
				for _, line := range p.Lines {
					if !slices.Contains(got[i].Lines, line) {
						t.Errorf("%s: no %q", p.Path, line)
					}
				}
				for _, line := range got[i].Lines {
					if !slices.Contains(p.Lines, line) {
						t.Errorf("%s: %q is in this build only", p.Path, line)
					}
				}
			}
		})
	}
}
