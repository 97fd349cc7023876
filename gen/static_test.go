package gen

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/nameid"
)

// everyRow has every kind of row that a table can have, on every kind of
// variable.
const everyRow = `
-- go.mod --
module example.com/every

go 1.24

require github.com/meminspect/meminspect/runtime v0.0.0
-- main.go --
package main

import (
	"fmt"
	"strings"
	"unsafe"
)

const slots = 4

type level int8

const low, high level = -1, 1

type inner struct {
	A int
	b [slots]struct{ c string }
}

//meminspect:layout
//meminspect:exclude
type state struct {
	inner
	In inner
	//meminspect:exclude
	Key []byte
	Deep struct {
		//meminspect:exclude
		Secret string
	}
}

type pair[K comparable, V any] struct {
	k K
	//meminspect:exclude
	v V
}

var (
	//meminspect:entry
	counter = 1
	//meminspect:entry depth=3 budget=4KiB note=hello summary
	table = map[string]*state{"x": {}}
	//meminspect:entry
	//meminspect:entry member=In.b[slots-1].c
	//meminspect:entry member=A name=Promoted
	//meminspect:area size=2*unsafe.Sizeof(counter) name=Head
	st state
	//meminspect:entry
	fn = func() int { return counter }
	//meminspect:entry
	ch = make(chan int)
	//meminspect:entry
	iface any = fmt.Sprint("x")
	//meminspect:entry
	gen pair[string, int]
	//meminspect:entry
	slice = strings.Split("a,b", ",")
	//meminspect:exclude
	key []byte
)

//meminspect:number
const limit = -3

//meminspect:id Config

func main() {
	if len(table) == 2 {
		fmt.Println(counter, st, fn, ch, iface, gen, slice, key, unsafe.Sizeof(st))
	}
}
`

// No code initialises entries: the file of a built program contains all rows,
// and the only code that refers to the table passes it to Link.
func TestTablesAreStaticData(t *testing.T) {
	toolchains := []string{"local"}
	if matrix.Whole() {
		toolchains = append(toolchains, "go1.24.9", "go1.25.5", "go1.27.3")
	}
	for _, toolchain := range toolchains {
		t.Run(toolchain, func(t *testing.T) { checkStatic(t, []string{"CGO_ENABLED=0", "GOTOOLCHAIN=" + toolchain}) })
	}
}

