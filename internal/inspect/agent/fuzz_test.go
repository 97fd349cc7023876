package agent

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// bytesAt is memory that holds bytes from an address on.
const bytesAt = 0x10000

type someBytes []byte

func (b someBytes) ReadAt(p []byte, at memory.Address) (int, error) {
	if at < bytesAt || at >= bytesAt+memory.Address(len(b)) {
		return 0, memory.Unreadable(at, memory.ErrNotMapped)
	}
	n := copy(p, b[at-bytesAt:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// table is memory with a table of the regions, after it what they contain.
func table(regions ...minidump.Region) someBytes {
	b := make([]byte, minidump.GlobalSize+len(regions)*minidump.RegionSize)
	minidump.PutGlobal(b, minidump.Subsystem{Count: uint32(len(regions)), Address: bytesAt + minidump.GlobalSize})
	for i := range regions {
		regions[i].Put(b[minidump.GlobalSize+i*minidump.RegionSize:])
	}
	return append(b, "what the regions hold"...)
}

// An export of a table that may be anything fails and leaves no file, or makes
// one for each valid region, of the size that the table has, in its folder and
// nowhere else.
func FuzzExport(f *testing.F) {
	f.Add([]byte(table(minidump.Region{Name: "KELF", Valid: true, Address: bytesAt, Size: 64}, minidump.Region{Name: "Kgone", Sequence: 1, Valid: true, Address: 8, Size: 8192})))
	f.Add([]byte(table(minidump.Region{Name: "a/../../b", Valid: true, Address: bytesAt, Size: 4})))
	f.Add([]byte(table(minidump.Region{Name: "same", Valid: true, Address: bytesAt, Size: 4}, minidump.Region{Name: "same", Valid: true, Address: bytesAt, Size: 4})))
	f.Add([]byte(table(minidump.Region{Name: "big", Valid: true, Address: bytesAt, Size: 1 << 40}, minidump.Region{Valid: true, Size: 1 << 40})))
	f.Fuzz(func(t *testing.T, data []byte) {
		mem := someBytes(data)
		if s, err := minidump.ParseGlobal(data); err == nil && s.Count > 64 && s.Count <= maxRegions {
			t.Skip("allowed, and takes too long here")
		}
		regions, err := readTable(mem, bytesAt)
		var total uint64
		for _, r := range regions {
			total += r.Size
		}
		if total > 1<<16 {
			t.Skip("allowed, and takes too long here")
		}
		outer := t.TempDir()
		dir := filepath.Join(outer, "dump")
		copies, exportErr := Export(mem, bytesAt, dir)
		if err != nil && exportErr == nil {
			t.Errorf("exported a table that is none: %v", err)
		}
		if entries, _ := os.ReadDir(outer); len(entries) != 1 {
			t.Errorf("%d entries beside the folder", len(entries)-1)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if exportErr != nil {
			if len(copies) > 0 || len(entries) > 0 {
				t.Errorf("%v, and %d files in the folder", exportErr, len(entries))
			}
			return
		}
		if len(entries) != len(copies) || len(copies) != len(regions) {
			t.Errorf("%d regions, %d copies, %d files", len(regions), len(copies), len(entries))
		}
		for i, c := range copies {
			if info, err := os.Stat(c.File); err != nil || uint64(info.Size()) != regions[i].Size || filepath.Dir(c.File) != dir {
				t.Errorf("%s for %+v: %v", c.File, regions[i], err)
			}
		}
	})
}

// A region's bytes come whole, holes in them as marks.
func TestExportWithHoles(t *testing.T) {
	mem := table(minidump.Region{Name: "Kx", Valid: true, Address: bytesAt - 8, Size: 16})
	copies, err := Export(mem, bytesAt, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(copies[0].File)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte{elfcore.MarkByte}, 16)
	binary.LittleEndian.PutUint64(want[8:], binary.LittleEndian.Uint64(mem))
	if string(b) != string(want) && copies[0].Holes != 16 {
		t.Errorf("%x with %d bytes of holes, want %x", b, copies[0].Holes, want)
	}
}
