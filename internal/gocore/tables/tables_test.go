package tables_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/nameid"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

const here = "github.com/meminspect/meminspect/internal/gocore/tables_test"

var (
	counter int64
	state   struct{ A, B string }
	key     []byte
)

type secret struct{ k [16]byte }

var levels = [...]int8{-1, 1}

// linked and unlinked are tables as generated code has them; nothing links the
// second, as in a program that is stuck in its first init.
var linked = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   here,
	Namespace: here,
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "counter", Expr: "counter", Var: &counter, Pos: "tables_test.go:24", Note: "a note"},
		{ID: 1<<63 | 2, Name: "B", Expr: "state.B", Var: &state.B, Depth: 3, Flags: meminspectimpl.Member | meminspectimpl.HasDepth, Size: 8, Budget: 4096, Pos: "tables_test.go:25"},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeVariable, Var: &key, Package: here, Pos: "tables_test.go:26"},
		{Kind: meminspectimpl.ExcludeField, Var: (*secret)(nil), Offset: 0, Size: 16, Package: here, Type: "secret", Field: "k"},
	},
	Layouts:  []meminspectimpl.Layout{{Name: "secret", Size: 16, Fields: []meminspectimpl.LayoutField{{Name: "k", Offset: 0, Size: 16}}}},
	Numbers:  []meminspectimpl.Number{{Name: "answer", Value: -42}},
	Declared: []meminspectimpl.Declared{{ID: 1<<63 | 3, Name: "Config", Pos: "x.go:1"}},
	Constants: []meminspectimpl.Constants{
		{Names: []string{"low", "high"}, Values: &levels},
	},
}