func checkStatic(t *testing.T, env []string) {
	dir := fixture(t, everyRow)
	generate(t, dir)
	exe := filepath.Join(dir, "every")
	mustGo(t, dir, env, "build", "-o", exe, ".")

	file, err := elf.Open(exe)
	if err != nil {
		t.Skip("not an ELF system: ", err)
	}
	defer file.Close()
	table := symbol(t, file, "main.meminspectTable")
	data := sectionData(t, file, table.Value, anchor.TableSize)
	word := func(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	if word(data, 0) != anchor.TableMagic0 || word(data, 8) != anchor.TableMagic1 {
		t.Fatal("no magic in the file")
	}
	for _, slice := range []struct {
		what              string
		at, rows, rowSize int
	}{
		{"entries", anchor.TableEntries, 11, anchor.EntrySize},
		{"exclusions", anchor.TableExclusions, 5, anchor.ExclusionSize},
		{"layouts", anchor.TableLayouts, 1, anchor.LayoutSize},
		{"numbers", anchor.TableNumbers, 1, anchor.NumberSize},
		{"declared", anchor.TableDeclared, 1, anchor.DeclaredSize},
		{"constants", anchor.TableConstants, 1, anchor.ConstantsSize},
	} {
		if n := word(data, slice.at+8); n != uint64(slice.rows) {
			t.Errorf("%d %s in the file, want %d", n, slice.what, slice.rows)
			continue
		}
		rows := sectionData(t, file, word(data, slice.at), uint64(slice.rows*slice.rowSize))
		if slice.what == "entries" {
			checkEntries(t, file, rows)
		}
	}

	// Check the same in the code that the compiler generated for init.
	dump := mustGo(t, dir, env, "tool", "objdump", "-s", `^main\.init(\.[0-9]+)?$`, exe)
	if n := stores(dump, "meminspect_gen.go"); n > 0 {
		t.Errorf("generated code has %d stores in init:\n%s", n, dump)
	}

	// Prove that the test detects a row that is not static.
	path := filepath.Join(dir, "meminspect_gen.go")
	broken := strings.Replace(readFile(t, path), "Var: &counter", "Var: *new(any)", 1)
	broken = strings.Replace(broken, `Note: "hello"`, `Note: fmt_Sprint()`, 1) + "\n\nfunc fmt_Sprint() string { return iface.(string) }\n"
	if err := os.WriteFile(path, []byte(broken), 0o666); err != nil {
		t.Fatal(err)
	}
	mustGo(t, dir, env, "build", "-o", exe, ".")
	if n := stores(mustGo(t, dir, env, "tool", "objdump", "-s", `^main\.init(\.[0-9]+)?$`, exe), "meminspect_gen.go"); n == 0 {
		t.Error("a row made by code is not noticed")
	}
}

// checkEntries compares the rows in the file with the annotations.
func checkEntries(t *testing.T, file *elf.File, rows []byte) {
	t.Helper()
	want := map[uint64]string{}
	for name, sym := range map[string]string{
		"counter": "counter", "table": "table", "st": "st", "Head": "st", "fn": "fn", "ch": "ch",
		"iface": "iface", "gen": "gen", "slice": "slice", "Promoted": "st", "st.In.b[slots-1].c": "st",
	} {
		want[nameid.Of("example.com/every", name)] = sym
	}
	for at := 0; at < len(rows); at += anchor.EntrySize {
		row := rows[at : at+anchor.EntrySize]
		id := binary.LittleEndian.Uint64(row[anchor.EntryID:])
		name, ok := want[id]
		if !ok {
			t.Errorf("unknown ID %#x in the file", id)
			continue
		}
		delete(want, id)
		if typ := binary.LittleEndian.Uint64(row[anchor.EntryVar:]); typ == 0 {
			t.Errorf("%s: no type in the file", name)
		}
		sym := symbol(t, file, "main."+name)
		pointer := binary.LittleEndian.Uint64(row[anchor.EntryVar+8:])
		if pointer < sym.Value || pointer >= sym.Value+sym.Size {
			t.Errorf("%s: points at %#x, the variable is at %#x", name, pointer, sym.Value)
		}
	}
	for id, name := range want {
		t.Errorf("%s (%#x) is not in the file", name, id)
	}
}

// initLines returns the disassembled lines of init.
func initLines(dump string) []string {
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "  ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// stores counts the instructions of a file that write to memory other than the
// stack.
func stores(dump, file string) int {
	n := 0
	for _, line := range initLines(dump) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], file) {
			continue
		}
		code := strings.Join(fields[3:], " ")
		target := code[strings.LastIndex(code, ", ")+1:]
		if strings.HasPrefix(code, "MOV") && strings.Contains(target, "(") && !strings.Contains(target, "(SP)") {
			n++
		}
	}
	return n
}

func symbol(t *testing.T, file *elf.File, name string) elf.Symbol {
	t.Helper()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no symbol %s", name)
	return elf.Symbol{}
}

