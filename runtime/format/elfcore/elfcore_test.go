package elfcore

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
)

func example() *Core {
	late := []byte("how it went")
	return &Core{
		Machine: MachineAMD64,
		Notes: []Note{
			(&Thread{TID: 7, PPID: 1, PGRP: 7, SID: 7, Signal: 11, Registers: make([]uint64, RegistersAMD64)}).Note(),
			(&Process{SName: 'R', PID: 7, Name: "shop", Args: "./shop"}).Note(),
			{Name: "X", Type: 9, Late: func() ([]byte, error) { return late, nil }, LateSize: len(late)},
		},
		Segments: []Segment{
			{Addr: 0x7003, Size: 5, Flags: FlagRead, Content: Bytes([]byte("later"))},
			{Addr: 0x1000, Size: 10000, Flags: FlagRead | FlagWrite},
			{Addr: 0x7000, Size: 3, Flags: FlagRead | FlagExec, Content: Bytes([]byte("abc"))},
			{Addr: 0x9000, Size: 16, Missing: 12, Flags: FlagRead, Content: Bytes([]byte("head"))},
		},
	}
}

// This package and debug/elf read back what was written, including late notes
// and unaligned segments, and Size is the number of bytes written.
func TestRoundTrip(t *testing.T) {
	c := example()
	var buf bytes.Buffer
	n, err := c.Write(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatal(n, buf.Len(), err)
	}
	if size, err := c.Size(); err != nil || size != n {
		t.Errorf("Size is %d, %v; %d bytes were written", size, err, n)
	}
	f, err := Open(bytes.NewReader(buf.Bytes()), n)
	if err != nil {
		t.Fatal(err)
	}
	if f.Missing() != 0 {
		t.Errorf("%d bytes missing", f.Missing())
	}
	got := make([]byte, 8)
	if _, err := f.ReadMemory(0x7000, got); err != nil || string(got) != "abclater" {
		t.Errorf("read %q across two segments, %v", got, err)
	}
	if _, err := f.ReadMemory(0x1000+9990, got); err != nil || string(got) != strings.Repeat("\xa5", 8) {
		t.Errorf("read %x of marked memory, %v", got, err)
	}
	if n, err := f.ReadMemory(0x9000, got); n != 4 || !errors.Is(err, ErrNotCaptured) {
		t.Errorf("read %d bytes of missing memory, %v", n, err)
	}
	if l := f.Find(0x1000 + 5000); l == nil || !l.Marked() {
		t.Errorf("the second piece of marked memory is not marked: %+v", l)
	}
	if l := f.Find(0x7000); l == nil || l.Marked() {
		t.Errorf("captured memory is marked: %+v", l)
	}
	if d, ok := f.Note("X", 9); !ok || string(d) != "how it went" {
		t.Errorf("late note: %q", d)
	}

	e, err := elf.NewFile(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if e.Type != elf.ET_CORE || len(e.Progs) != 1+3+3 {
		t.Errorf("debug/elf sees type %v and %d program headers", e.Type, len(e.Progs))
	}
	for i, p := range e.Progs[1:] {
		if i > 0 && p.Vaddr < e.Progs[i].Vaddr+e.Progs[i].Memsz && e.Progs[i].Type == elf.PT_LOAD {
			t.Errorf("program header %d at %#x is out of order", i+1, p.Vaddr)
		}
		if _, err := io.ReadAll(p.Open()); err != nil {
			t.Errorf("contents of %#x: %v", p.Vaddr, err)
		}
	}
}

func TestSegmentsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		segs []Segment
		want string
	}{
		{"overlap", []Segment{{Addr: 10, Size: 5}, {Addr: 14, Size: 1}}, "overlap"},
		{"overlap within", []Segment{{Addr: 10, Size: 50}, {Addr: 20, Size: 1}, {Addr: 30, Size: 1}}, "overlap"},
		{"wrap", []Segment{{Addr: ^uint64(0) - 3, Size: 8}}, "wrap"},
		{"missing more than size", []Segment{{Size: 1, Missing: 2, Content: Bytes(nil)}}, "missing"},
		{"marked and missing", []Segment{{Size: 4, Missing: 2}}, "missing"},
		{"too many", []Segment{{Size: 1 << 40}}, "more than 65533 segments"},
		{"too large", []Segment{{Size: 1 << 62, Content: Bytes(nil)}, {Addr: 1 << 62, Size: 1 << 62, Content: Bytes(nil)}}, "cannot hold"},
	} {
		n, err := (&Core{Segments: c.segs}).Write(io.Discard)
		if err == nil || n != 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d bytes written, %v", c.name, n, err)
		}
	}
}

// A content shorter or longer than its segment must not shift what follows.
func TestContentOfWrongLength(t *testing.T) {
	for _, content := range []string{"ab", "abcd"} {
		c := &Core{Segments: []Segment{{Addr: 1, Size: 3, Content: Bytes([]byte(content))}}}
		if _, err := c.Write(io.Discard); err == nil {
			t.Errorf("%q in a segment of 3 bytes was accepted", content)
		}
	}
	c := &Core{Notes: []Note{{Name: "X", Late: func() ([]byte, error) { return []byte("four"), nil }, LateSize: 3}}}
	if _, err := c.Write(io.Discard); err == nil {
		t.Error("a late note of the wrong length was accepted")
	}
}

