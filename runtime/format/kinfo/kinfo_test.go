package kinfo

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func example() *Info {
	i := &Info{
		EnabledAll: true, CFIClang: true, NumSyms: 5, NameLen: 1, BitPerLong: 64, ModuleNameLen: 3, SymbolLen: 4,
		ThreadSize: 6, SwapperPgDir: 7, Release: "go1.26", BuildInfo: "example.com/shop", ModulesTreeLookup: 8, ModMemOffset: 9, ModKallsymsOffset: 10,
	}
	for k := range i.Address {
		i.Address[k] = uint64(k+1) << 32
	}
	return i
}

func TestRoundTrip(t *testing.T) {
	b := example().Encode()
	if len(b) != Size {
		t.Errorf("%d bytes", len(b))
	}
	if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("%+v, %v", got, err)
	}
	long := &Info{Release: strings.Repeat("r", 100), BuildInfo: strings.Repeat("b", 300)}
	if got, err := Decode(long.Encode()); err != nil || len(got.Release) != 63 || len(got.BuildInfo) != 255 {
		t.Errorf("%d, %d, %v", len(got.Release), len(got.BuildInfo), err)
	}
}

// Decode detects any single changed byte.
func TestEveryByteCounts(t *testing.T) {
	for at := range Size {
		b := example().Encode()
		b[at] ^= 0x10
		got, err := Decode(b)
		if got != nil || !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrMagic) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if _, err := Decode(make([]byte, 3)); !errors.Is(err, ErrMagic) {
		t.Errorf("%v", err)
	}
}

// FuzzDecode: an error comes with a nil result; a decoded block encodes to the
// same bytes.
func FuzzDecode(f *testing.F) {
	f.Add(example().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Decode(b)
		if err != nil {
			if i != nil {
				t.Fatal("an info with an error")
			}
			return
		}
		if again, err := Decode(i.Encode()); err != nil || !reflect.DeepEqual(again, i) {
			t.Fatalf("%+v becomes %+v, %v", i, again, err)
		}
	})
}
