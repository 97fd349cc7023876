package linker_test

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/linker"
)

// sample lists the builds that always run, one for each difficulty.
var sample = []build{
	{args: "-ldflags=-s+-w", cut: true},
	{args: "-buildmode=pie -ldflags=-linkmode=external"},
	{args: "test"},
	{env: "GOARCH=arm64 CGO_ENABLED=0", args: "-ldflags=-s+-w"},
	{toolchain: "go1.27.3", args: "-trimpath"},
}

// all lists every kind of build with every toolchain.
func all() []build {
	var builds []build
	for _, toolchain := range []string{"", "go1.24.9", "go1.25.5", "go1.27.3"} {
		for _, b := range []build{
			{},
			{args: "-ldflags=-s+-w"},
			{args: "-ldflags=-s+-w -trimpath"},
			{args: "-buildmode=pie"},
			{args: "-buildmode=pie -ldflags=-s+-w"},
			{args: "-buildmode=pie -ldflags=-linkmode=external"},
			{args: "-buildmode=pie -ldflags=-linkmode=external+-s+-w"},
			{args: "-ldflags=-linkmode=external"},
			{args: "-race"},
			{args: "-race -ldflags=-s+-w"},
			{args: "-trimpath"},
			{cut: true},
			{args: "-ldflags=-s+-w", cut: true},
			{args: "-buildmode=pie -ldflags=-linkmode=external", cut: true},
			{args: "test"},
			{args: "test -race"},
			{args: "-buildmode=plugin"},
			{args: "-buildmode=plugin -ldflags=-s+-w"},
			{args: "-buildmode=c-shared"},
			{args: "-buildmode=c-shared -ldflags=-s", cut: true},
			{env: "GOARCH=arm64 CGO_ENABLED=0"},
			{env: "GOARCH=arm64 CGO_ENABLED=0", args: "-ldflags=-s+-w", cut: true},
			{env: "GOARCH=arm64 CGO_ENABLED=0", args: "-buildmode=pie -ldflags=-s+-w"},
			{env: "CGO_ENABLED=0"},
		} {
			b.toolchain = toolchain
			builds = append(builds, b)
		}
	}
	return builds
}

// In every kind of build, the file shows what the program reports.
func TestBuilds(t *testing.T) {
	builds := matrix.Choose(sample, all())
	want := ask(t, plainBinary(t))
	for _, b := range builds {
		t.Run(b.name(), func(t *testing.T) {
			bin := b.run(t)
			p := open(t, bin)
			if err := p.Degraded(); err != nil {
				t.Errorf("types are not available: %v", err)
			}
			if len(p.Problems()) != 0 {
				t.Errorf("problems: %v", p.Problems())
			}
			runs := !b.has("arm64") && !b.has("plugin") && !b.has("c-shared")
			if runs {
				own := ask(t, bin)
				checkSaid(t, p, own, true)
				if b.has("test") {
					if _, ok := own["example.com/program.inTest"]; !ok {
						t.Error("the test binary does not know the variable of its tests")
					}
					return
				}
				sameButPlace(t, own, want)
			} else {
				checkSaid(t, p, want, false)
			}
			checkFindings(t, p)
			if !b.cut && !b.has("-s") {
				checkNM(t, p, bin)
				checkDWARF(t, p, bin)
			}
		})
	}
}

// checkSaid compares the map of a file with what a program reports of itself.
// If addresses is set, the program must run from the same file.
func checkSaid(t *testing.T, p *linker.Program, want map[string]reported, addresses bool) {
	t.Helper()
	entries := p.Entries()
	if len(entries) != len(want) {
		t.Errorf("%d entries, the program reports %d", len(entries), len(want))
	}
	var bias uint64
	for i, e := range entries {
		w, ok := want[e.String()]
		if !ok {
			t.Errorf("%s: the program does not know it", e)
			continue
		}
		if e.Expr != w.Expr || e.Pos != w.Pos || e.Note != w.Note || e.Depth != w.Depth || e.Flags != w.Flags || e.Budget != w.Budget {
			t.Errorf("%s: %+v, the program reports %+v", e, e, w)
		}
		if id, _ := strconv.ParseUint(w.ID, 16, 64); e.ID != id {
			t.Errorf("%s: ID %x, the program reports %x", e, e.ID, id)
		}
		size := w.Size
		if w.Bytes != 0 {
			size = w.Bytes
		}
		if e.Type == nil || byMain(e.Type.String()) != byMain(w.Type) || e.Type.Size != w.Size || !e.SizeKnown || e.Size != size {
			t.Errorf("%s: type %v, size %d, %v; the program reports %s, %d", e, e.Type, e.Size, e.TypeErr, w.Type, size)
		}
		if !addresses {
			continue
		}
		// A position-independent program is moved as a whole, by whole pages.
		if moved := w.Address - uint64(e.Addr); i == 0 {
			bias = moved
		} else if moved != bias || bias%4096 != 0 {
			t.Errorf("%s: at %v, the program reports %#x, the others are moved by %#x", e, e.Addr, w.Address, bias)
		}
	}
}

