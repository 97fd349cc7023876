//go:build linux && amd64

package baseline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A core is a parsed core file. Its descriptors and contents may be changed.
type core struct {
	*elfcore.File
	contents [][]byte // of each of Loads
	regions  []note.Region
}

func parse(t *testing.T, text []byte) *core {
	t.Helper()
	f, err := elfcore.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := &core{File: f}
	for _, l := range f.Loads {
		c.contents = append(c.contents, text[l.Offset:l.Offset+l.FileSize])
	}
	for kind, decode := range map[uint32]func([]byte) ([]note.Region, error){note.TypeRegions: note.DecodeRegions, note.TypeDenseRegions: note.DecodeDenseRegions} {
		if desc, ok := f.Note(note.Owner, kind); ok {
			c.regions, _ = decode(desc) // they only name what differs
		}
	}
	return c
}

// place names what is at an address.
func (c *core) place(addr uint64) string {
	for _, r := range c.regions {
		if r.Addr <= addr && addr-r.Addr < r.Size {
			return fmt.Sprintf("%#x, in region %s.%s at %d", addr, r.Package, r.Expr, addr-r.Addr)
		}
	}
	return fmt.Sprintf("%#x, in no region", addr)
}

// most is how many differences of a kind are printed.
const most = 8

func clip(lines []string) []string {
	if len(lines) > most {
		return append(lines[:most:most], fmt.Sprintf("… and %d more", len(lines)-most))
	}
	return lines
}

// compareNotes compares the notes of the same owner and type in their order.
func compareNotes(baseline, tree *core) (diff []string) {
	type key struct {
		owner string
		kind  uint32
	}
	names := func(c *core) (m map[key][][]byte, order []string) {
		m = map[key][][]byte{}
		for _, n := range c.Notes {
			k := key{n.Name, n.Type}
			m[k] = append(m[k], n.Desc)
			order = append(order, fmt.Sprintf("%s %#x", n.Name, n.Type))
		}
		return m, order
	}
	want, wantOrder := names(baseline)
	got, gotOrder := names(tree)
	if !slices.Equal(wantOrder, gotOrder) {
		diff = append(diff, fmt.Sprintf("notes %q,\nbaseline %q", gotOrder, wantOrder))
	}
	for _, k := range slices.SortedFunc(maps.Keys(want), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.kind, b.kind))
	}) {
		for i := range min(len(want[k]), len(got[k])) {
			if a, b := want[k][i], got[k][i]; !bytes.Equal(a, b) {
				diff = append(diff, fmt.Sprintf("note %s %#x (number %d) differs:\n%s", k.owner, k.kind, i+1, strings.Join(clip(compareDescs(k.owner, k.kind, a, b)), "\n")))
			}
		}
	}
	return diff
}

// compareDescs compares what two descriptors mean, or their bytes where that is
// the same or cannot be decoded.
func compareDescs(owner string, kind uint32, want, got []byte) (diff []string) {
	a, err := describe(owner, kind, want)
	b, err2 := describe(owner, kind, got)
	if err = errors.Join(err, err2); err != nil {
		diff = append(diff, "not decoded: "+err.Error())
	}
	for i := range max(len(a), len(b)) {
		var one, two string
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			two = b[i]
		}
		if one != two {
			diff = append(diff, fmt.Sprintf("  baseline %s\n      tree %s", one, two))
		}
	}
	if len(diff) > 0 && err == nil {
		return diff
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	return append(diff, fmt.Sprintf("  %d bytes, baseline %d; the first difference is at %#x: %x, baseline %x", len(got), len(want), at, window(got, at), window(want, at)))
}

func window(b []byte, at int) []byte { return b[at:min(at+16, len(b))] }

// describe returns what a descriptor means, a line for each record.
func describe(owner string, kind uint32, desc []byte) ([]string, error) {
	if owner == "VMCOREINFO" {
		return strings.Split(string(desc), "\n"), nil
	}
	if owner != note.Owner {
		return nil, nil
	}
	switch kind {
	case note.TypeCapture:
		return fields(note.DecodeCapture(desc))
	case note.TypeRegions:
		return lines(note.DecodeRegions(desc))
	case note.TypeDenseRegions:
		return lines(note.DecodeDenseRegions(desc))
	case note.TypeReceipts:
		return lines(note.DecodeReceipts(desc))
	case note.TypeFunctions:
		return lines(note.DecodeFunctions(desc))
	case note.TypeMarked:
		return lines(note.DecodeMarked(desc))
	case note.TypeGoroutines:
		return fields(note.DecodeGoroutines(desc))
	case note.TypeExtra:
		return fields(note.DecodeExtra(desc))
	}
	return nil, nil
}

// fields returns the fields of a record, a line each.
func fields[T any](record *T, err error) (list []string, _ error) {
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(record).Elem()
	for i := range v.NumField() {
		list = append(list, fmt.Sprintf("%s: %+v", v.Type().Field(i).Name, v.Field(i)))
	}
	return list, nil
}

// lines returns a line for each record.
func lines[T any](records []T, err error) (list []string, _ error) {
	for _, r := range records {
		list = append(list, fmt.Sprintf("%+v", r))
	}
	return list, err
}

