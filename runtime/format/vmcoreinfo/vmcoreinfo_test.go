package vmcoreinfo

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var text Text
	text.Field("OSRELEASE", "6.1.0-test")
	text.Field("PAGESIZE", "4096")
	text.Symbol("example.com/shop.orders", 0xc000123400)
	text.Size("runtime.g", 440)
	text.Offset("runtime.g", "goid", 152)
	text.Length("names", 3)
	text.Number("limit", -7)
	if err := text.Err(); err != nil {
		t.Fatal(err)
	}
	want := "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(example.com/shop.orders)=c000123400\nSIZE(runtime.g)=440\nOFFSET(runtime.g.goid)=152\nLENGTH(names)=3\nNUMBER(limit)=-7\n"
	if got := string(text.Bytes()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	info, err := Parse(append(text.Bytes(), 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if info.Fields["OSRELEASE"] != "6.1.0-test" || info.Symbols["example.com/shop.orders"] != 0xc000123400 || info.Sizes["runtime.g"] != 440 ||
		info.Offsets["runtime.g.goid"] != 152 || info.Lengths["names"] != 3 || info.Numbers["limit"] != -7 {
		t.Errorf("%+v", info)
	}
}

// The format has no quoting: the writer omits and reports what it cannot
// express.
func TestUnsayable(t *testing.T) {
	for _, say := range []func(*Text){
		func(t *Text) { t.Field("A", "b\nSYMBOL(x)=1") },
		func(t *Text) { t.Symbol("a=b", 1) },
		func(t *Text) { t.Field("SIZE(x)", "1") },
		func(t *Text) { t.Field("", "1") },
	} {
		var text Text
		say(&text)
		if text.Err() == nil || len(text.Bytes()) != 0 {
			t.Errorf("%q, %v", text.Bytes(), text.Err())
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, s := range []string{"no value\n", "=x\n", "SIZE(a)=0x10\n", "SYMBOL(a)=zz\n", "NUMBER(a)=\n"} {
		if info, err := Parse([]byte(s)); !errors.Is(err, ErrMalformed) || info != nil {
			t.Errorf("%q: %+v, %v", s, info, err)
		}
	}
}

// FuzzParse: an error comes with a nil Info. An Info that is written again
// parses to the same, except for fields that the writer rejects.
func FuzzParse(f *testing.F) {
	f.Add("OSRELEASE=6.1\nSYMBOL(a)=ff\nSIZE(b)=1\nOFFSET(b.c)=2\nLENGTH(d)=3\nNUMBER(e)=-4\nKERNELOFFSET(x)=1\n")
	f.Fuzz(func(t *testing.T, s string) {
		info, err := Parse([]byte(s))
		if err != nil {
			if info != nil {
				t.Fatal("error and an info")
			}
			return
		}
		var text Text
		for _, k := range Names(info.Fields) {
			if strings.ContainsRune(k, '(') {
				delete(info.Fields, k)
				continue
			}
			text.Field(k, info.Fields[k])
		}
		for _, k := range Names(info.Symbols) {
			text.Symbol(k, info.Symbols[k])
		}
		for _, k := range Names(info.Numbers) {
			text.Number(k, info.Numbers[k])
		}
		info.Sizes, info.Offsets, info.Lengths = map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
		if text.Err() != nil {
			return // an empty name
		}
		again, err := Parse(text.Bytes())
		if err != nil || !reflect.DeepEqual(again, info) {
			t.Fatalf("%+v becomes %+v, %v", info, again, err)
		}
	})
}