// byMain returns a type's name with package main called main: in plugins, and
// partly in test binaries, it has its path.
func byMain(name string) string { return strings.ReplaceAll(name, "example.com/program.", "main.") }

// sameButPlace compares the reports of two builds of the program.
func sameButPlace(t *testing.T, got, want map[string]reported) {
	t.Helper()
	for name, w := range want {
		g := got[name]
		g.Address = w.Address
		if g != w {
			t.Errorf("%s: this build reports %+v, the plain one %+v", name, g, w)
		}
	}
}

// checkFindings checks that the only finding is the ID that the fixture
// declares but never registers.
func checkFindings(t *testing.T, p *linker.Program) {
	t.Helper()
	findings, err := p.Check(linker.CheckOptions{})
	if err != nil || len(findings) != 1 || findings[0].Code != linker.NeverRegistered || findings[0].Name != "Forgotten" {
		t.Errorf("findings %v, %v", findings, err)
	}
}

// checkNM compares addresses and sizes with go tool nm -size.
func checkNM(t *testing.T, p *linker.Program, bin string) {
	t.Helper()
	out, err := exec.Command("go", "tool", "nm", "-size", bin).Output()
	if err != nil {
		t.Fatalf("go tool nm: %v", err)
	}
	symbols := map[string]memory.Range{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.ContainsAny(f[2], "dDbB") {
			continue
		}
		addr, err1 := strconv.ParseUint(f[0], 16, 64)
		size, err2 := strconv.ParseUint(f[1], 10, 64)
		if err1 == nil && err2 == nil {
			symbols[f[3]] = memory.RangeOf(memory.Address(addr), size)
		}
	}
	for _, e := range p.Entries() {
		variable := e.Expr
		if i := strings.IndexAny(variable, ".["); i >= 0 {
			variable = variable[:i]
		}
		found := false
		for _, pkg := range mainNames(e.Package) {
			r, ok := symbols[pkg+"."+variable]
			if !ok {
				continue
			}
			found = true
			whole := e.Expr == variable
			if !r.ContainsRange(memory.RangeOf(e.Addr, e.Size)) || whole && (r.Start != e.Addr || r.Size() != e.Type.Size) {
				t.Errorf("%s: %d bytes at %v, nm reports %v", e, e.Type.Size, e.Addr, r)
			}
		}
		if !found {
			t.Errorf("%s: nm does not know it", e)
		}
	}
}

// mainNames returns the names that symbols use for a package: a plugin's main
// package has its path.
func mainNames(pkg string) []string {
	if pkg == "example.com/program" {
		return []string{pkg, "main"}
	}
	return []string{pkg}
}

// checkDWARF compares addresses and sizes with the debug information.
func checkDWARF(t *testing.T, p *linker.Program, bin string) {
	t.Helper()
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[memory.Address]int64{}
	r := data.Reader()
	for {
		die, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if die == nil {
			break
		}
		if die.Tag == dwarf.TagSubprogram {
			r.SkipChildren()
		}
		location, ok := die.Val(dwarf.AttrLocation).([]byte)
		if die.Tag != dwarf.TagVariable || !ok || len(location) != 9 || location[0] != 3 {
			continue
		}
		name, _ := die.Val(dwarf.AttrName).(string)
		if !strings.HasPrefix(name, "main.") && !strings.HasPrefix(name, "example.com/program") {
			continue
		}
		typ, err := data.Type(die.Val(dwarf.AttrType).(dwarf.Offset))
		if err != nil {
			t.Fatal(err)
		}
		sizes[memory.Address(binary.LittleEndian.Uint64(location[1:]))] = typ.Size()
	}
	checked := 0
	for _, e := range p.Entries() {
		if strings.ContainsAny(e.Expr, ".[") {
			continue
		}
		size, ok := sizes[e.Addr]
		if !ok {
			t.Errorf("%s: the debug information has nothing at %v", e, e.Addr)
		} else if uint64(size) != e.Type.Size {
			t.Errorf("%s: %d bytes, the debug information reports %d", e, e.Type.Size, size)
		}
		checked++
	}
	if checked < 8 {
		t.Errorf("only %d entries were compared", checked)
	}
}
