package value

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/runtime/format/note"
)

type node struct {
	Next *node
	Name string
	Data []byte
	Map  map[string]int
	Any  any
	Ch   chan int
	Fn   func()
	When time.Time
	Big  *big.Int
	Sync *sync.Map
	Flag atomic.Bool
	Ptr  atomic.Pointer[node]
	Err  error
}

func newNode() *node {
	n := &node{Name: "first", Data: []byte("data"), Map: map[string]int{"b": 2, "a": 1}, Any: uint8(3), Ch: make(chan int, 3), Big: big.NewInt(-5), Sync: new(sync.Map)}
	n.Next = &node{Name: "second", Next: n}
	n.When = time.Date(2024, 5, 6, 7, 8, 9, 10, time.FixedZone("X", -3600))
	n.Ch <- 4
	n.Sync.Store("key", n.Next)
	n.Flag.Store(true)
	n.Ptr.Store(n.Next)
	n.Err = errors.Join(&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, fmt.Errorf("late: %w", context.DeadlineExceeded),
		&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(1, 2, 3, 4)}, Err: io.EOF})
	return n
}

// self is this process as a program; mem is what of its memory is read, and
// lost is not there.
func self(tb testing.TB, root any, mem func(memory.Memory) memory.Memory, lost ...inspect.Lost) (*inspect.Program, *gotypes.Type, memory.Address) {
	tb.Helper()
	k := kinds.Open(tb, os.Getpid(), nil)
	p := inspect.NewProgram(k.Prog, mem(k.Mem), lost...)
	words := *(*[2]memory.Address)(unsafe.Pointer(&root))
	ptr, err := gotypes.New(k.Mem, k.Prog).At(words[0])
	if err != nil {
		tb.Fatal(err)
	}
	elem, err := ptr.Elem()
	if err != nil {
		tb.Fatal(err)
	}
	return p, elem, words[1]
}

func plain(m memory.Memory) memory.Memory { return m }

// A missing value is replaced by its reason, and its neighbours are shown.
func TestMissingInItsPlace(t *testing.T) {
	n := newNode()
	_, typ, _ := self(t, n, plain)
	lose := func(p unsafe.Pointer, size uint64, why note.MarkReason) inspect.Lost {
		return inspect.Lost{Range: memory.RangeOf(memory.Address(uintptr(p)), size), Why: why}
	}
	p, typ, addr := self(t, n, plain,
		lose(unsafe.Pointer(unsafe.StringData(n.Name)), 5, note.MarkedExcluded),
		lose(unsafe.Pointer(&n.Data[2]), 2, note.MarkedGap),
		lose(unsafe.Pointer(&n.Any), 16, note.MarkedUnknown),
		lose(unsafe.Pointer(&n.Big), 8, note.MarkedHole),
		lose(unsafe.Pointer(n.Next), typ.Size, note.MarkedGap),
	)
	text := Read(p, typ, addr, Limits{}).Go()
	for _, want := range []string{
		"Name: /* redacted */,", `Data: []byte("da") /* 2 more bytes: not captured */,`, "Any: /* redacted, type not known */,", "Big: /* unreadable */,",
		"Next: (*value.node)(0x", ") /* not captured */,", `Map: map[string]int{"a": 1, "b": 2},`, "Flag: true,",
		"/* 1 of 3 */", `time.FixedZone("X", -3600)`, `Sync: &sync.Map{"key": (*value.node)(0x`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	runtime.KeepAlive(n)
}

// JSON holds the same, and is JSON.
func TestJSON(t *testing.T) {
	n := newNode()
	p, typ, addr := self(t, n, plain)
	v := Read(p, typ, addr, Limits{})
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Address string         `json:"$address"` // Next's Next refers to it
		Value   map[string]any `json:"$value"`
	}
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	for name, want := range map[string]string{
		"Name": `"first"`, "Data": `{"$bytes":"ZGF0YQ=="}`, "Map": `{"a":"1","b":"2"}`, "Any": `{"$type":"uint8","$value":3}`,
		"Ch": `{"$note":"1 of 3","$value":{"$chan":["4"]}}`, "Fn": `null`, "When": `"2024-05-06T07:08:09.00000001-01:00"`, "Big": `"-5"`, "Flag": `true`,
	} {
		if b, _ := json.Marshal(root.Value[name]); string(b) != want {
			t.Errorf("%s is %s, want %s", name, b, want)
		}
	}
	runtime.KeepAlive(n)
}

