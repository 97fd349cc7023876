package note

import (
	"fmt"
	"reflect"
	"testing"
)

func TestDenseRegions(t *testing.T) {
	rs := exampleRegions()
	if got, err := DecodeDenseRegions(EncodeDenseRegions(rs)); err != nil || !reflect.DeepEqual(got, rs) {
		t.Errorf("%+v, %v", got, err)
	}
	// Regions of a typical program: neighbours with similar names and positions.
	var many []Region
	for i := range uint64(1000) {
		many = append(many, Region{ID: 1<<62 + i, Addr: 0xc000000000 + i*1024, Size: 1024, Captured: 1024, Order: i, Name: fmt.Sprint("region", i), Expr: fmt.Sprint("regions[", i, "]"),
			Package: "example.com/shop", Type: "uint8", Pos: fmt.Sprint("main.go:", i+10), TypeAddr: 0x4a0000})
	}
	desc := EncodeDenseRegions(many)
	if len(desc) > 36*len(many) {
		t.Errorf("%d bytes for %d regions", len(desc), len(many))
	}
	if got, err := DecodeDenseRegions(desc); err != nil || !reflect.DeepEqual(got, many) {
		t.Errorf("%d regions, %v", len(got), err)
	}
	for n := 0; n < len(desc); n += 1 + n/16 {
		if got, err := DecodeDenseRegions(desc[:n]); err == nil || got != nil {
			t.Fatalf("the first %d bytes of %d are taken for all: %d regions, %v", n, len(desc), len(got), err)
		}
	}
}

// FuzzDecodeDenseRegions: an error comes with no regions; decoded regions
// survive encoding and decoding.
func FuzzDecodeDenseRegions(f *testing.F) {
	f.Add(EncodeDenseRegions(exampleRegions()))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := DecodeDenseRegions(b)
		if err != nil {
			if rs != nil {
				t.Error("regions with an error")
			}
			return
		}
		if again, err := DecodeDenseRegions(EncodeDenseRegions(rs)); err != nil || !reflect.DeepEqual(again, rs) {
			t.Errorf("%+v become %+v, %v", rs, again, err)
		}
	})
}