// sectionData returns n bytes of the file's image at an address.
func sectionData(t *testing.T, file *elf.File, addr, n uint64) []byte {
	t.Helper()
	for _, s := range file.Sections {
		if s.Type == elf.SHT_PROGBITS && s.Addr <= addr && addr+n <= s.Addr+s.Size {
			data := make([]byte, n)
			if _, err := s.ReadAt(data, int64(addr-s.Addr)); err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	t.Fatalf("%d bytes at %#x are in no section with content", n, addr)
	return nil
}

// Under meminspect_off the table disappears, and the constants remain.
func TestOffLeavesNothing(t *testing.T) {
	dir := fixture(t, everyRow+`
-- use.go --
package main

import "os"

func init() {
	if len(os.Args) > 5 {
		println(idCounter.String(), IDConfig)
	}
}
`)
	generate(t, dir)
	for _, test := range []struct {
		tags string
		want bool
	}{{"", true}, {"meminspect_off", false}} {
		exe := filepath.Join(dir, "every")
		mustGo(t, dir, []string{"CGO_ENABLED=0"}, "build", "-tags", test.tags, "-o", exe, ".")
		symbols := mustGo(t, dir, nil, "tool", "nm", exe)
		if got := strings.Contains(symbols, "meminspectTable"); got != test.want {
			t.Errorf("tags %q: table in the program: %v, want %v", test.tags, got, test.want)
		}
	}
}

// Paths that are not static, and edited IDs, do not compile.
func TestGuards(t *testing.T) {
	for _, test := range []struct{ name, source, edit, want string }{
		{"pointer", "//meminspect:entry member=A\nvar v *struct{ A int }", "", "v"},
		{"pointer in the middle", "//meminspect:entry member=P.A\nvar v struct{ P *struct{ A int } }", "", "A"},
		{"embedded pointer", "type e struct{ A int }\n\n//meminspect:entry member=A\nvar v struct{ *e }", "", "embedded via a pointer"},
		{"slice", "//meminspect:entry member=[3]\nvar v []int", "", "cannot index"},
		{"map", "//meminspect:entry member=[3]\nvar v map[int]int", "", "cannot index"},
		{"string", "//meminspect:entry member=[0]\nvar v string", "", "cannot index"},
		{"pointer to array", "//meminspect:entry member=[0]\nvar v *[4]int", "", "cannot index"},
		{"beyond the array", "//meminspect:entry member=[4]\nvar v [4]int", "", "out of bounds"},
		{"variable index", "var i int\n\n//meminspect:entry member=[i]\nvar v [4]int", "", "not constant"},
		{"method", "type e struct{}\n\nfunc (e) M() {}\n\n//meminspect:entry member=M\nvar v e", "", "M"},
		{"size is a variable", "var n = 4\n\n//meminspect:area size=n\nvar v [4]int", "", "not constant"},
		{"size is a call", "func n() int { return 4 }\n\n//meminspect:area size=n()\nvar v [4]int", "", "not constant"},
		{"negative size", "//meminspect:area size=-(4)\nvar v [4]int", "", "overflow|truncated|cannot convert"},
		{"edited ID", "//meminspect:entry\nvar v int", "ID = 0x", "invalid argument|overflows|out of bounds"},
		{"good", "type e struct{ A [2]int }\n\nconst i = 1\n\n//meminspect:entry member=e.A[i]\n//meminspect:entry member=A[0]\nvar v struct{ e }", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := fixture(t, "-- go.mod --\nmodule example.com/guard\n\ngo 1.24\n-- a.go --\npackage guard\n\n"+test.source+"\n")
			generate(t, dir)
			if test.edit != "" {
				path := filepath.Join(dir, "meminspect_gen.go")
				text := readFile(t, path)
				digit := strings.Index(text, test.edit) + len(test.edit) + 15
				other := "0"
				if text[digit] == '0' {
					other = "1"
				}
				if err := os.WriteFile(path, []byte(text[:digit]+other+text[digit+1:]), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			out, ok := goTool(t, dir, nil, "build", "./...")
			if ok != (test.want == "") || !regexp.MustCompile(test.want).MatchString(out) {
				t.Errorf("built: %v, want %q in:\n%s", ok, test.want, out)
			}
			if !ok && !strings.Contains(out, "meminspect_gen.go") {
				t.Errorf("the error is not in the generated file:\n%s", out)
			}
		})
	}
}
