package note

import (
	"reflect"
	"testing"
)

func TestWaits(t *testing.T) {
	want := []Wait{
		{Goroutine: 7, Object: 0xc000012000, Flags: WaitChannel | WaitSend | WaitSelect, Elem: "main.job", Len: 2, Cap: 3},
		{Goroutine: 8, Object: 0x5a0004},
	}
	got, err := DecodeWaits(EncodeWaits(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Any bytes decode to a value or an error, never both, without a panic. A value
// survives encoding and decoding.
func FuzzWaits(f *testing.F) {
	f.Add(EncodeWaits([]Wait{{Goroutine: 1, Elem: "int"}}))
	f.Fuzz(func(t *testing.T, desc []byte) {
		ws, err := DecodeWaits(desc)
		if err != nil {
			if ws != nil {
				t.Fatal("waits with an error")
			}
			return
		}
		again, err := DecodeWaits(EncodeWaits(ws))
		if err != nil || len(ws) > 0 && !reflect.DeepEqual(again, ws) {
			t.Fatalf("waits do not survive: %v", err)
		}
	})
}
