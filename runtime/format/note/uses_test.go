package note

import (
	"reflect"
	"testing"
)

// Any bytes decode to a value or an error, never both, without a panic. A value
// survives encoding and decoding.
func FuzzUses(f *testing.F) {
	f.Add(EncodeUses([]Use{{0x401000, 0x5a0000}, {0x402000, 0x5a0008}}))
	f.Fuzz(func(t *testing.T, desc []byte) {
		us, err := DecodeUses(desc)
		if err != nil {
			if us != nil {
				t.Fatal("uses with an error")
			}
			return
		}
		again, err := DecodeUses(EncodeUses(us))
		if err != nil || len(us) > 0 && !reflect.DeepEqual(again, us) {
			t.Fatalf("uses do not survive: %v", err)
		}
	})
}
