package value

import (
	"go/ast"
	"go/parser"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A hexdump is Go source of its bytes, whatever text these are.
func TestHexdump(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data := make([]byte, hexLine+1+r.IntN(64))
		for i := range data {
			data[i] = []byte{byte(r.Uint32()), '*', '/', ' ', 'a'}[r.IntN(5)]
		}
		data[r.IntN(len(data))] = 0xff // it is no text
		text := (&Value{Shape: Bytes, Slice: true, Type: "[]uint8", Text: string(data)}).Go()
		if strings.Contains(text, " × ") {
			continue // it has equal rows
		}
		e, err := parser.ParseExpr(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var got []byte
		for _, x := range e.(*ast.CompositeLit).Elts {
			n, err := strconv.ParseUint(x.(*ast.BasicLit).Value, 0, 8)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, byte(n))
		}
		if string(got) != string(data) {
			t.Fatalf("%x, want %x", got, data)
		}
	}
	for _, test := range []struct{ text, want string }{
		{strings.Repeat("\x01", 32), "[]uint8{0x1 /* × 32 */}"},
		{"header\x00\x01" + strings.Repeat("*/", 4) + strings.Repeat("\x00", 16*1000) + "end", "[]uint8{\n" +
			"\t0x68, 0x65, 0x61, 0x64, 0x65, 0x72, 0x00, 0x01, 0x2a, 0x2f, 0x2a, 0x2f, 0x2a, 0x2f, 0x2a, 0x2f, /* |header..*.*.*.*.| */\n" +
			"\t0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* |................| × 1,000 */\n" +
			"\t0x65, 0x6e, 0x64,                                                                               /* |end| */\n}"},
	} {
		v := &Value{Shape: Bytes, Slice: true, Type: "[]uint8", Text: test.text}
		if got := v.Go(); got != test.want {
			t.Errorf("%s\nwant\n%s", got, test.want)
		}
		if line := v.Line(); strings.Contains(line, "\n") {
			t.Errorf("a line is\n%s", line)
		}
	}
}

// Of a sync.Pool the function New is shown, and whether it has caches: two collections
// remove them.
func TestPool(t *testing.T) {
	all := &struct{ Used, Unused, Before sync.Pool }{Used: sync.Pool{New: func() any { return new(int) }}}
	kept = all
	all.Before.Get()
	runtime.GC()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	all.Used.Get() // with the race detector, Put drops some values before it makes the caches
	p, typ, addr := self(t, all, plain)
	text := Read(p, typ, addr, Limits{}).Go()
	runtime.KeepAlive(all)
	for _, want := range []string{"Used: sync.Pool{New: ", "} /* caches of " + number(uint64(runtime.GOMAXPROCS(0)), "processor") + " */", "Unused: sync.Pool{New: nil} /* empty */", "Before: sync.Pool{New: nil} /* empty */"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
