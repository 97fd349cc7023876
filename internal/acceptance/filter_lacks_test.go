//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/kernelcore"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// What the kernel leaves out by coredump_filter is unreadable or comes from the
// executable, and never zero.
func TestFilterOfWhatTheKernelLeftOut(t *testing.T) {
	needAMD64(t)
	exe := build(t, "secrets", []string{"CGO_ENABLED=0"}, "-buildmode=pie")
	for mask, complete := range map[string]bool{"0x3f": true, "0x33": true, "0x23": true, "0x01": true, "0x10": false, "0x00": false} {
		t.Run(mask, func(t *testing.T) {
			whole := kernelcore.Make(t, mask, syscall.SIGABRT, exe)
			c, err := openFull(t, whole, fullcore.Options{})
			if err != nil {
				if complete {
					t.Fatal(err)
				}
				t.Log(err)
				return
			}
			defer c.Close()
			out, err := capture.Filter(context.Background(), c, capture.Options{})
			if err != nil {
				if complete {
					t.Fatal(err)
				}
				t.Log(err)
				return
			}
			s := out.Summary()
			if s.Partial == complete || complete && (s.Regions.Complete != 1 || s.Regions.Reasons["redacted"] != 12) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An executable of another build is rejected, whatever is left of the right one
// in the core, even at the same addresses.
func TestFilterBelievesNoOtherBuild(t *testing.T) {
	needAMD64(t)
	for _, mode := range []string{"-buildmode=exe", "-buildmode=pie"} {
		exe := build(t, "shared", []string{"CGO_ENABLED=0"}, mode, "-ldflags=-X main.word=aa")
		other := build(t, "shared", []string{"CGO_ENABLED=0"}, mode, "-ldflags=-X main.word=ab")
		stranger := build(t, "secrets", []string{"CGO_ENABLED=0"}, mode)
		for _, mask := range []string{"0x33", "0x23"} {
			whole := kernelcore.Make(t, mask, syscall.SIGABRT, exe, "wait")
			for _, wrong := range []string{other, stranger, "/dev/null", whole} {
				if c, err := openFull(t, whole, fullcore.Options{Exe: wrong}); err == nil {
					c.Close()
					t.Errorf("%s, filter %s: %s is believed", mode, mask, wrong)
				} else if wrong == other && !errors.Is(err, fullcore.ErrOtherBuild) {
					t.Errorf("%s, filter %s: %v", mode, mask, err)
				}
			}
			// The right one under another name.
			moved := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(exe, moved); err != nil {
				t.Fatal(err)
			}
			if c, err := openFull(t, whole, fullcore.Options{}); !errors.Is(err, fullcore.ErrNoExecutable) {
				t.Errorf("without an executable: %v %v", c, err)
			}
			if c, err := openFull(t, whole, fullcore.Options{Exe: moved}); err != nil {
				t.Errorf("%s, filter %s: %v", mode, mask, err)
			} else {
				c.Close()
			}
			if err := os.Rename(moved, exe); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A core that was cut short at any place gives an error, or a core in which every
// byte is the full core's or a mark, and in which no secret is, however little is
// known of what they are.
func TestFilterOfCutCores(t *testing.T) {
	needAMD64(t)
	exe := build(t, "secrets", []string{"CGO_ENABLED=0"})
	path := kernelcore.Make(t, kernelcore.Default, syscall.SIGABRT, exe)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, _ := file.Stat()
	whole, err := fullcore.New(file, info.Size(), fullcore.Options{Exe: exe})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	truth := whole.Memory()
	places := []int64{0, 1, 63, 64, 100, 1000, 3000, 8000, 12288, 12289, info.Size() - 1}
	headers, err := elfcore.Open(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range headers.Loads {
		places = append(places, int64(l.Offset), int64(l.Offset)+8)
		for n := uint64(4096); n < l.FileSize && n < 1<<20; n *= 2 { // where the data and the heap begin
			places = append(places, int64(l.Offset+n)+17)
		}
	}
	more := 20
	if full {
		more = 100
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range more {
		places = append(places, random.Int64N(info.Size()), random.Int64N(9<<20))
	}
	cores := 0
	for _, at := range places {
		for _, opts := range []capture.Options{{}, {Mode: capture.Data, Depth: 50}} {
			small, err := filterSection(file, min(at, info.Size()), exe, opts)
			if err != nil {
				continue
			}
			cores++
			if found := present(small); len(found) > 0 {
				t.Errorf("cut at %d: the core holds the secrets %v", at, found)
			}
			checkTruth(t, fmt.Sprintf("cut at %d", at), small, truth)
		}
	}
	if cores < 20 {
		t.Errorf("only %d of %d cut cores could be used", cores, len(places))
	}
	t.Logf("%d cores of %d cut ones", cores, 2*len(places))
}

// Where pages of a core cannot be read, no secret comes to light through what else
// points at it, though what marks it as one is gone, and no byte is made up.
func TestFilterOfCoresWithHoles(t *testing.T) {
	needAMD64(t)
	for _, program := range []string{"shared", "secrets"} {
		t.Run(program, func(t *testing.T) {
			exe := build(t, program, []string{"CGO_ENABLED=0"})
			text, err := os.ReadFile(kernelcore.Make(t, kernelcore.Default, syscall.SIGABRT, exe))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := fullcore.New(bytes.NewReader(text), int64(len(text)), fullcore.Options{Exe: exe})
			if err != nil {
				t.Fatal(err)
			}
			defer whole.Close()
			var pages []int64 // that hold anything, after the notes
			for at := int64(16 << 10); at+4096 <= int64(len(text)); at += 4096 {
				if !bytes.Equal(text[at:at+4096], make([]byte, 4096)) {
					pages = append(pages, at)
				}
			}
			// Each page alone, of those that the executable does not have, and many
			// together.
			var cases [][]int64
			for i, at := range pages {
				if program == "shared" && (full || i%2 == 0) {
					cases = append(cases, []int64{at})
				}
			}
			for seed := range 30 {
				random := rand.New(rand.NewPCG(7, uint64(seed)))
				var bad []int64
				for range 1 + random.IntN(1+len(pages)>>random.IntN(8)) {
					bad = append(bad, pages[random.IntN(len(pages))])
				}
				cases = append(cases, bad)
			}
			cores, visible := 0, 0
			for i, bad := range cases {
				h := &holed{Reader: bytes.NewReader(text), bad: map[int64]bool{}}
				for _, at := range bad {
					h.bad[at] = true
				}
				small, err := filterSection(h, int64(len(text)), exe, capture.Options{Depth: 50})
				if err != nil {
					continue
				}
				cores++
				if found := present(small); len(found) > 0 {
					t.Errorf("case %d: the core holds the secrets %v", i, found)
				}
				if bytes.Contains(small, []byte("visible")) {
					visible++
				}
				checkTruth(t, fmt.Sprintf("case %d", i), small, whole.Memory())
			}
			if cores < len(cases)/4 || visible == 0 {
				t.Errorf("of %d cores %d could be used, %d with a value", len(cases), cores, visible)
			}
			t.Logf("%d of %d cores could be used, %d with a value", cores, len(cases), visible)
		})
	}
}

// A full core that lacks the heap's spans does not show how large the objects are
// that excluded unsafe.Pointers lead to. No value comes of it, and the reason is a
// problem of the summary.
func TestFilterWithoutTheHeapsSpans(t *testing.T) {
	needAMD64(t)
	exe := build(t, "unsized", []string{"CGO_ENABLED=0"})
	text := mapped(t, fullCore(t, start(t, exe, "variable").Process.Pid))
	core, err := elfcore.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	list := spanList(t, exe, core)
	load := core.Find(list)
	for name, lacks := range map[string]bool{"whole": false, "without the list of spans": true} {
		h := &holed{Reader: bytes.NewReader(text), bad: map[int64]bool{}}
		if lacks {
			h.bad[int64(load.Offset+list-load.Addr)&^4095] = true
		}
		c, err := fullcore.New(h, int64(len(text)), fullcore.Options{Exe: exe})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		out, err := capture.Filter(context.Background(), c, capture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var small bytes.Buffer
		if _, err := out.WriteTo(&small); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(small.Bytes(), []byte("secret-mark-here")); n > 0 {
			t.Errorf("%s: the excluded mark is there %d times", name, n)
		}
		for _, public := range []string{"public row 1.", "public variable."} {
			if got := bytes.Contains(small.Bytes(), []byte(public)); got == lacks {
				t.Errorf("%s: %q is in the core: %v", name, public, got)
			}
		}
		s := out.Summary()
		printed := slices.ContainsFunc(s.Problems, func(p capture.Problem) bool {
			return p.What == "exclusions" && strings.Contains(p.Why, "objects of unknown size")
		})
		if printed != lacks || s.Partial != lacks {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// spanList returns the address of the array of runtime.mheap_.allspans.
func spanList(t *testing.T, exe string, core *elfcore.File) uint64 {
	t.Helper()
	const offset = 65864
	var b [8]byte
	if _, err := core.ReadMemory(symbolAddress(t, exe, "runtime.mheap_")+offset, b[:]); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// A core with bytes that make no sense gives an error, or a core in which every
// byte is the damaged one's or a mark.
func TestFilterOfDamagedCores(t *testing.T) {
	needAMD64(t)
	exe := build(t, "shared", []string{"CGO_ENABLED=0"})
	text, err := os.ReadFile(kernelcore.Make(t, kernelcore.Default, syscall.SIGABRT, exe))
	if err != nil {
		t.Fatal(err)
	}
	headers, err := elfcore.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	seeds := 60
	if full {
		seeds = 400
	}
	cores := 0
	for seed := range seeds {
		random := rand.New(rand.NewPCG(9, uint64(seed)))
		damaged := bytes.Clone(text)
		for range 1 + random.IntN(200) {
			at := random.IntN(int(headers.Loads[0].Offset)) // headers and notes
			if random.IntN(4) > 0 {
				l := headers.Loads[random.IntN(min(8, len(headers.Loads)))] // data and heap
				if l.FileSize == 0 {
					continue
				}
				at = int(l.Offset) + random.IntN(int(min(l.FileSize, 1<<20)))
			}
			damaged[at] ^= byte(1 << random.IntN(8))
		}
		small, err := filterSection(bytes.NewReader(damaged), int64(len(damaged)), exe, capture.Options{Depth: 50, Mode: capture.Data})
		if err != nil {
			continue
		}
		whole, err := fullcore.New(bytes.NewReader(damaged), int64(len(damaged)), fullcore.Options{Exe: exe})
		if err != nil {
			t.Fatal(err)
		}
		cores++
		checkTruth(t, fmt.Sprintf("seed %d", seed), small, whole.Memory())
		whole.Close()
	}
	if cores == 0 {
		t.Error("no damaged core could be used")
	}
	t.Logf("%d of %d cores could be used", cores, seeds)
}

// A holed file has pages that cannot be read.
type holed struct {
	*bytes.Reader
	bad map[int64]bool // offsets
}

func (h *holed) ReadAt(p []byte, off int64) (int, error) {
	for at := off &^ 4095; at < off+int64(len(p)); at += 4096 {
		if h.bad[at] {
			n, err := h.Reader.ReadAt(p[:max(at-off, 0)], off)
			return n, errors.Join(err, syscall.EIO)
		}
	}
	return h.Reader.ReadAt(p, off)
}

func filterSection(r io.ReaderAt, size int64, exe string, opts capture.Options) ([]byte, error) {
	c, err := fullcore.New(r, size, fullcore.Options{Exe: exe})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out, err := capture.Filter(context.Background(), c, opts)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = out.WriteTo(&b)
	return b.Bytes(), err
}

// checkTruth holds every byte of a core against the memory that it is of.
func checkTruth(t *testing.T, what string, small []byte, truth memory.Memory) {
	t.Helper()
	core, err := inspect.Read(bytes.NewReader(small), int64(len(small)))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	for i := range core.Loads {
		l := &core.Loads[i]
		if l.Marked() {
			continue
		}
		got, want := make([]byte, l.FileSize), make([]byte, l.FileSize)
		if _, err := core.ReadMemory(l.Addr, got); err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		n, err := truth.ReadAt(want, memory.Address(l.Addr))
		for k := range got {
			if got[k] != elfcore.MarkByte && (k >= n || got[k] != want[k]) {
				t.Errorf("%s: the byte at %#x is %#x; the full core has %#x there (%v)", what, l.Addr+uint64(k), got[k], want[k], err)
				return
			}
		}
	}
}
