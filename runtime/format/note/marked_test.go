package note

import (
	"math"
	"reflect"
	"testing"
)

func TestMarkedRoundTrip(t *testing.T) {
	rs := []MarkedRange{{0x1000, 8, MarkedGap}, {0x1008, 1, MarkedExcluded}, {0xc000000000, 1 << 30, MarkedUnknown}, {math.MaxUint64 - 8, 8, MarkedHole}}
	if got, err := DecodeMarked(EncodeMarked(rs)); err != nil || !reflect.DeepEqual(got, rs) {
		t.Errorf("%+v, %v", got, err)
	}
	// Twenty thousand small gaps must not make a core much larger.
	var many []MarkedRange
	for i := range uint64(20000) {
		many = append(many, MarkedRange{0xc000000000 + i*96, 24, MarkedGap})
	}
	if n := len(EncodeMarked(many)); n > 2*len(many)+32 {
		t.Errorf("%d ranges take %d bytes", len(many), n)
	}
}

// FuzzDecodeMarked: an error comes with no ranges; ranges are in order and
// survive encoding and decoding.
func FuzzDecodeMarked(f *testing.F) {
	f.Add(EncodeMarked([]MarkedRange{{1, 2, MarkedGap}, {9, 4, MarkedExcluded}}))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := DecodeMarked(b)
		if err != nil {
			if rs != nil {
				t.Error("ranges with an error")
			}
			return
		}
		for i := 1; i < len(rs); i++ {
			if rs[i].Addr < rs[i-1].Addr+rs[i-1].Size {
				t.Errorf("%+v and %+v overlap", rs[i-1], rs[i])
			}
		}
		if again, err := DecodeMarked(EncodeMarked(rs)); err != nil || !reflect.DeepEqual(again, rs) {
			t.Errorf("%+v become %+v, %v", rs, again, err)
		}
	})
}
