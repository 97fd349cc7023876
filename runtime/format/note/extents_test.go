package note

import (
	"math"
	"reflect"
	"testing"
)

func TestExtentsRoundTrip(t *testing.T) {
	for _, es := range [][]Extent{{}, {{0, 8}}, {{0x1000, 8}, {0x1008, 1}, {0xc000000000, 1 << 30}, {math.MaxUint64 - 8, 8}}} {
		if got, err := DecodeExtents(TypeTorn, EncodeExtents(es)); err != nil || !reflect.DeepEqual(got, es) {
			t.Errorf("%+v, not %+v: %v", got, es, err)
		}
	}
}

// FuzzDecodeExtents: an error comes with no extents; extents are in order.
func FuzzDecodeExtents(f *testing.F) {
	f.Add(EncodeExtents([]Extent{{1, 2}, {9, 4}}))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		es, err := DecodeExtents(TypeTorn, b)
		if err != nil {
			if es != nil {
				t.Error("extents with an error")
			}
			return
		}
		for i := 1; i < len(es); i++ {
			if es[i].Addr < es[i-1].Addr+es[i-1].Size {
				t.Errorf("%+v and %+v overlap", es[i-1], es[i])
			}
		}
	})
}
