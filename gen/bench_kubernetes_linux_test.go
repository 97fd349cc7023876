package gen

import (
	"fmt"
	"github.com/meminspect/meminspect/internal/folders"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/meminspect/meminspect/internal/peak"
)

// The corpus is a large public repository.
const (
	corpusModule       = "k8s.io/kubernetes"
	corpusVersion      = "v1.36.3"
	corpusStaging      = "v0.36.3" // version of the modules inside its tree
	controllerTools    = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0"
	plantedAnnotations = 106
	plantedPackages    = 50
)

// BenchmarkKubernetes generates for all of Kubernetes, with annotations
// inserted into its packages. On the same tree and in the same run it also
// measures what other generators typically cost: one run of go list, and
// controller-gen. The corpus comes from the module proxy into .cache, which git
// ignores:
//
//	MEMINSPECT_BENCH_CORPUS=1 go test -run '^$' -bench Kubernetes -benchtime 3x ./gen
func BenchmarkKubernetes(b *testing.B) {
	if os.Getenv("MEMINSPECT_BENCH_CORPUS") == "" {
		b.Skip("MEMINSPECT_BENCH_CORPUS is not set: this fetches some 300 MB")
	}
	cache, err := filepath.Abs("../.cache/corpus")
	if err != nil {
		b.Fatal(err)
	}
	tree := corpus(b, cache)
	planted, packages := plant(b, tree)
	b.Logf("%d annotations in %d packages", planted, packages)
	tool := filepath.Join(cache, "meminspect")
	goRun(b, ".", nil, "build", "-o", tool, "../cmd/meminspect")

	runner := peak.Build(b)

	b.Run("generate/first", func(b *testing.B) {
		measure(b, runner, tree, func() { removeGenerated(b, tree) }, tool, "generate", "./...")
		if n := countGenerated(b, tree); n < packages {
			b.Fatalf("%d generated files for %d packages", n, packages)
		}
	})
	b.Run("generate/unchanged", func(b *testing.B) { measure(b, runner, tree, nil, tool, "generate", "./...") })
	b.Run("generate/check", func(b *testing.B) { measure(b, runner, tree, nil, tool, "generate", "--check", "./...") })
	// The corpus does not require the runtime, so remove the generated files
	// before the other tools run.
	removeGenerated(b, tree)
	b.Run("golist/modules", func(b *testing.B) { measure(b, runner, tree, nil, "go", "list", "-m", "-json") })
	b.Run("golist/packages", func(b *testing.B) { measure(b, runner, tree, nil, "go", "list", "./...") })
	b.Run("golist/packages-find", func(b *testing.B) { measure(b, runner, tree, nil, "go", "list", "-find", "./...") })
	b.Run("controller-gen/object", func(b *testing.B) {
		other := filepath.Join(cache, "bin", "controller-gen")
		if _, err := os.Stat(other); err != nil {
			goRun(b, ".", []string{"GOBIN=" + filepath.Dir(other)}, "install", controllerTools)
		}
		// controller-gen reports errors about types of this tree, but only after all
		// its work.
		measure(b, runner, tree, nil, "sh", "-c", other+" object paths=./pkg/... output:dir="+b.TempDir()+" || test $? = 1")
	})
}

// measure runs a command b.N times and also reports its peak memory.
func measure(b *testing.B, runner peak.Runner, dir string, before func(), name string, args ...string) {
	b.Helper()
	var most int64
	for b.Loop() {
		if before != nil {
			b.StopTimer()
			before()
			b.StartTimer()
		}
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		resident, err := runner.Run(cmd)
		if err != nil {
			b.Fatal(err)
		}
		most = max(most, resident)
	}
	b.ReportMetric(float64(most)/1e6, "peak-MB")
	b.ReportMetric(0, "B/op") // allocations of this process are meaningless
	b.ReportMetric(0, "allocs/op")
}

