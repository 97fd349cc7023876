package linker_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/ledger"
	"github.com/meminspect/meminspect/linker"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// table is the generated source of a package with one variable Jobs. As text,
// it lets a test choose the namespaces of the archive's modules.
const table = `package PKG

import "github.com/meminspect/meminspect/runtime/meminspectimpl"

var meminspectTable = meminspectimpl.Table{
	Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion,
	Package: "PATH", Namespace: "NAMESPACE",
	Entries: []meminspectimpl.Entry{{ID: ID, Name: "Jobs", Expr: "Jobs", Var: &Jobs, Pos: "lib.go:4"}},
}

func init() { meminspectimpl.Link(&meminspectTable) }
`

// modules builds the program of testdata/modules.txtar.
func modules(t *testing.T, env ...string) string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/modules.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range archive.Files {
		write(f.Name, string(f.Data))
	}
	for _, m := range []struct{ dir, pkg, path, namespace, id string }{
		{"lib", "lib", "example.com/lib", "example.com/lib", "0x8000000000000007"},
		{"lib2", "lib", "example.com/lib/v2", "example.com/lib", "0x8000000000000007"},
		{"copied", "copied", "example.com/copied", "example.com/lib", "0x8000000000000007"},
	} {
		write(m.dir+"/table.go", strings.NewReplacer("PKG", m.pkg, "PATH", m.path, "NAMESPACE", m.namespace, "ID: ID", "ID: "+m.id).Replace(table))
	}
	runtime, err := filepath.Abs("../runtime")
	if err != nil {
		t.Fatal(err)
	}
	write("go.work", "go 1.24\n\nuse (\n\t./app\n\t./lib\n\t./lib2\n\t./copied\n\t"+strconv.Quote(runtime)+"\n)\n")
	bin := filepath.Join(dir, "bin")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = filepath.Join(dir, "app")
	cmd.Env = append(append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// Check reports all findings, in order of position, on amd64 and arm64.
func TestCheck(t *testing.T) {
	for _, env := range [][]string{{"GOARCH=amd64", "CGO_ENABLED=0"}, {"GOARCH=arm64", "CGO_ENABLED=0"}} {
		t.Run(env[0], func(t *testing.T) {
			p := open(t, modules(t, env...))
			findings, err := p.Check(linker.CheckOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				text := f.String()
				if f.Code == linker.UnknownVersion { // its text contains an address
					_, text, _ = strings.Cut(text, ": layout")
					text = "unknown-version: layout" + text
				}
				got = append(got, text)
			}
			want := []string{
				"unknown-version: layout version 3, and this tool knows version 2: update meminspect",
				"example.com/app/main.go:2: collision: first (example.com/app/main.go:1) and second (example.com/app/main.go:2) have the same ID 800000000000002a",
				"example.com/app/main.go:5: never-registered: the ID of Nowhere is declared, but no code or data of the program contains it: nothing registers it",
				"example.com/app/main.go:6: never-registered: the ID of InDeadCode is declared, but no code or data of the program contains it: nothing registers it",
				"example.com/lib: two-versions: example.com/lib and example.com/lib/v2 are versions of one module, and each has annotations: example.com/lib (devel), example.com/lib/v2 (devel)",
				"example.com/lib/lib.go:4: same-id: Jobs of example.com/lib has the ID 8000000000000007, as in example.com/copied: a copy that kept the namespace example.com/lib",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// patch writes words into a copy of the plain binary, at addresses of memory.
func patch(t *testing.T, words map[memory.Address]uint64) string {
	t.Helper()
	bin := copyTo(t, plainBinary(t))
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	programs := data[le.Uint64(data[32:]):]
	for range le.Uint16(data[56:]) {
		offset, addr, filesz := le.Uint64(programs[8:]), le.Uint64(programs[16:]), le.Uint64(programs[32:])
		if le.Uint32(programs) == 1 {
			for at, word := range words {
				if uint64(at) >= addr && uint64(at)-addr < filesz {
					le.PutUint64(data[offset+uint64(at)-addr:], word)
					delete(words, at)
				}
			}
		}
		programs = programs[56:]
	}
	if len(words) != 0 {
		t.Fatalf("not in the file: %v", words)
	}
	if err := os.WriteFile(bin, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

// entryNamed returns the address of an entry in the table, and its package.
func entryNamed(t *testing.T, p *linker.Program, name string) (memory.Address, *linker.Entry) {
	t.Helper()
	for _, e := range p.Entries() {
		if e.Name != name {
			continue
		}
		for _, raw := range e.Table.Entries {
			if raw.Name == name {
				return raw.Addr, e
			}
		}
	}
	t.Fatalf("no entry %s", name)
	return 0, nil
}

// Tables that were patched into states that no generator writes.
func TestCheckPatched(t *testing.T) {
	p := open(t, plainBinary(t))
	counter, _ := entryNamed(t, p, "counter")
	_, root := entryNamed(t, p, "root")
	code := p.File().Entry
	for _, c := range []struct {
		name string
		at   memory.Address
		word uint64
		code linker.Code
		text string
	}{
		{"variable in code", counter.Add(anchor.EntryVar + 8), uint64(code), linker.ReadOnly, "is in read-only data"},
		{"variable nowhere", counter.Add(anchor.EntryVar + 8), 8, linker.ReadOnly, "is not in the program's data"},
		{"one ID twice", counter.Add(anchor.EntryID), root.ID, linker.Collision, "counter (example.com/program/main.go:20) and root"},
		{"entries without end", root.Table.Addr.Add(anchor.TableEntries + 8), 1 << 60, linker.Unreadable, "entries: 1152921504606846976 of"},
		{"newer table", root.Table.Addr.Add(anchor.TableVersionOff), 7, linker.UnknownVersion, "layout version 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings, err := open(t, patch(t, map[memory.Address]uint64{c.at: c.word})).Check(linker.CheckOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(findings, func(f linker.Finding) bool {
				return f.Code == c.code && strings.Contains(f.Text, c.text)
			}) {
				t.Errorf("findings %v, want a %s with %q", findings, c.code, c.text)
			}
		})
	}
	// An invalid type: the entry remains, its size is unknown.
	broken := open(t, patch(t, map[memory.Address]uint64{counter.Add(anchor.EntryVar): uint64(code)}))
	_, e := entryNamed(t, broken, "counter")
	if e.Type != nil || e.TypeErr == nil || e.SizeKnown {
		t.Errorf("an entry whose type is code: %v, %d bytes, %v", e.Type, e.Size, e.TypeErr)
	}
	if _, root := entryNamed(t, broken, "root"); root.Type == nil {
		t.Errorf("the next entry: %v", root.TypeErr)
	}
}

// Ledgers that contradict the program.
func TestCheckLedgers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixture, ledger.FileName))
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, plainBinary(t))
	for _, c := range []struct {
		name         string
		edit         [2]string
		want         string
		wantFindings int
	}{
		{"as it is", [2]string{}, "", 0},
		{"line missing", [2]string{"ff95706a9b6d1af8 counter entry int64\n", ""}, "counter with the ID ff95706a9b6d1af8 is not in ids", 1},
		{"retired", [2]string{"ff95706a9b6d1af8 counter entry int64", "ff95706a9b6d1af8 counter gone"}, "which is retired in ids line", 1},
		{"renamed", [2]string{"ff95706a9b6d1af8 counter entry", "ff95706a9b6d1af8 tally entry was=counter"}, "the ID ff95706a9b6d1af8 is counter in the program and tally in ids line", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			edited := strings.Replace(string(text), c.edit[0], c.edit[1], 1)
			if c.edit[0] != "" && edited == string(text) {
				t.Fatalf("the ledger has no %q:\n%s", c.edit[0], text)
			}
			findings, err := p.Check(linker.CheckOptions{Ledgers: []linker.LedgerFile{{Path: "ids", Data: []byte(edited)}}})
			if err != nil {
				t.Fatal(err)
			}
			findings = slices.DeleteFunc(findings, func(f linker.Finding) bool { return f.Code == linker.NeverRegistered })
			if len(findings) != c.wantFindings || len(findings) > 0 && (findings[0].Code != linker.Disagrees || !strings.Contains(findings[0].Text, c.want)) {
				t.Errorf("findings %v, want %d with %q", findings, c.wantFindings, c.want)
			}
		})
	}
	foreign := []byte("meminspect 1\nnamespace example.com/elsewhere\n")
	findings, err := p.Check(linker.CheckOptions{Ledgers: []linker.LedgerFile{{Path: "ids", Data: foreign}}})
	if err != nil || !slices.ContainsFunc(findings, func(f linker.Finding) bool {
		return f.Code == linker.Disagrees && f.Text == "the program has no table of the namespace example.com/elsewhere"
	}) {
		t.Errorf("findings with a ledger of another program: %v, %v", findings, err)
	}
	if _, err := p.Check(linker.CheckOptions{Ledgers: []linker.LedgerFile{{Path: "ids", Data: []byte("no ledger\n")}}}); err == nil || !strings.HasPrefix(err.Error(), "ids: ") {
		t.Errorf("a file that is not a ledger: %v", err)
	}
}

