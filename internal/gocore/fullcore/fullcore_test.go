package fullcore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// machine is this one's, whose cores are read.
func machine() uint16 {
	if runtime.GOARCH == "arm64" {
		return elfcore.MachineARM64
	}
	return elfcore.MachineAMD64
}

// example is a core of this test binary with only its first page and a page of
// stack, because the kernel omits file contents.
func example(tb testing.TB) []byte {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	f, err := exe.Open(path)
	if err != nil {
		tb.Skip("this system's executables are not ELF files: ", err)
	}
	defer f.Close()
	first := make([]byte, pageSize)
	if _, err := f.ReadAt(first, f.LowestAddress()); err != nil {
		tb.Fatal(err)
	}
	base := uint64(f.LowestAddress())
	const stack = 0x7ffd_0000_0000
	args := make([]byte, pageSize)
	copy(args[100:], path+"\x00")
	var auxv []byte
	for _, pair := range [][2]uint64{{atPhdr, base + headerSize}, {atEntry, uint64(f.Entry)}, {atExecFn, stack + 100}, {0, 0}} {
		auxv = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(auxv, pair[0]), pair[1])
	}
	registers := make([]uint64, elfcore.RegistersAMD64)
	registers[elfcore.AMD64FSBase] = 0x1234
	thread := elfcore.Thread{TID: 77, Registers: registers}
	process := elfcore.Process{PID: 76, SName: 'R', Name: "example"}
	signal := elfcore.SigInfo{Signal: 6}
	var mapped []elfcore.Mapping
	for _, seg := range f.SegmentSizes() {
		start := uint64(seg.Start) &^ (pageSize - 1)
		mapped = append(mapped, elfcore.Mapping{Start: start, End: (uint64(seg.End) + pageSize - 1) &^ (pageSize - 1), Offset: seg.Offset &^ (pageSize - 1), Path: path})
	}
	c := elfcore.Core{
		Machine: machine(),
		Notes:   []elfcore.Note{thread.Note(), process.Note(), signal.Note(), elfcore.AuxvNote(auxv), elfcore.FileNote(mapped), elfcore.FPRegSetNote([]byte("float"))},
		Segments: []elfcore.Segment{
			{Addr: base, Size: 4 * pageSize, Missing: 3 * pageSize, Flags: elfcore.FlagRead | elfcore.FlagExec, Content: elfcore.Bytes(first)},
			{Addr: stack, Size: pageSize, Flags: elfcore.FlagRead | elfcore.FlagWrite, Content: elfcore.Bytes(args)},
		},
	}
	var b bytes.Buffer
	if _, err := c.Write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestNew(t *testing.T) {
	data := example(t)
	c, err := New(bytes.NewReader(data), int64(len(data)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	path, _ := os.Executable()
	if _, name, from, err := c.Executable(); err != nil || name != path || from != path {
		t.Errorf("executable %s from %s: %v", name, from, err)
	}
	threads := c.Threads()
	if len(threads) != 1 || threads[0].ID != 77 || string(threads[0].Float) != "float" || runtime.GOARCH == "amd64" && threads[0].TLS != 0x1234 {
		t.Errorf("%+v", threads)
	}
	if c.PID() != 76 || c.Signal() != 6 || c.Cut != 0 || len(c.Mentions) != 0 {
		t.Errorf("pid %d, signal %d, %d cut, %v", c.PID(), c.Signal(), c.Cut, c.Mentions)
	}
	maps, _ := c.Maps()
	stack := maps[len(maps)-1]
	if stack.Path != "[stack]" || maps[0].Path != path {
		t.Errorf("%+v", maps)
	}
	// A page that neither has is known to be missing; one after the last mapping
	// never was there.
	var b [8]byte
	if _, err := c.Memory().ReadAt(b[:], stack.End); !errors.Is(err, memory.ErrNotMapped) || c.Lacks(memory.RangeOf(stack.End, 8)) {
		t.Errorf("after the stack: %v", err)
	}
	cut := data[:len(data)-pageSize/2]
	c, err = New(bytes.NewReader(cut), int64(len(cut)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Memory().ReadAt(b[:], stack.End-8); !errors.Is(err, ErrCut) || !c.Lacks(memory.RangeOf(stack.End-8, 8)) || c.Cut != pageSize/2 {
		t.Errorf("of a core that was cut short: %v, %d bytes", err, c.Cut)
	}
}

// FuzzNew: an error comes without a Core; a Core never answers with bytes of
// what the file does not hold, and the facts about itself can be read.
func FuzzNew(f *testing.F) {
	data := example(f)
	f.Add(data)
	f.Add(data[:len(data)-5000])
	f.Add(data[:200])
	path, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []Options{{}, {Exe: path}} {
			c, err := New(bytes.NewReader(data), int64(len(data)), o)
			if err != nil {
				if c != nil {
					t.Fatal("error and a core")
				}
				continue
			}
			maps, err := c.Maps()
			if err != nil {
				t.Fatal(err)
			}
			var b [100]byte
			for i, m := range maps {
				for _, at := range []memory.Address{m.Start, m.End - 50, m.Start.Add(m.Size() / 2)} {
					n, err := c.Memory().ReadAt(b[:], at)
					var bad *memory.UnreadableError
					if n < len(b) && (!errors.As(err, &bad) || bad.Addr != at.Add(uint64(n))) {
						t.Fatalf("%d bytes at %v: %v", n, at, err)
					}
				}
				if i > 20 {
					break
				}
			}
			c.Threads()
			_, _ = c.Stat()
			c.PID()
			c.SigInfo()
			c.Close()
		}
	})
}