var unlinked = meminspectimpl.Table{
	Magic:   [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version: meminspectimpl.TableVersion,
	Package: here + "/unlinked",
}

var future = meminspectimpl.Table{
	Magic:   [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version: meminspectimpl.TableVersion + 1,
}

func init() { meminspectimpl.Link(&linked) }

// keep makes the linker keep what no code links.
var keep = []*meminspectimpl.Table{&unlinked, &future}

func addr(p unsafe.Pointer) memory.Address { return memory.Address(uintptr(p)) }

// own is the test's memory: what the file maps, read from the live process.
func own(t *testing.T) (live *memory.Spliced, file *exe.File) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if file, err = exe.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	live = new(memory.Spliced)
	for _, seg := range file.Segments() {
		live.Put(seg, memory.Section{Range: seg.Range, File: mem, Offset: int64(seg.Start)})
	}
	return live, file
}

// process is all of the test's memory.
func process(t *testing.T) memory.Memory {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	return memory.Section{Range: memory.Range{End: 1 << 47}, File: mem}
}

func byPackage(t *testing.T, found tables.Found, pkg string) *tables.Table {
	for _, table := range found.Tables {
		if table.Package == pkg {
			return table
		}
	}
	t.Fatalf("no table of %s in %+v", pkg, found)
	return nil
}

// The file and the process show the same tables, but for what only the process
// knows.
func TestFind(t *testing.T) {
	live, file := own(t)
	for _, c := range []struct {
		name   string
		mem    memory.Mapped
		linked bool
	}{{"file", file, false}, {"process", live, true}} {
		t.Run(c.name, func(t *testing.T) {
			found := tables.Find(c.mem)
			got := byPackage(t, found, here)
			if got.Linked != c.linked || got.Addr != addr(unsafe.Pointer(&linked)) || got.Namespace != here {
				t.Errorf("table %+v", got)
			}
			word := func(v any) memory.Address { return addr((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[0]) }
			wantEntries := []tables.Entry{
				{Addr: addr(unsafe.Pointer(&linked.Entries[0])), ID: 1<<63 | 1, Name: "counter", Expr: "counter", Type: word(&counter), Var: addr(unsafe.Pointer(&counter)), Pos: "tables_test.go:24", Note: "a note"},
				{Addr: addr(unsafe.Pointer(&linked.Entries[1])), ID: 1<<63 | 2, Name: "B", Expr: "state.B", Type: word(&state.B), Var: addr(unsafe.Pointer(&state.B)), Depth: 3, Flags: anchor.EntryMember | anchor.EntryHasDepth, Bytes: 8, Budget: 4096, Pos: "tables_test.go:25"},
			}
			if !reflect.DeepEqual(got.Entries, wantEntries) {
				t.Errorf("entries %+v, want %+v", got.Entries, wantEntries)
			}
			wantExclusions := []tables.Exclusion{
				{Kind: anchor.ExcludeVariable, Type: word(&key), Var: addr(unsafe.Pointer(&key)), Package: here, Pos: "tables_test.go:26"},
				{Kind: anchor.ExcludeField, Type: word((*secret)(nil)), Bytes: 16, Package: here, TypeName: "secret", FieldName: "k"},
			}
			if !reflect.DeepEqual(got.Exclusions, wantExclusions) {
				t.Errorf("exclusions %+v, want %+v", got.Exclusions, wantExclusions)
			}
			if want := []tables.Layout{{Name: "secret", Bytes: 16, Fields: []tables.LayoutField{{Name: "k", Bytes: 16}}}}; !reflect.DeepEqual(got.Layouts, want) {
				t.Errorf("layouts %+v", got.Layouts)
			}
			if want := []tables.Number{{Name: "answer", Value: -42}}; !reflect.DeepEqual(got.Numbers, want) {
				t.Errorf("numbers %+v", got.Numbers)
			}
			if want := []tables.Declared{{ID: 1<<63 | 3, Name: "Config", Pos: "x.go:1"}}; !reflect.DeepEqual(got.Declared, want) {
				t.Errorf("declared %+v", got.Declared)
			}
			if want := []tables.Constants{{Names: []string{"low", "high"}, Type: word(&levels), Values: addr(unsafe.Pointer(&levels))}}; !reflect.DeepEqual(got.Constants, want) {
				t.Errorf("constants %+v", got.Constants)
			}
			if byPackage(t, found, here+"/unlinked").Linked {
				t.Error("a table that nothing links is linked")
			}
			if len(found.Anchors) != 1 {
				t.Errorf("anchors %+v", found.Anchors)
			}
			var version *tables.VersionError
			if len(found.Problems) != 1 || !errors.As(found.Problems[0], &version) || version.Addr != addr(unsafe.Pointer(&future)) || version.Got != meminspectimpl.TableVersion+1 {
				t.Errorf("problems %v", found.Problems)
			}
		})
	}
	if len(keep) != 2 {
		t.Fatal("the tables are not kept")
	}
}

// What a program registers while it runs is read from its memory.
func TestLive(t *testing.T) {
	live, _ := own(t)
	mem := process(t)
	value := &struct{ X, Y int }{1, 2}
	slice := []uint32{1, 2, 3}
	text := strings.Repeat("x", 5)
	var ids []meminspect.ID
	register := func(id meminspect.ID, err error) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	register(meminspect.Register(meminspect.ID(nameid.Of(here, "value")), value, meminspect.Name("value"), meminspect.Depth(2)))
	register(meminspect.RegisterSlice(meminspect.IDDynamic, slice, meminspect.Budget(100)))
	register(meminspect.RegisterString(meminspect.IDDynamic, text))
	defer func() {
		for _, id := range ids {
			if err := meminspect.Unregister(id); err != nil {
				t.Error(err)
			}
		}
	}()
	found := tables.Find(live)
	if len(found.Anchors) != 1 {
		t.Fatalf("anchors %+v", found.Anchors)
	}
	a := found.Anchors[0]
	all, err := tables.Linked(mem, a)
	if err != nil || len(all) == 0 || !all[0].Linked {
		t.Errorf("linked tables %+v, %v", all, err)
	}
	slots, err := tables.Slots(mem, a)
	if err != nil || uint64(len(slots)) != a.Regions {
		t.Fatalf("%d slots of %d, %v", len(slots), a.Regions, err)
	}
	mine := slots[len(slots)-3:]
	for i, want := range []struct {
		kind uint32
		data unsafe.Pointer
		size uint64
	}{
		{anchor.SlotValue, unsafe.Pointer(value), 16},
		{anchor.SlotSlice, unsafe.Pointer(&slice[0]), 12},
		{anchor.SlotString, unsafe.Pointer(unsafe.StringData(text)), 5},
	} {
		s := mine[i]
		r, err := s.Memory(mem)
		if err != nil || s.Kind != want.kind || s.ID != uint64(ids[i]) || r != memory.RangeOf(addr(want.data), want.size) || s.Torn {
			t.Errorf("slot %+v covers %v, %v; want %v bytes at %v", s, r, err, want.size, want.data)
		}
	}
	if s := mine[0]; s.Name != "value" || s.Depth != 2 || s.Flags&anchor.EntryHasDepth == 0 || s.Type == 0 {
		t.Errorf("slot %+v", s)
	}
}

var shortLived int

var withdrawing = meminspectimpl.Table{
	Magic:   [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version: meminspectimpl.TableVersion,
	Package: here + "/withdrawing",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 10, Name: "shortLived", Expr: "shortLived", Var: &shortLived},
		{ID: 1<<63 | 11, Name: "counter", Expr: "counter", Var: &counter},
	},
}

// An entry that the program has unregistered is read no more.
func TestWithdrawnEntry(t *testing.T) {
	meminspectimpl.Link(&withdrawing)
	live, _ := own(t)
	names := func() (names []string) {
		for _, e := range byPackage(t, tables.Find(live), withdrawing.Package).Entries {
			names = append(names, e.Name)
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"shortLived", "counter"}) {
		t.Errorf("before: %q", got)
	}
	if err := meminspect.Unregister(1<<63 | 10); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"counter"}) {
		t.Errorf("after: %q", got)
	}
}