// Cost finds what only annotations keep alive, by comparison with a build
// without them.
func TestCost(t *testing.T) {
	p := open(t, plainBinary(t))
	off := open(t, build{args: "-tags=meminspect_off"}.run(t))
	cost, err := p.Cost(off)
	if err != nil {
		t.Fatal(err)
	}
	names := string(command(t, "go", "tool", "nm", off.Path))
	var sum uint64
	unused := false
	for _, k := range cost.Kept {
		if strings.Contains(names, " "+k.Symbol+"\n") {
			t.Errorf("%s is reported to be kept alive, and nm finds it in the other build", k.Symbol)
		}
		sum += k.Bytes
		unused = unused || k.Symbol == "example.com/program/idle.unused" && k.Bytes == 1024
	}
	// The program itself uses greeting, sessions and others.
	if !unused || sum != cost.KeptBytes || len(cost.Kept) > 6 || !strings.Contains(names, " main.greeting\n") {
		t.Errorf("kept alive: %+v", cost)
	}
	if cost.Text <= 0 || cost.Data <= 0 {
		t.Errorf("annotations cost %+v", cost)
	}
	findings, err := p.Check(linker.CheckOptions{Off: off})
	if err != nil || !slices.ContainsFunc(findings, func(f linker.Finding) bool { return f.Code == linker.KeptAlive && f.Name == "unused" }) {
		t.Errorf("findings %v, %v", findings, err)
	}
	if _, err := p.Cost(p); err == nil || !strings.Contains(err.Error(), "build it with the tag meminspect_off") {
		t.Errorf("compared with itself: %v", err)
	}
	// Without symbols Cost reports the sizes, and a note that the rest is unknown.
	stripped := copyTo(t, off.Path)
	command(t, "strip", "-s", stripped)
	cost, err = p.Cost(open(t, stripped))
	if err != nil || cost.Note == "" || cost.Text <= 0 || len(cost.Kept) != 0 {
		t.Errorf("compared with a stripped build: %+v, %v", cost, err)
	}
}

