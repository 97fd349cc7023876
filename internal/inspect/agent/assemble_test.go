package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Files of regions with and without names are sorted by their numbers, even if
// a name, or the number that replaces one, ends in digits.
func TestOrderOfUnnamedRegions(t *testing.T) {
	dir := t.TempDir()
	var table []note.Region
	var want []string
	write := func(name string, b []byte) {
		t.Helper()
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entry := func(n int, r note.Region, name string) {
		table = append(table, r)
		write(minidump.FileName(&minidump.Region{Name: name, Sequence: uint32(n)}), make([]byte, r.Size))
	}
	write("md_KELF1.BIN", nil)
	write("md_Kvmcorein2.BIN", nil)
	for n := 3; n < 30; n++ {
		r := note.Region{ID: 1<<32 + uint64(n), Addr: uint64(n) << 12, Size: 8}
		if n%3 == 0 {
			r.Name = "x1"
			entry(n, r, minidump.EntryName(r.Name))
			continue
		}
		r.Name = fmt.Sprintf("%016x", r.ID)
		entry(n, r, minidump.UnnamedEntry(uint32(n)))
	}
	head := elfcore.Head{Machine: elfcore.MachineAMD64, Notes: []elfcore.Note{{Name: note.Owner, Type: note.TypeRegions, Desc: note.EncodeRegions(table)}}}
	first, _ := head.Bytes()
	if err := os.WriteFile(filepath.Join(dir, want[0]), first, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Order(dir)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
