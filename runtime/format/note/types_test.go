package note

import (
	"reflect"
	"testing"
)

func TestTypes(t *testing.T) {
	want := []Type{
		{Addr: 0x4f0000, Kind: uint32(reflect.Pointer), Size: 8, Elem: 0x4f0100, Name: "*main.job"},
		{Addr: 0x4f0100, Kind: uint32(reflect.Struct), Size: 24, Name: "main.job", PkgPath: "main", Fields: []TypeField{
			{Name: "Lines", Type: 0x4f0200}, {Name: "base", Offset: 8, Type: 0x4f0300, Embedded: true},
		}},
		{Addr: 0x4f0200, Kind: uint32(reflect.Array), Size: 8, Len: 4, Elem: 0x4f0400, Name: "[4]uint16"},
		{Addr: 0x4f0300, Kind: uint32(reflect.Interface), Size: 16, Methods: 3, Name: "main.base", PkgPath: "main"},
	}
	got, err := DecodeTypes(EncodeTypes(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	field := EncodeTypes(want[1:2])
	le.PutUint32(field[tableHead+32:], fieldKind)
	if ts, err := DecodeTypes(field); err == nil {
		t.Errorf("a field of no struct is %+v", ts)
	}
}

// Any bytes decode to a value or an error, never both, without a panic. A value
// survives encoding and decoding.
func FuzzTypes(f *testing.F) {
	f.Add(EncodeTypes([]Type{{Addr: 1, Name: "int", Fields: []TypeField{{Name: "x", Type: 2}}}}))
	f.Fuzz(func(t *testing.T, desc []byte) {
		ts, err := DecodeTypes(desc)
		if err != nil {
			if ts != nil {
				t.Fatal("types with an error")
			}
			return
		}
		again, err := DecodeTypes(EncodeTypes(ts))
		if err != nil || len(ts) > 0 && !reflect.DeepEqual(again, ts) {
			t.Fatalf("types do not survive: %v", err)
		}
	})
}