func TestNotesRoundTrip(t *testing.T) {
	regs := make([]uint64, RegistersARM64)
	for i := range regs {
		regs[i] = uint64(i) << 33
	}
	thread := &Thread{TID: 1, PPID: 2, PGRP: 3, SID: 4, Signal: 6, Registers: regs, FPValid: true}
	n := thread.Note()
	if len(n.Desc) != 392 {
		t.Errorf("arm64 PRSTATUS is %d bytes, Linux has 392", len(n.Desc))
	}
	if got, err := ParseThread(n.Desc); err != nil || !reflect.DeepEqual(got, thread) {
		t.Errorf("%+v, %v", got, err)
	}
	thread.Registers = regs[:RegistersAMD64]
	if n := thread.Note(); len(n.Desc) != 336 {
		t.Errorf("amd64 PRSTATUS is %d bytes, Linux has 336", len(n.Desc))
	}
	proc := &Process{State: 1, SName: 'S', Nice: -3, UID: 1000, GID: 100, PID: 5, PPID: 4, PGRP: 3, SID: 2, Name: "p", Args: "p q"}
	if got, err := ParseProcess(proc.Note().Desc); err != nil || !reflect.DeepEqual(got, proc) {
		t.Errorf("%+v, %v", got, err)
	}
	maps := []Mapping{{0x400000, 0x401000, 0, "/bin/a"}, {0x500000, 0x502000, 0x3000, "/bin/b"}}
	if got, err := ParseFiles(FileNote(maps).Desc); err != nil || !reflect.DeepEqual(got, maps) {
		t.Errorf("%+v, %v", got, err)
	}
	sig := &SigInfo{Signal: 11, Code: 1, Addr: 0xdead}
	if got, err := ParseSigInfo(sig.Note().Desc); err != nil || !reflect.DeepEqual(got, sig) {
		t.Errorf("%+v, %v", got, err)
	}
	if d := sig.Note().Desc; len(d) != 128 {
		t.Errorf("siginfo is %d bytes", len(d))
	}
}

