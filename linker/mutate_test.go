package linker_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/linker"
)

// A variant is a file with some changed bytes and a truncated end, without a
// copy of the rest.
type variant struct {
	data    []byte
	patches []filePatch
	size    int64
	touched map[int64]bool // pages that were read, nil to record none
	deep    bool           // also read symbols and debug information, which takes long
}

type filePatch struct {
	off   int64
	bytes []byte
}

const filePage = 4096

func (v *variant) ReadAt(p []byte, off int64) (int, error) {
	if off >= v.size {
		return 0, io.EOF
	}
	n := copy(p, v.data[off:v.size])
	for _, patch := range v.patches {
		for i, b := range patch.bytes {
			if at := patch.off + int64(i) - off; at >= 0 && at < int64(n) {
				p[at] = b
			}
		}
	}
	if v.touched != nil {
		for page := off / filePage; page <= (off+int64(n)-1)/filePage; page++ {
			v.touched[page] = true
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// An outcome is the result of reading a file's tables and types.
type outcome struct {
	Map      *linker.Map
	Forecast *linker.Forecast
}

// examine calls everything that reads a file.
func examine(v *variant) (*outcome, error) {
	f, err := exe.New(v, v.size)
	if err != nil {
		return nil, err
	}
	p, err := linker.New("variant", f)
	if err != nil {
		return nil, err
	}
	o := &outcome{Map: p.Map()}
	if o.Forecast, err = p.Forecast(linker.ForecastOptions{Depth: 3}); err != nil {
		return nil, err
	}
	if v.touched != nil {
		return o, nil // the rest reads every byte
	}
	if _, err := p.Check(linker.CheckOptions{}); err != nil {
		return nil, err
	}
	if !v.deep {
		return o, nil
	}
	if list, err := linker.ParseIncludeList("list", strings.NewReader("os.Args\nruntime.printBacklog")); err == nil {
		_, _ = p.Include(list) // an error is allowed for broken symbols and debug information
	}
	_, _ = p.Content() // the same
	return o, nil
}

// interesting lists words that break arithmetic.
var interesting = []uint64{0, 1, 7, 8, 0xff, 1 << 16, 1 << 31, 1<<32 - 1, 1 << 40, 1 << 47, 1<<63 - 1, 1 << 63, 1<<64 - 8, 1<<64 - 1}

// mutate makes the patches of one variant, most of them in headers, tables and
// types.
func mutate(r *rand.Rand, data []byte, hot [][2]int64) *variant {
	v := &variant{data: data, size: int64(len(data))}
	if r.IntN(10) == 0 {
		v.size = r.Int64N(v.size)
	}
	for range 1 + r.IntN(4) {
		off := r.Int64N(int64(len(data)))
		if r.IntN(8) != 0 {
			h := hot[r.IntN(len(hot))]
			off = h[0] + r.Int64N(h[1])
		}
		var b []byte
		switch r.IntN(5) {
		case 0:
			b = []byte{data[off] ^ 1<<r.IntN(8)}
		case 1:
			b = []byte{byte(r.Uint32())}
		case 2:
			b = binary.LittleEndian.AppendUint64(nil, interesting[r.IntN(len(interesting))])
		case 3: // a word from elsewhere: a plausible pointer
			h := hot[r.IntN(len(hot))]
			from := (h[0] + r.Int64N(h[1])) &^ 7
			b = bytes.Clone(data[from:min(from+8, int64(len(data)))])
		case 4:
			b = binary.LittleEndian.AppendUint32(nil, uint32(interesting[r.IntN(len(interesting))]))
		}
		if len(b) > 1 {
			off &^= int64(len(b) - 1)
		}
		b = b[:min(int64(len(b)), int64(len(data))-off)]
		v.patches = append(v.patches, filePatch{off, b})
	}
	return v
}

// hotSpots returns the parts of a file that the package reads.
func hotSpots(tb testing.TB, data []byte) [][2]int64 {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	le := binary.LittleEndian
	hot := [][2]int64{
		{0, 64}, {0, 64},
		{int64(le.Uint64(data[32:])), int64(le.Uint16(data[56:])) * 56},
		{int64(le.Uint64(data[40:])), int64(le.Uint16(data[60:])) * 64},
	}
	for _, s := range f.Sections {
		switch s.Name {
		case ".data", ".noptrdata", ".go.module", ".go.buildinfo", ".dynamic", ".rela.dyn", ".rela", ".note.go.buildid",
			".symtab", ".debug_info", ".debug_abbrev", ".shstrtab", ".go.type":
			if s.Size > 0 {
				hot = append(hot, [2]int64{int64(s.Offset), int64(s.FileSize)})
			}
		case ".rodata", ".data.rel.ro": // types come first
			hot = append(hot, [2]int64{int64(s.Offset), int64(min(s.FileSize, 200<<10))})
		case ".gopclntab":
			hot = append(hot, [2]int64{int64(s.Offset), 128})
		}
	}
	return slices.DeleteFunc(hot, func(h [2]int64) bool { return h[1] <= 0 || h[0]+h[1] > int64(len(data)) })
}

// Changed or truncated files give an error or a result, in bounded time and
// memory. If no changed byte matters for the result, it is the correct one.
func TestMutations(t *testing.T) {
	count := matrix.Choose(90, 10_000)
	builds := []build{{}, {args: "-buildmode=pie -ldflags=-s+-w"}, {args: "-buildmode=pie -ldflags=-linkmode=external"}}
	for _, b := range builds {
		t.Run(b.name(), func(t *testing.T) {
			data, err := os.ReadFile(b.run(t))
			if err != nil {
				t.Fatal(err)
			}
			pristine := &variant{data: data, size: int64(len(data)), touched: map[int64]bool{}}
			want, err := examine(pristine)
			if err != nil {
				t.Fatal(err)
			}
			hot := hotSpots(t, data)
			answers, same := 0, 0
			for seed := range count / len(builds) {
				v := mutate(rand.New(rand.NewPCG(uint64(seed), 42)), data, hot)
				v.deep = seed%8 == 0
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				got, err := examine(v)
				runtime.ReadMemStats(&after)
				if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<30 {
					t.Errorf("seed %d: %d MB were allocated", seed, spent>>20)
				}
				if spent := time.Since(start); spent > 20*time.Second {
					t.Errorf("seed %d: it took %v", seed, spent)
				}
				if err != nil {
					continue
				}
				answers++
				if !v.disturbs(pristine.touched) {
					same++
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("seed %d: an answer that is not right (-want +got):\n%s", seed, diff)
					}
				}
			}
			if answers < count/len(builds)/10 || same == 0 {
				t.Errorf("%d of %d variants gave answers, %d could be compared: the test proves little", answers, count/len(builds), same)
			}
		})
	}
}

// disturbs reports whether bytes differ where the pristine file was read. A
// truncated file that gives a result must give the correct one.
func (v *variant) disturbs(touched map[int64]bool) bool {
	for _, patch := range v.patches {
		if touched[patch.off/filePage] || touched[(patch.off+int64(len(patch.bytes))-1)/filePage] {
			return true
		}
	}
	return false
}
