package linker_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/linker"
)

// shopPackages are the example's packages that other programs import here.
const shopPackages = "github.com/meminspect/meminspect/examples/shop/"

// shopEntries returns the entries of the example's packages, without addresses.
func shopEntries(p *linker.Program) []linker.MapEntry {
	var all []linker.MapEntry
	for _, e := range p.Map().Entries {
		if strings.HasPrefix(e.Package, shopPackages) {
			e.Address = ""
			all = append(all, e)
		}
	}
	return all
}

// goBuild builds a package of the workspace.
func goBuild(t *testing.T, args ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append([]string{"build", "-o", bin}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return bin
}

// besides copies a program's main package, with one more file that imports the
// example, into a module with a sibling path, which may import the same
// internal packages.
func besides(t *testing.T, program string) (dir, work string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}} {{join .GoFiles \" \"}}", program).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", program, err)
	}
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	dir = t.TempDir()
	work = filepath.Join(dir, "go.work")
	files := map[string]string{
		"go.mod":    "module " + path.Dir(program) + "/tables\n\ngo 1.26\n",
		"go.work":   "go 1.26.0\n\nuse (\n\t.\n\t" + strconv.Quote(repository) + "\n\t" + strconv.Quote(filepath.Join(repository, "runtime")) + "\n)\n",
		"tables.go": "package main\n\nimport (\n\t_ \"" + shopPackages + "orders\"\n\t_ \"" + shopPackages + "pricing\"\n)\n",
	}
	for _, name := range fields[1:] {
		data, err := os.ReadFile(filepath.Join(fields[0], name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir, work
}

// Third-party programs that link the example's tables show the example's
// entries.
func TestOthersPrograms(t *testing.T) {
	want := shopEntries(open(t, goBuild(t, "../examples/shop")))
	if len(want) < 10 {
		t.Fatalf("the example has %d entries", len(want))
	}
	programs, ways := []string{"filippo.io/age/cmd/age"}, []string{"-ldflags=-s -w"}
	if matrix.Whole() {
		programs = append(programs, "golang.org/x/tools/cmd/callgraph", "golang.org/x/tools/cmd/stringer", "github.com/rogpeppe/go-internal/cmd/testscript")
		ways = append(ways, "", "-buildmode=pie")
	}
	for _, program := range programs {
		for _, args := range ways {
			t.Run(strings.TrimSpace(program+" "+args), func(t *testing.T) {
				dir, work := besides(t, program)
				bin := filepath.Join(t.TempDir(), "program")
				build := []string{"build", "-o", bin}
				if args != "" {
					build = append(build, args)
				}
				cmd := exec.Command("go", append(build, ".")...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK="+work)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("build: %v\n%s", err, out)
				}
				p := open(t, bin)
				if diff := cmp.Diff(want, shopEntries(p)); diff != "" {
					t.Errorf("the example (-), %s (+):\n%s", program, diff)
				}
				if want := path.Dir(program) + "/tables"; p.Map().Main != want {
					t.Errorf("package main is %q, want %q", p.Map().Main, want)
				}
			})
		}
	}
}
