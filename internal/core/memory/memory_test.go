package memory_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
)

func TestAddress(t *testing.T) {
	top := memory.Address(math.MaxUint64)
	if got := top.Add(8); got != top {
		t.Errorf("an address wrapped to %v", got)
	}
	r := memory.RangeOf(top-4, 100)
	if r.Empty() || r.Size() != 4 {
		t.Errorf("a range over the end of memory is %v", r)
	}
	if d := memory.Address(8).Sub(16); d != -8 {
		t.Errorf("8-16 = %d", d)
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		a, b, both memory.Range
	}{
		{memory.Range{10, 20}, memory.Range{20, 30}, memory.Range{}},
		{memory.Range{10, 20}, memory.Range{19, 30}, memory.Range{19, 20}},
		{memory.Range{10, 20}, memory.Range{12, 14}, memory.Range{12, 14}},
		{memory.Range{10, 20}, memory.Range{15, 12}, memory.Range{}},
	} {
		if got := c.a.Intersect(c.b); got != c.both {
			t.Errorf("%v and %v share %v, want %v", c.a, c.b, got, c.both)
		}
		if got := c.b.Overlaps(c.a); got == c.both.Empty() {
			t.Errorf("%v overlaps %v: %v", c.b, c.a, got)
		}
	}
}

// Each memory's results at its boundaries.
func TestReadAt(t *testing.T) {
	low := memory.Buffer{Base: 0x1000, Data: []byte("executable bytes")}
	high := memory.Buffer{Base: 0x1004, Data: []byte("CORE")}
	var over memory.Spliced
	over.PutAll(low)
	over.PutAll(high)
	var hole memory.Spliced
	hole.PutAll(low)
	hole.Cut(memory.Range{0x1004, 0x1006})
	var broken memory.Spliced // a core whose segment is longer than its file
	broken.PutAll(low)
	broken.Put(memory.Segment{Range: memory.Range{0x1004, 0x100c}}, high)
	file := memory.Section{Range: memory.Range{0x2000, 0x2008}, File: bytes.NewReader([]byte("..0123")), Offset: 2}

	for _, c := range []struct {
		name string
		mem  memory.Memory
		addr memory.Address
		size int
		want string
		bad  memory.Address // first unreadable address, 0 for none
	}{
		{"whole", low, 0x1000, 16, "executable bytes", 0},
		{"before", low, 0xfff, 4, "", 0xfff},
		{"over the end", low, 0x100b, 8, "bytes", 0x1010},
		{"at the end", low, 0x1010, 1, "", 0x1010},
		{"nothing", low, 0x9999, 0, "", 0},
		{"highest address", low, math.MaxUint64, 8, "", math.MaxUint64},

		{"upper wins", &over, 0x1000, 16, "execCOREle bytes"[:16], 0},
		{"inside upper", &over, 0x1005, 2, "OR", 0},
		{"upper to lower", &over, 0x1007, 3, "Ele", 0},

		{"before the hole", &hole, 0x1000, 4, "exec", 0},
		{"into the hole", &hole, 0x1002, 8, "ec", 0x1004},
		{"in the hole", &hole, 0x1005, 4, "", 0x1005},
		{"after the hole", &hole, 0x1006, 4, "able", 0},

		{"unreadable upper is not looked for beneath", &broken, 0x1002, 10, "ecCORE", 0x1008},
		{"in the unreadable upper", &broken, 0x1009, 1, "", 0x1009},

		{"file", file, 0x2000, 4, "0123", 0},
		{"file too short", file, 0x2002, 6, "23", 0x2004},
		{"after the section", file, 0x2008, 1, "", 0x2008},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := make([]byte, c.size)
			n, err := c.mem.ReadAt(p, c.addr)
			if got := string(p[:n]); got != c.want {
				t.Errorf("read %q, want %q", got, c.want)
			}
			checkContract(t, p, c.addr, n, err)
			var bad *memory.UnreadableError
			switch {
			case c.bad == 0 && err != nil:
				t.Errorf("error %v", err)
			case c.bad != 0 && (!errors.As(err, &bad) || bad.Addr != c.bad):
				t.Errorf("error %v, want one at %v", err, c.bad)
			}
		})
	}
}

// checkContract checks a result of ReadAt against Memory's documentation.
func checkContract(t interface{ Errorf(string, ...any) }, p []byte, addr memory.Address, n int, err error) {
	var bad *memory.UnreadableError
	switch {
	case n < 0 || n > len(p):
		t.Errorf("n = %d of %d", n, len(p))
	case n == len(p) && err != nil:
		t.Errorf("everything was read, and %v", err)
	case n < len(p) && !errors.As(err, &bad):
		t.Errorf("%d of %d bytes with error %v", n, len(p), err)
	case n < len(p) && bad.Addr != addr.Add(uint64(n)):
		t.Errorf("%d bytes from %v on, but unreadable is %v", n, addr, bad.Addr)
	}
}