// Every byte of a set of ranges is either marked or captured, never both.
func TestRanges(t *testing.T) {
	type r8 struct{ At, Len uint8 }
	f := func(cover, held []r8) bool {
		var cs []Range
		var segs []Segment
		var want [600]bool
		for _, c := range cover {
			cs = append(cs, Range{uint64(c.At), uint64(c.At) + uint64(c.Len)})
			for i := 0; i < int(c.Len); i++ {
				want[int(c.At)+i] = true
			}
		}
		for _, h := range held {
			segs = append(segs, Segment{Addr: uint64(h.At), Size: uint64(h.Len), Content: Bytes(nil)})
			for i := 0; i < int(h.Len); i++ {
				want[int(h.At)+i] = false
			}
		}
		var got [600]bool
		for _, m := range Mark(cs, segs) {
			for i := m.Addr; i < m.Addr+m.Size; i++ {
				if got[i] {
					return false
				}
				got[i] = true
			}
		}
		return got == want
	}
	if err := quick.Check(f, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
	got := Merge([]Range{{10, 20}, {0, 5}, {8, 9}, {3, 4}, {30, 30}}, 3)
	if want := []Range{{0, 20}}; !reflect.DeepEqual(got, want) {
		t.Errorf("Merge: %v, want %v", got, want)
	}
}

// In a third-party core with overlapping loads, the first in the file wins for
// every byte. A linear search gives the same result.
func TestOverlappingLoads(t *testing.T) {
	type r8 struct{ At, Len uint8 }
	f := func(rs []r8) bool {
		var loads []Load
		for _, r := range rs {
			loads = append(loads, Load{Addr: uint64(r.At), FileSize: uint64(r.Len)})
		}
		file := &File{Loads: loads, pieces: index(loads)}
		for at := uint64(0); at < 600; at++ {
			var want *Load
			for i := range loads {
				if l := &loads[i]; at >= l.Addr && at-l.Addr < l.FileSize {
					want = l
					break
				}
			}
			if file.Find(at) != want {
				return false
			}
		}
		return true
	}
	if err := quick.Check(f, &quick.Config{MaxCount: 1000}); err != nil {
		t.Error(err)
	}
}

// A sparse file reads back as written, for any sizes of the writes.
func TestSparse(t *testing.T) {
	f := func(pieces []uint16, _ bool) bool {
		file, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var want []byte
		s := NewSparse(file)
		for i, p := range pieces {
			b := make([]byte, p)
			if i%3 == 0 && p > 0 {
				b[p/2] = 1
			}
			want = append(want, b...)
			if n, err := s.Write(b); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := s.Finish(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file.Name())
		return err == nil && bytes.Equal(got, want)
	}
	if err := quick.Check(f, &quick.Config{MaxCount: 50}); err != nil {
		t.Error(err)
	}
}

// Reading distinguishes a truncated file from one that never contained the
// memory.
func TestTruncated(t *testing.T) {
	var buf bytes.Buffer
	c := example()
	c.Notes = c.Notes[:2]
	if _, err := c.Write(&buf); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()[:buf.Len()-6]
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Missing() != 6 {
		t.Errorf("%d bytes missing, 6 were cut", f.Missing())
	}
	if n, err := f.ReadMemory(0x7003, make([]byte, 5)); n != 3 || !errors.Is(err, ErrTruncated) {
		t.Errorf("%d bytes read, %v", n, err)
	}
	if _, err := Open(bytes.NewReader(b[:200]), 200); !errors.Is(err, ErrTruncated) {
		t.Errorf("cut in its headers: %v", err)
	}
}

// FuzzOpen: an error comes with a nil File. A File never reads more than
// requested, never beyond the file, and its headers are stable.
func FuzzOpen(f *testing.F) {
	var buf bytes.Buffer
	if _, err := example().Write(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(buf.Bytes()[:300])
	f.Add([]byte("\x7fELF\x02\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		strict, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil && strict != nil {
			t.Fatal("error and a file")
		}
		file, err2 := OpenCut(bytes.NewReader(b), int64(len(b)))
		if err2 != nil {
			if file != nil || err == nil {
				t.Fatalf("error and a file, or no error of Open: %v", err2)
			}
			return
		}
		if (err == nil) != (file.NotesMissing == 0) {
			t.Fatalf("%d bytes of notes are missing, and Open reports %v", file.NotesMissing, err)
		}
		if l, err := file.Linux(); err != nil && l != nil {
			t.Fatal("error and notes")
		}
		var p [64]byte
		for i := range file.Loads {
			l := &file.Loads[i]
			for _, at := range []uint64{l.Addr, l.Addr + l.FileSize - 1, l.Addr + l.FileSize} {
				n, err := file.ReadMemory(at, p[:])
				if n > len(p) || err == nil && n != len(p) {
					t.Fatalf("%d bytes of %d, %v", n, len(p), err)
				}
			}
			if i > 16 {
				break
			}
		}
		file.Missing()
		for _, n := range file.Notes {
			_, _ = ParseThread(n.Desc)
			_, _ = ParseProcess(n.Desc)
			_, _ = ParseFiles(n.Desc)
			_, _ = ParseSigInfo(n.Desc)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	data := make([]byte, 1<<20)
	c := &Core{Machine: MachineAMD64, Segments: []Segment{{Addr: 1 << 20, Size: 1 << 20, Content: Bytes(data)}, {Addr: 4 << 20, Size: 1 << 20}}}
	size, _ := c.Size()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// A file has its late notes before the memory, in one segment.
func TestNotesLater(t *testing.T) {
	memory := []byte("12345678")
	c := &Core{
		Machine:    62,
		NotesLater: true,
		Notes:      []Note{{Name: "X", Type: 9, LateSize: 4, Late: func() ([]byte, error) { return bytes.ToUpper(memory[:4]), nil }}},
		Segments: []Segment{
			{Addr: 0x1000, Size: 8, Flags: FlagRead, Content: func(w io.Writer) error {
				defer copy(memory, "abcd") // the note's content is known after that
				_, err := w.Write(memory)
				return err
			}},
			{Addr: 0x2000, Size: 100, Flags: FlagRead},
		},
	}
	path := filepath.Join(t.TempDir(), "core")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := c.Write(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteNotes(f); err != nil {
		t.Fatal(err)
	}
	size, err := c.Size()
	if info, _ := f.Stat(); err != nil || size != n || info.Size() != n {
		t.Errorf("%d bytes were written, Size is %d, %v, the file has %d", n, size, err, info.Size())
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Progs[0].Type != elf.PT_NOTE {
		t.Fatalf("the first segment is %v", file.Progs[0])
	}
	for _, p := range file.Progs[1:] {
		if p.Type != elf.PT_LOAD || p.Off < file.Progs[0].Off+file.Progs[0].Filesz {
			t.Errorf("segment before the end of the notes: %+v", p.ProgHeader)
		}
	}
	notes, _ := io.ReadAll(file.Progs[0].Open())
	if want := AppendNote(nil, Note{Name: "X", Type: 9, Desc: []byte("ABCD")}); !bytes.Equal(notes, want) {
		t.Errorf("notes are %q, want %q", notes, want)
	}
	if b, _ := io.ReadAll(file.Progs[1].Open()); string(b) != "12345678" {
		t.Errorf("the memory is %q", b)
	}
}

func TestFillMarks(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 4095, 8 << 10, 100_001} {
		b := make([]byte, n+1)
		FillMarks(b[:n])
		if want := append(bytes.Repeat([]byte{MarkByte}, n), 0); !bytes.Equal(b, want) {
			t.Errorf("%d bytes are not filled", n)
		}
	}
}