// Open reports a file that is not a Go program.
func TestOpenOthers(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A Go program without annotations is fine.
	if _, err := linker.Open(self); err != nil {
		t.Error(err)
	}
	sh, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip("no /bin/sh")
	}
	if _, err := linker.Open(sh); err == nil || !strings.Contains(err.Error(), "not a Go program") {
		t.Errorf("%s: %v", sh, err)
	}
	for name, data := range map[string]string{"empty": "", "text": strings.Repeat("text", 100), "directory": "/"} {
		path := filepath.Join(t.TempDir(), name)
		if data == "/" {
			path = t.TempDir()
		} else if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		if p, err := exe.Open(path); err == nil {
			p.Close()
			t.Errorf("%s was opened", name)
		}
	}
}

// Of a program of an unknown Go release, Open reads the tables and notes what
// is missing.
func TestUnknownRelease(t *testing.T) {
	data, err := os.ReadFile(plainBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	info := bytes.Index(data, []byte("\xff Go buildinf:"))
	version := bytes.Index(data[info:], []byte("go1."))
	if info < 0 || version < 0 || version > 64 {
		t.Fatal("the build information was not found")
	}
	copy(data[info+version:], "go1.99")
	bin := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(bin, data, 0o755); err != nil {
		t.Fatal(err)
	}
	p := open(t, bin)
	if err := p.Degraded(); err == nil || !strings.Contains(err.Error(), "newer than this tool knows (Go 1.21 to 1.27)") {
		t.Errorf("degraded: %v", err)
	}
	m := p.Map()
	if m.Totals.Entries != 12 || m.Totals.Unknown != 11 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "types are not available: built with go1.99") {
		t.Errorf("totals %+v, notes %q", m.Totals, m.Notes)
	}
	// Checks of IDs need no types.
	checkFindings(t, p)
	if _, err := p.Forecast(linker.ForecastOptions{}); err == nil || !strings.Contains(err.Error(), "newer than this tool knows") {
		t.Errorf("forecast: %v", err)
	}
	if _, err := p.Embed(); err == nil || !strings.Contains(err.Error(), "newer than this tool knows") {
		t.Errorf("embed: %v", err)
	}
}

// A file that claims to need all of memory is read as quickly as others.
func TestClaims(t *testing.T) {
	data, err := os.ReadFile(plainBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	programs := data[le.Uint64(data[32:]):]
	claimed := false
	for range le.Uint16(data[56:]) {
		// The last writable loaded segment contains the zeroed memory.
		if le.Uint32(programs) == 1 && le.Uint32(programs[4:])&2 != 0 {
			le.PutUint64(programs[40:], 1<<46)
			claimed = true
		}
		programs = programs[56:]
	}
	if !claimed {
		t.Fatal("no writable segment")
	}
	v := &variant{data: data, size: int64(len(data)), deep: true}
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	o, err := examine(v)
	goruntime.ReadMemStats(&after)
	if err != nil || o.Map.Totals.Entries != 12 {
		t.Errorf("%v", err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 200<<20 {
		t.Errorf("%d MB were allocated", spent>>20)
	}
}