// compareSegments compares where the segments are and how long, in their order.
func compareSegments(baseline, tree *core) (diff []string) {
	name := func(l elfcore.Load) string {
		return fmt.Sprintf("%#x: %#x bytes, %#x in the file, flags %#x", l.Addr, l.MemSize, l.FileSize, l.Flags)
	}
	count := map[string]int{}
	for _, l := range tree.Loads {
		count[name(l)]++
	}
	for _, l := range baseline.Loads {
		if count[name(l)]--; count[name(l)] < 0 {
			diff = append(diff, "segment of the baseline alone at "+name(l))
		}
	}
	for _, l := range tree.Loads {
		if n := name(l); count[n] > 0 {
			count[n]--
			diff = append(diff, "segment of the tree alone at "+n)
		}
	}
	if len(diff) == 0 && !slices.EqualFunc(baseline.Loads, tree.Loads, func(a, b elfcore.Load) bool { return name(a) == name(b) }) {
		diff = append(diff, "segments come in another order")
	}
	return clip(diff)
}

// A difference is a run of memory that differs.
type difference struct {
	addr, size uint64
	how        string
}

// compareMemory compares what is captured at each address.
func compareMemory(baseline, tree *core) (diff []string) {
	runs := slices.Concat(lacking(baseline, tree, "only the baseline has it"), lacking(tree, baseline, "only the tree has it"), differing(baseline, tree))
	for _, r := range runs {
		diff = append(diff, fmt.Sprintf("memory: %d bytes at %s: %s", r.size, baseline.place(r.addr), r.how))
	}
	return clip(diff)
}

// captured calls each for the runs of bytes of a core, with those of the other
// core at the same addresses: nil where the other has none.
func (c *core) captured(other *core, each func(addr uint64, own, others []byte)) {
	for i, l := range c.Loads {
		if l.Marked() {
			continue
		}
		text := c.contents[i]
		for at := uint64(0); at < uint64(len(text)); {
			own, others := text[at:], []byte(nil)
			if k := other.load(l.Addr + at); k >= 0 {
				others = other.contents[k][l.Addr+at-other.Loads[k].Addr:]
				own = own[:min(len(own), len(others))]
				others = others[:len(own)]
			} else {
				own = own[:min(uint64(len(own)), other.next(l.Addr+at)-l.Addr-at)]
			}
			each(l.Addr+at, own, others)
			at += uint64(len(own))
		}
	}
}

// load returns the index of the captured segment at an address, or -1.
func (c *core) load(addr uint64) int {
	return slices.IndexFunc(c.Loads, func(l elfcore.Load) bool {
		return !l.Marked() && l.Addr <= addr && addr-l.Addr < l.FileSize
	})
}

// next returns where the next captured segment after an address begins.
func (c *core) next(addr uint64) uint64 {
	next := ^uint64(0)
	for _, l := range c.Loads {
		if !l.Marked() && l.Addr > addr {
			next = min(next, l.Addr)
		}
	}
	return next
}

// lacking returns the runs that a core has and another does not.
func lacking(c, other *core, how string) (runs []difference) {
	c.captured(other, func(addr uint64, own, others []byte) {
		if others == nil {
			runs = append(runs, difference{addr, uint64(len(own)), how})
		}
	})
	return runs
}

// differing returns the runs of bytes that both cores have and that differ.
func differing(baseline, tree *core) (runs []difference) {
	baseline.captured(tree, func(addr uint64, want, got []byte) {
		for at := 0; at < len(got); at++ {
			if want[at] == got[at] {
				continue
			}
			end := at + 1
			for end < len(got) && want[end] != got[end] {
				end++
			}
			runs = append(runs, difference{addr + uint64(at), uint64(end - at), fmt.Sprintf("%x, baseline %x", window(got[:end], at), window(want[:end], at))})
			at = end
		}
	})
	return runs
}

// What differs between two cores is named: notes, segments and memory.
func TestCompare(t *testing.T) {
	region := note.Region{Package: "main", Expr: "queue", Addr: 0x1000, Size: 8}
	write := func(size int, first byte, regions ...note.Region) []byte {
		c := elfcore.Core{
			Machine:  62,
			Notes:    []elfcore.Note{{Name: note.Owner, Type: note.TypeRegions, Desc: note.EncodeRegions(regions)}},
			Segments: []elfcore.Segment{{Addr: 0x1000, Size: uint64(size), Flags: 6, Content: elfcore.Bytes(append([]byte{first}, make([]byte, size-1)...))}},
		}
		var b bytes.Buffer
		if _, err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	other := region
	other.Depth = 3
	base := write(16, 1, region)
	for _, c := range []struct {
		core []byte
		want []string // in the differences
	}{
		{base, nil},
		{write(16, 2, region), []string{"memory: 1 bytes at 0x1000, in region main.queue at 0: 02, baseline 01"}},
		{write(24, 1, region), []string{"segment of the baseline alone", "segment of the tree alone", "memory: 8 bytes at 0x1010, in no region: only the tree has it"}},
		{write(16, 1, other), []string{"note MEMINSPECT", "Depth:3"}},
	} {
		diff := strings.Join(compare(t, result{core: base}, result{core: c.core}), "\n")
		if len(c.want) == 0 && diff != "" {
			t.Errorf("no difference is reported as\n%s", diff)
		}
		for _, want := range c.want {
			if !strings.Contains(diff, want) {
				t.Errorf("the differences lack %q:\n%s", want, diff)
			}
		}
	}
	if diff := compare(t, result{core: base}, result{status: 3, core: base}); len(diff) != 1 {
		t.Errorf("another exit status: %q", diff)
	}
}
