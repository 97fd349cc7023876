package note

import (
	"reflect"
	"testing"
)

func TestAttached(t *testing.T) {
	want := AttachedFile{Path: "etc/shop.yaml", Size: 1 << 40, Data: []byte("a: b\n")}
	extra := want.Extra()
	read, err := DecodeExtra(extra.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := read.Attached(); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	for _, other := range []Extra{{Name: ExtraProcess, Data: make([]byte, 9)}, {Name: ExtraFile + "x", Data: make([]byte, 7)}} {
		if got, ok := other.Attached(); ok {
			t.Errorf("%+v is the file %+v", other, got)
		}
	}
}
