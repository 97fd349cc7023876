package value

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// Numbers and bytes in hexadecimal digits, what they mean in comments, and a count in
// place of what is deeper than the limit.
func TestFormat(t *testing.T) {
	type inner struct{ A, B *int }
	type outer struct {
		Int   int
		Low   int64
		High  uint64
		Ratio float64
		Bytes []byte
		Text  string
		Wait  time.Duration
		Host  net.IP
		Inner *inner
		List  []int
		Map   map[string]int
		Any   any
		Whole struct{ A, B *int }
	}
	n := 1
	all := &outer{
		Int: 255, Low: -1 << 63, High: 1<<64 - 1, Ratio: 3, Bytes: []byte("ab"), Text: "12", Wait: 90 * time.Second, Host: net.IPv4(10, 0, 0, 1),
		Inner: &inner{&n, &n}, List: []int{1}, Map: map[string]int{"a": 1, "b": 2}, Any: [3]int{},
	}
	all.Whole.A, all.Whole.B = new(int), new(int)
	root := &struct{ Outer *outer }{all} // not on a stack, which moves when it grows
	kept = root
	p, typ, addr := self(t, root, plain)
	write := func(f Format, depth int) string {
		var b bytes.Buffer
		if err := (Place{Addr: addr, Type: typ}).Stream(p, Limits{Depth: depth}).WriteGo(&b, f); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, test := range []struct {
		text string
		want []string
	}{
		{write(Format{}, -1), []string{"Int: 255,", "Low: -9223372036854775808", "Wait: 90000000000,", `Bytes: []byte("ab")`}},
		{write(Format{Hex: true}, -1), []string{"Int: 0xff,", "Low: -0x8000000000000000", "High: 0xffffffffffffffff", "Ratio: 3,", "Bytes: []uint8{0x61, 0x62}", `Text: "12"`}},
		{write(Format{Explain: true}, -1), []string{"Wait: 90000000000 /* 1m30s */", " /* 10.0.0.1 */"}},
		{write(Format{Addresses: true}, -1), []string{"/* " + addr.String() + " */ struct", "Int: /* 0x"}},
		{write(Format{}, 1), []string{
			"/* 1 element below: --depth 2 */", "/* 2 entries below: --depth 2 */", "/* 3 elements below: --depth 2 */",
			"/* 2 fields below: --depth 2 */", "A: (*int)(0x", "/* 1 value below: --depth 2 */",
		}},
	} {
		for _, want := range test.want {
			if !strings.Contains(test.text, want) {
				t.Errorf("no %s in\n%s", want, test.text)
			}
		}
	}
}