func goRun(b *testing.B, dir string, env []string, args ...string) string {
	b.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("go %s: %v: %.4000s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// corpus copies the repository from the module cache and makes it a module. The
// modules inside its tree, which a module's archive omits, come from the proxy
// as well.
func corpus(b *testing.B, cache string) string {
	b.Helper()
	tree := filepath.Join(cache, "kubernetes-"+corpusVersion)
	ready := filepath.Join(tree, ".ready")
	if _, err := os.Stat(ready); err == nil {
		return tree
	}
	if err := os.RemoveAll(tree); err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(tree, 0o777); err != nil {
		b.Fatal(err)
	}
	empty := b.TempDir()
	goRun(b, empty, nil, "mod", "download", corpusModule+"@"+corpusVersion)
	from := strings.TrimSpace(goRun(b, empty, nil, "env", "GOMODCACHE")) + "/" + corpusModule + "@" + corpusVersion
	if err := os.CopyFS(tree, os.DirFS(from)); err != nil {
		b.Fatal(err)
	}
	err := filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Chmod(path, 0o777)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"go.work", "go.work.sum", "vendor"} {
		if err := os.RemoveAll(filepath.Join(tree, name)); err != nil {
			b.Fatal(err)
		}
	}
	publishedStaging(b, filepath.Join(tree, "go.mod"))
	goRun(b, tree, []string{"GOWORK=off"}, "list", "-mod=mod", "-e", "-deps", "./...")
	if err := os.WriteFile(ready, nil, 0o666); err != nil {
		b.Fatal(err)
	}
	return tree
}

// publishedStaging replaces the local-folder replacements by published
// versions.
func publishedStaging(b *testing.B, name string) {
	b.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	file, err := modfile.Parse(name, data, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range slices.Clone(file.Replace) {
		if strings.HasPrefix(r.New.Path, "./staging/") {
			if err := file.AddReplace(r.Old.Path, r.Old.Version, r.Old.Path, corpusStaging); err != nil {
				b.Fatal(err)
			}
		}
	}
	file.Cleanup()
	data, err = file.Format()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o666); err != nil {
		b.Fatal(err)
	}
}

// plant writes annotations above variables of the corpus, unless an earlier run
// did: two or three in each of the first packages with enough variables.
func plant(b *testing.B, tree string) (planted, packages int) {
	b.Helper()
	var dirs []string
	err := filepath.WalkDir(filepath.Join(tree, "pkg"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && !folders.PassedOver(d.Name()) {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, dir := range dirs {
		if packages == plantedPackages {
			break
		}
		want := 2
		if rest := plantedAnnotations - planted; rest > 2*(plantedPackages-packages) {
			want = 3
		}
		if n := plantIn(b, dir, want); n > 0 {
			planted, packages = planted+n, packages+1
		}
	}
	if planted != plantedAnnotations || packages != plantedPackages {
		b.Fatalf("%d annotations in %d packages", planted, packages)
	}
	return planted, packages
}

// plantIn annotates want lone variables of one file of a folder, or none.
func plantIn(b *testing.B, dir string, want int) int {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || folders.IsOutputName(filepath.Base(name)) {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		if n := strings.Count(string(source), "\n//meminspect:entry\n"); n > 0 {
			return n
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		var at []int
		for _, decl := range syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if ok && gen.Tok == token.VAR && !gen.Lparen.IsValid() && gen.Specs[0].(*ast.ValueSpec).Names[0].Name != "_" {
				at = append(at, fset.Position(gen.Pos()).Offset)
			}
		}
		if len(at) < want {
			continue
		}
		for _, offset := range slices.Backward(at[:want]) {
			source = slices.Insert(source, offset, []byte("//meminspect:entry\n")...)
		}
		if err := os.WriteFile(name, source, 0o666); err != nil {
			b.Fatal(err)
		}
		return want
	}
	return 0
}

// generated lists what generate wrote into the corpus.
func generated(b *testing.B, tree string) []string {
	b.Helper()
	var list []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (folders.IsOutputName(d.Name()) || d.Name() == "meminspect.ids") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func removeGenerated(b *testing.B, tree string) {
	for _, path := range generated(b, tree) {
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}

func countGenerated(b *testing.B, tree string) int { return len(generated(b, tree)) / 2 }

// BenchmarkRun measures a run on a small tree.
func BenchmarkRun(b *testing.B) {
	var archive strings.Builder
	archive.WriteString("-- go.mod --\nmodule example.com/many\n\ngo 1.24\n")
	for i := range 50 {
		fmt.Fprintf(&archive, "-- p%d/p.go --\npackage p\n\n//meminspect:entry\nvar a, b int\n", i)
		for j := range 20 {
			fmt.Fprintf(&archive, "-- p%d/f%d.go --\npackage p\n\n%s", i, j, strings.Repeat("// A comment about memory.\n", 200))
		}
	}
	dir := fixture(b, archive.String())
	generate(b, dir, "./...")
	begin := time.Now()
	for b.Loop() {
		generate(b, dir, "./...")
	}
	b.ReportMetric(float64(time.Since(begin).Microseconds())/float64(b.N)/1000, "ms/run")
}
