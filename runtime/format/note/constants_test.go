package note

import (
	"reflect"
	"testing"
)

// Any bytes decode to a value or an error, never both, without a panic. A value
// survives encoding and decoding.
func FuzzConstants(f *testing.F) {
	f.Add(EncodeConstants([]Constant{{"example.com/p", "state", "idle", -1}, {"main", "size", "largest", 1<<63 - 1}}))
	f.Fuzz(func(t *testing.T, desc []byte) {
		cs, err := DecodeConstants(desc)
		if err != nil {
			if cs != nil {
				t.Fatal("constants with an error")
			}
			return
		}
		again, err := DecodeConstants(EncodeConstants(cs))
		if err != nil || len(cs) > 0 && !reflect.DeepEqual(again, cs) {
			t.Fatalf("constants do not survive: %v", err)
		}
	})
}