// A spliced memory behaves like an array of bytes, each with its latest owner.
func TestSplicedIsAnArray(t *testing.T) {
	const size = 64
	rapid.Check(t, func(t *rapid.T) {
		var s memory.Spliced
		var model [size]struct {
			b  byte
			ok bool
		}
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			start := rapid.IntRange(0, size-1).Draw(t, "start")
			end := rapid.IntRange(start, size).Draw(t, "end")
			r := memory.Range{Start: memory.Address(start), End: memory.Address(end)}
			if rapid.Bool().Draw(t, "cut") {
				rs := []memory.Range{r}
				for range rapid.IntRange(0, 4).Draw(t, "more") {
					at := rapid.IntRange(0, size-1).Draw(t, "at")
					rs = append(rs, memory.Range{Start: memory.Address(at), End: memory.Address(rapid.IntRange(at, size).Draw(t, "to"))})
				}
				if len(rs) == 1 {
					s.Cut(r)
				} else {
					s.CutAll(rs)
				}
				for _, r := range rs {
					for i := r.Start; i < r.End; i++ {
						model[i].ok = false
					}
				}
				continue
			}
			// A file that may be shorter than it claims.
			have := rapid.IntRange(start, end).Draw(t, "have")
			data := bytes.Repeat([]byte{byte(step + 1)}, have-start)
			s.Put(memory.Segment{Range: r}, memory.Buffer{Base: r.Start, Data: data})
			for i := start; i < end; i++ {
				model[i].b, model[i].ok = byte(step+1), i < have
			}
		}
		addr := rapid.IntRange(0, size-1).Draw(t, "addr")
		p := make([]byte, rapid.IntRange(1, size).Draw(t, "size"))
		n, err := s.ReadAt(p, memory.Address(addr))
		checkContract(t, p, memory.Address(addr), n, err)
		for i := range n {
			if m := model[addr+i]; !m.ok || m.b != p[i] {
				t.Fatalf("byte %d is %d, want %+v", addr+i, p[i], m)
			}
		}
		if next := addr + n; n < len(p) && next < size && model[next].ok {
			t.Fatalf("stopped at %d, which is readable", next)
		}
		if view, ok := s.View(memory.Address(addr), uint64(len(p))); ok && !bytes.Equal(view, p) {
			t.Fatalf("lent %v, read %v", view, p)
		}
		last := memory.Address(0)
		for _, seg := range s.Segments() {
			if seg.Empty() || seg.Start < last {
				t.Fatalf("segments out of order: %v", s.Segments())
			}
			last = seg.End
		}
	})
}

func TestReader(t *testing.T) {
	data := make([]byte, 64)
	copy(data, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	copy(data[8:], []byte{0x20, 0x10, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9})
	copy(data[0x20:], "hello, world")
	r := memory.Reader{Memory: memory.Buffer{Base: 0x1000, Data: data}}

	if v, err := r.Uint64(0x1000); v != 0x0807060504030201 || err != nil {
		t.Errorf("Uint64: %#x, %v", v, err)
	}
	if v, err := r.Uint32(0x1001); v != 0x05040302 || err != nil {
		t.Errorf("Uint32: %#x, %v", v, err)
	}
	if v, err := r.Uint16(0x1001); v != 0x0302 || err != nil {
		t.Errorf("Uint16: %#x, %v", v, err)
	}
	if v, err := r.Uint8(0x1007); v != 8 || err != nil {
		t.Errorf("Uint8: %#x, %v", v, err)
	}
	if s, err := r.String(0x1008, 5); s != "hello" || err != nil {
		t.Errorf("String: %q, %v", s, err)
	}
	if h, err := r.Slice(0x1008); h != (memory.Slice{Data: 0x1020, Len: 5, Cap: 9}) || err != nil {
		t.Errorf("Slice: %+v, %v", h, err)
	}
	if s, err := r.String(0x1008, 4); s != "" || err == nil || !strings.Contains(err.Error(), "over the limit of 4") {
		t.Errorf("a string over its limit: %q, %v", s, err)
	}
	if v, err := r.Pointer(0x1039); v != 0 || !errors.Is(err, memory.ErrNotMapped) {
		t.Errorf("a word that is cut off: %v, %v", v, err)
	}
	if b, err := r.Bytes(0x1000, 1<<40, 1<<50); b != nil || err == nil {
		t.Errorf("a terabyte: %d bytes, %v", len(b), err)
	}
	if b, err := r.Bytes(0x1000, 0, 0); b != nil || err != nil {
		t.Errorf("nothing: %v, %v", b, err)
	}
	lent, _ := r.Bytes(0x1020, 5, 5)
	data[0x20] = 'J'
	if string(lent) != "hello" {
		t.Errorf("Bytes lent memory that changed to %q", lent)
	}
	file := memory.Section{Range: memory.Range{Start: 0, End: 1 << 40}, File: bytes.NewReader([]byte("abc"))}
	if _, err := (memory.Reader{Memory: file}).Bytes(0, 1<<40, 1<<41); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a segment that the file does not hold: %v", err)
	}
}
