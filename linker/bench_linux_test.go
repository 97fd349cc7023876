package linker_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/peak"
	"github.com/meminspect/meminspect/linker"
)

// The size of the big program: packages, and annotated variables in each.
const (
	bigPackages = 40
	bigEntries  = 25
)

// bigFunctions is the number of functions in each package: a program of some 20
// MB normally, and of more than 100 MB, which takes minutes to compile, with
// MEMINSPECT_FULL.
var bigFunctions = map[bool]int{false: 150, true: 1050}[matrix.Whole()]

// big is the program that the benchmarks read, with a thousand annotated
// variables and forty declared IDs.
var big struct {
	sync.Once
	path string
	err  error
}

// bigBinary builds the big program once. MEMINSPECT_BIG names a path to keep it
// for later runs.
func bigBinary(b *testing.B) string {
	b.Helper()
	big.Do(func() {
		if big.path = os.Getenv("MEMINSPECT_BIG"); big.path != "" {
			if _, err := os.Stat(big.path); err == nil {
				return
			}
		}
		var work string
		if work, big.err = workspace(); big.err != nil {
			return
		}
		if big.path == "" {
			big.path = filepath.Join(filepath.Dir(work), "big")
		}
		big.err = buildBig(filepath.Join(filepath.Dir(work), "big-src"), big.path)
	})
	if big.err != nil {
		b.Fatal(big.err)
	}
	info, err := os.Stat(big.path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%s: %d MB", big.path, info.Size()>>20)
	return big.path
}

// buildBig writes and builds the program.
func buildBig(dir, bin string) error {
	runtime, err := filepath.Abs("../runtime")
	if err != nil {
		return err
	}
	files := map[string]string{
		"go.mod":  "module example.com/big\n\ngo 1.24\n",
		"go.work": "go 1.24\n\nuse (\n\t.\n\t" + strconv.Quote(runtime) + "\n)\n",
		"main.go": bigMain(),
	}
	for p := range bigPackages {
		files[fmt.Sprintf("p%d/p.go", p)] = bigPackage(p)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the big program: %w\n%s", err, out)
	}
	return nil
}

func bigMain() string {
	var imports, calls strings.Builder
	for p := range bigPackages {
		fmt.Fprintf(&imports, "\t\"example.com/big/p%d\"\n", p)
		fmt.Fprintf(&calls, "\tp%d.Run(os.Args)\n", p)
	}
	return "package main\n\nimport (\n\t\"os\"\n\n" + imports.String() + ")\n\nfunc main() {\n" + calls.String() + "}\n"
}

// bigPackage writes a package whose functions all differ and are all called.
func bigPackage(p int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "package p%d\n\nimport (\n\t\"fmt\"\n\t\"strings\"\n\n\tmeminspect \"github.com/meminspect/meminspect/runtime\"\n\t\"github.com/meminspect/meminspect/runtime/meminspectimpl\"\n)\n\n", p)
	fmt.Fprintf(&s, "var table = meminspectimpl.Table{\n\tMagic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion,\n\tPackage: \"example.com/big/p%d\", Namespace: \"example.com/big/p%d\",\n\tEntries: []meminspectimpl.Entry{\n", p, p)
	for e := range bigEntries {
		fmt.Fprintf(&s, "\t\t{ID: 1<<63 | %d, Name: \"v%d\", Expr: \"v%d\", Var: &v%d, Pos: \"p.go:%d\"},\n", p*1000+e, e, e, e, e)
	}
	fmt.Fprintf(&s, "\t},\n\tDeclared: []meminspectimpl.Declared{{ID: 1<<63 | 1<<40 | %d, Name: \"Declared\", Pos: \"p.go:1\"}},\n}\n\nfunc init() { meminspectimpl.Link(&table) }\n\n", p)
	for e := range bigEntries {
		fmt.Fprintf(&s, "var v%d map[string]*struct{ A%d, B%d [%d]int64 }\n", e, p, e, e+1)
	}
	s.WriteString("\n// Run calls everything.\nfunc Run(args []string) {\n\tmeminspect.RegisterString(1<<63|1<<40|")
	fmt.Fprintf(&s, "%d, args[0])\n", p)
	for f := range bigFunctions {
		fmt.Fprintf(&s, "\tf%d(args, map[string]int{})\n", f)
	}
	s.WriteString("}\n")
	for f := range bigFunctions {
		fmt.Fprintf(&s, `
func f%[1]d(args []string, seen map[string]int) string {
	var b strings.Builder
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "prefix%[1]d"):
			fmt.Fprintf(&b, "%%d %[2]d %%s %%v", i, arg, seen)
			seen[arg+"%[1]d"] += len(arg) * %[1]d
		case strings.Contains(arg, "part%[1]d") && seen[arg] > %[1]d:
			b.WriteString(strings.ToUpper(arg) + fmt.Sprint(i, %[1]d, seen[arg]))
			seen["upper"]++
		default:
			for k, v := range seen {
				if v %% (i + %[1]d + 2) == 1 {
					delete(seen, k)
					b.WriteString(fmt.Sprintf("%%q was %%d", k, v))
				}
			}
		}
	}
	return b.String()
}
`, f, p)
	}
	return s.String()
}

// BenchmarkLink reads the big program in this process.
func BenchmarkLink(b *testing.B) {
	path := bigBinary(b)
	b.ReportAllocs()
	for b.Loop() {
		p, err := linker.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if m := p.Map(); m.Totals.Entries != bigPackages*bigEntries || m.Totals.Unknown != 0 {
			b.Fatalf("totals %+v", m.Totals)
		}
		if findings, err := p.Check(linker.CheckOptions{}); err != nil || len(findings) != 0 {
			b.Fatalf("findings %v, %v", findings, err)
		}
		p.Close()
	}
}

// BenchmarkLinkCommand runs meminspect link on the big program, and go tool nm
// for comparison.
func BenchmarkLinkCommand(b *testing.B) {
	path := bigBinary(b)
	tool := filepath.Join(b.TempDir(), "meminspect")
	if out, err := exec.Command("go", "build", "-o", tool, "../cmd/meminspect").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	runner := peak.Build(b)
	nm, err := exec.Command("go", "tool", "-n", "nm").Output()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"meminspect-link", []string{tool, "link", path}},
		{"meminspect-link-json", []string{tool, "link", "--json", path}},
		{"go-tool-nm", []string{strings.TrimSpace(string(nm)), "-size", path}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var most int64
			for b.Loop() {
				resident, err := runner.Run(exec.Command(c.args[0], c.args[1:]...))
				if err != nil {
					b.Fatal(err)
				}
				most = max(most, resident)
			}
			b.ReportMetric(float64(most)/1e6, "MB-rss")
		})
	}
}