// A tag that the program sets is read from its memory, and so is its removal.
func TestTags(t *testing.T) {
	live, _ := own(t)
	mem := process(t)
	read := func() map[string]string {
		found := tables.Find(live)
		if len(found.Anchors) != 1 {
			t.Fatalf("anchors %+v", found.Anchors)
		}
		all, err := tables.Tags(mem, found.Anchors[0])
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{}
		for _, tag := range all {
			tags[tag.Key] = tag.Value
		}
		return tags
	}
	for _, c := range []struct {
		key, value string
		want       map[string]string
	}{
		{"tenant", "blue", map[string]string{"tenant": "blue"}},
		{"tenant", "green", map[string]string{"tenant": "green"}},
		{"note", "a\xffb", map[string]string{"tenant": "green", "note": "a?b"}},
		{"tenant", "", map[string]string{"note": "a?b"}},
		{"note", "", map[string]string{}},
	} {
		if err := meminspect.SetTag(c.key, c.value); err != nil {
			t.Fatal(err)
		}
		if got := read(); !maps.Equal(got, c.want) {
			t.Errorf("after %s=%s: %q, want %q", c.key, c.value, got, c.want)
		}
	}
}

// A program that sets tags while it is read shows whole values.
func TestTagsChange(t *testing.T) {
	live, _ := own(t)
	mem := process(t)
	done := make(chan struct{})
	stop := make(chan struct{})
	if err := meminspect.SetTag("moving", "0"); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := meminspect.SetTag("moving", strings.Repeat(string(rune('0'+n%10)), 1+n%200)); err != nil {
				t.Error(err)
			}
		}
	}()
	a := tables.Find(live).Anchors[0]
	seen := map[string]bool{}
	for range 2000 {
		tags, err := tables.Tags(mem, a)
		if err != nil {
			continue // it changed at each try
		}
		for _, tag := range tags {
			if tag.Key == "moving" && strings.Trim(tag.Value, tag.Value[:1]) != "" {
				t.Errorf("a mixed value: %q", tag.Value)
			}
			seen[tag.Value] = true
		}
	}
	close(stop)
	<-done
	if len(seen) < 2 {
		t.Error("the value did not change")
	}
	if err := meminspect.SetTag("moving", ""); err != nil {
		t.Fatal(err)
	}
}

// A table of version 1 ends before the constants: what follows is other memory.
func TestVersion1(t *testing.T) {
	live, _ := own(t)
	at := addr(unsafe.Pointer(&linked))
	b, err := memory.Reader{Memory: live}.Bytes(at, anchor.TableConstants, anchor.TableConstants)
	if err != nil {
		t.Fatal(err)
	}
	b[anchor.TableVersionOff] = 1
	b = append(b, bytes.Repeat([]byte{0xff}, anchor.TableSize-anchor.TableConstants)...)
	var mem memory.Spliced
	mem.PutAll(live)
	mem.PutAll(memory.Buffer{Base: at, Data: b})
	table, err := tables.Read(&mem, at)
	if err != nil {
		t.Fatal(err)
	}
	if table.Version != 1 || len(table.Entries) != 2 || len(table.Declared) != 1 || table.Constants != nil {
		t.Errorf("%+v", table)
	}
}

// Memory that lies about its tables gives errors, and costs little.
func TestLies(t *testing.T) {
	live, _ := own(t)
	whole, err := memory.Reader{Memory: live}.Bytes(addr(unsafe.Pointer(&linked)), anchor.TableSize, anchor.TableSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		off  int
		word uint64
		want string
	}{
		{"magic", anchor.TableMagicOff, 7, "does not begin with a table's magic"},
		{"entries without end", anchor.TableEntries + 8, 1 << 40, "entries: 1099511627776 of"},
		{"entries nowhere", anchor.TableEntries, 8, "read memory at"},
		{"more entries than capacity", anchor.TableEntries + 8, 3, "entries: 3 of 2"},
		{"package without end", anchor.TablePackage + 8, 1 << 20, "a text of 1048576 bytes"},
		{"package nowhere", anchor.TablePackage, 8, "read memory at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append([]byte(nil), whole...)
			for i := range 8 {
				b[c.off+i] = byte(c.word >> (8 * i))
			}
			var mem memory.Spliced
			mem.PutAll(live)
			mem.PutAll(memory.Buffer{Base: addr(unsafe.Pointer(&linked)), Data: b})
			table, err := tables.Read(&mem, addr(unsafe.Pointer(&linked)))
			if table != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("read %+v, %v; want an error with %q", table, err, c.want)
			}
		})
	}
	// A list that bites its tail.
	b := append([]byte(nil), whole...)
	for i := range 8 {
		b[anchor.TableNext+i] = byte(uint64(addr(unsafe.Pointer(&linked))) >> (8 * i))
	}
	var mem memory.Spliced
	mem.PutAll(live)
	mem.PutAll(memory.Buffer{Base: addr(unsafe.Pointer(&linked)), Data: b})
	all, err := tables.Linked(&mem, &tables.Anchor{Tables: addr(unsafe.Pointer(&linked))})
	if len(all) != 1 || err == nil || !strings.Contains(err.Error(), "comes back") {
		t.Errorf("a round list: %d tables, %v", len(all), err)
	}
}
