package linker_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/meminspect/meminspect/linker"
)

// fixture is the folder of the program that the tests build.
const fixture = "testdata/program"

// workspace writes a go.work that refers to the fixture and the runtime module
// in place. Any Go from 1.24 on accepts it.
var workspace = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "meminspect-linker-")
	if err != nil {
		return "", err
	}
	program, err := filepath.Abs(fixture)
	if err != nil {
		return "", err
	}
	runtime, err := filepath.Abs("../runtime")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "go.work")
	return file, os.WriteFile(file, fmt.Appendf(nil, "go 1.24\n\nuse (\n\t%q\n\t%q\n)\n", program, runtime), 0o666)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := workspace(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// A build is one way to build the fixture.
type build struct {
	toolchain string // "" for the toolchain that runs the test
	env       string // NAME=value, separated by spaces
	args      string // of go build; "test" first for go test -c
	cut       bool   // remove the section headers afterwards
}

func (b build) name() string {
	name := strings.Join(strings.Fields(b.toolchain+" "+b.env+" "+b.args), " ")
	if b.cut {
		name += " without sections"
	}
	if name == "" {
		return "plain"
	}
	return strings.TrimSpace(name)
}

func (b build) has(part string) bool { return strings.Contains(b.env+" "+b.args, part) }

// run builds the fixture and returns the path of the output.
func (b build) run(tb testing.TB) string {
	tb.Helper()
	work, err := workspace()
	if err != nil {
		tb.Fatal(err)
	}
	bin := filepath.Join(tb.TempDir(), "program")
	args := []string{"build"}
	rest := strings.Fields(b.args)
	if len(rest) > 0 && rest[0] == "test" {
		args, rest = []string{"test", "-c"}, rest[1:]
	}
	for _, arg := range rest {
		args = append(args, strings.ReplaceAll(arg, "+", " "))
	}
	cmd := exec.Command("go", append(args, "-o", bin, ".")...)
	cmd.Dir = fixture
	cmd.Env = append(os.Environ(), "GOWORK="+work, "GOFLAGS=")
	if b.toolchain != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+b.toolchain)
	}
	cmd.Env = append(cmd.Env, strings.Fields(b.env)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	if b.cut {
		cutSections(tb, bin)
	}
	return bin
}

// cutSections removes the section headers of an ELF file.
func cutSections(tb testing.TB, path string) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	binary.LittleEndian.PutUint64(data[40:], 0) // e_shoff
	binary.LittleEndian.PutUint16(data[60:], 0) // e_shnum
	binary.LittleEndian.PutUint16(data[62:], 0) // e_shstrndx
	if err := os.WriteFile(path, data, 0o777); err != nil {
		tb.Fatal(err)
	}
}

// plain is the fixture built once, for tests that need no special build.
var plain struct {
	sync.Once
	path string
}

func plainBinary(tb testing.TB) string {
	tb.Helper()
	plain.Do(func() {
		built := build{}.run(tb)
		data, err := os.ReadFile(built)
		if err != nil {
			tb.Fatal(err)
		}
		work, err := workspace()
		if err != nil {
			tb.Fatal(err)
		}
		plain.path = filepath.Join(filepath.Dir(work), "program")
		if err := os.WriteFile(plain.path, data, 0o777); err != nil {
			tb.Fatal(err)
		}
	})
	if plain.path == "" {
		tb.Fatal("the fixture was not built")
	}
	return plain.path
}

// reported is what the program reports about its entries, by package and name.
type reported struct {
	Package, Name, Expr, ID, Type string
	Address, Size                 uint64
	Bytes, Budget                 uint64
	Depth                         int32
	Flags                         uint32
	Pos, Note                     string
}

// ask runs the program.
func ask(tb testing.TB, bin string) map[string]reported {
	tb.Helper()
	cmd := exec.Command(bin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("run: %v\n%s", err, stderr.Bytes())
	}
	var answer struct{ Entries []reported }
	if err := json.Unmarshal(out, &answer); err != nil {
		tb.Fatal(err)
	}
	all := map[string]reported{}
	for _, e := range answer.Entries {
		all[e.Package+"."+e.Name] = e
	}
	if len(all) < 12 {
		tb.Fatalf("the program reports %d entries", len(all))
	}
	return all
}

func open(tb testing.TB, path string) *linker.Program {
	tb.Helper()
	p, err := linker.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// copyTo copies a binary so that a test can modify it.
func copyTo(tb testing.TB, from string) string {
	tb.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		tb.Fatal(err)
	}
	to := filepath.Join(tb.TempDir(), "program")
	if err := os.WriteFile(to, data, 0o755); err != nil {
		tb.Fatal(err)
	}
	return to
}

// command runs a program and returns what it prints.
func command(tb testing.TB, name string, args ...string) []byte {
	tb.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}