// What is written is what Go would read back, and JSON has the same.
func TestCorners(t *testing.T) {
	type octet uint8
	x := &struct {
		Floats  []float64
		Complex complex64
		Raw     json.RawMessage
		Odd     []byte
		Named   []octet
		Array   [2]byte
	}{
		[]float64{math.Copysign(0, -1), math.NaN(), math.Inf(-1), 1e21}, complex(float32(math.Inf(1)), -0.5),
		json.RawMessage(`{"a":1}`), []byte{0xff, 0}, []octet("ab"), [2]byte{'a', 'b'},
	}
	p, typ, addr := self(t, x, plain)
	v := Read(p, typ, addr, Limits{})
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for where, wants := range map[string][]string{
		v.Go(): {
			"Floats: []float64{math.Copysign(0, -1), math.NaN(), math.Inf(-1), 1e+21},", "Complex: complex(math.Inf(1), -0.5),",
			`Raw: json.RawMessage("{\"a\":1}"),`, "Odd: []uint8{0xff, 0x0},", `Named: []value.octet("ab"),`, "Array: [2]uint8{0x61, 0x62},",
		},
		string(text): {`"Floats":[-0,"NaN","-Inf",1e+21]`, `"Complex":["+Inf","-0.5"]`},
	} {
		for _, want := range wants {
			if !strings.Contains(where, want) {
				t.Errorf("no %q in\n%s", want, where)
			}
		}
	}
	runtime.KeepAlive(x)
}

// Limits leave out and report that.
func TestLimits(t *testing.T) {
	long := &struct {
		List []int
		Text string
		Map  map[int]int
		Deep **int
	}{make([]int, 100), strings.Repeat("x", 100), map[int]int{}, new(*int)}
	*long.Deep = new(int)
	for i := range 50 {
		long.Map[i] = -i
	}
	p, typ, addr := self(t, long, plain)
	text := Read(p, typ, addr, Limits{Elements: 3, Bytes: 4, Depth: 1}).Go()
	for _, want := range []string{"{0, 0, 0, /* 97 more elements */}", `"xxxx" /* 96 more bytes */`, "0: 0,", "2: -2,", "/* 47 more entries */", "new((*int)(0x", " below: --depth "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := Read(p, typ, addr, Limits{Values: 20}); len(got.Go()) > 4000 {
		t.Errorf("twenty values take %d bytes", len(got.Go()))
	}
	runtime.KeepAlive(long)
}

// Nothing is below a value without a size: it is shown whatever the depth is.
func TestLimitsOfEmpty(t *testing.T) {
	type empty struct{}
	x := &struct {
		Any   any
		Ptr   *empty
		Err   error
		Inner *struct{ Any any }
	}{empty{}, &empty{}, context.DeadlineExceeded, &struct{ Any any }{[0]int{}}}
	p, typ, addr := self(t, x, plain)
	text := Read(p, typ, addr, Limits{Depth: 1}).Go()
	for _, want := range []string{"Any: value.empty{}", "Ptr: &value.empty{}", "Err: context.deadlineExceededError{}", "Any: [0]int{}"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	runtime.KeepAlive(x)
}

// liar is memory of which some words are not what they are.
type liar struct {
	memory.Memory
	seed, rate uint64
}

func (l liar) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := l.Memory.ReadAt(p, addr)
	for i := int(-uint64(addr) & 7); i+8 <= n; i += 8 {
		x := (uint64(addr) + uint64(i)) ^ l.seed
		for range 3 {
			x ^= x >> 29
			x *= 0xbf58476d1ce4e5b9
		}
		if x%l.rate == 0 {
			old := binary.LittleEndian.Uint64(p[i:])
			binary.LittleEndian.PutUint64(p[i:], [...]uint64{0, x, x >> 40, old + x>>60*8, 1 << 63, old << 1, ^uint64(0), x >> 56}[x>>32%8])
		}
	}
	return n, err
}

// FuzzRead: memory that lies, also about types, is printed in bounded time and
// size, as valid JSON, without a panic.
func FuzzRead(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, 2+seed*seed)
	}
	n := newNode()
	f.Fuzz(func(t *testing.T, seed, rate uint64) {
		p, typ, addr := self(t, n, func(m memory.Memory) memory.Memory { return liar{m, seed, max(rate, 2)} })
		start := time.Now()
		v := Read(p, typ, addr, Limits{Values: 20_000})
		text := v.Go()
		if len(text) > 64<<20 {
			t.Errorf("%d bytes of text", len(text))
		}
		if b, err := json.Marshal(v); err != nil || !json.Valid(b) {
			t.Errorf("JSON: %v", err)
		}
		if err := (Place{Addr: addr, Type: typ}).Stream(p, Limits{Values: 20_000}).WriteGo(io.Discard, Format{}); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
	})
	runtime.KeepAlive(n)
}
