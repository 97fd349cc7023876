package note

import (
	"reflect"
	"testing"
)

func TestFunctions(t *testing.T) {
	want := []Function{
		{PC: 0x401005, Entry: 0x401000, Line: 7, Frame: 24, Name: "main.main", File: "/src/main.go"},
		{PC: 0x402005, Entry: 0x402000, Line: 9, Name: "main.work", File: "/src/main.go"},
		{},
	}
	got, err := DecodeFunctions(EncodeFunctions(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestGoroutines(t *testing.T) {
	want := &Goroutines{Stacks: StackSkeleton, All: 9, Captured: 7, List: 0xc000, Length: 9, PtrCell: 1, LenCell: 2, Failed: 3,
		Threads: []GoThread{{TID: 5, G: 6, Cur: 7}, {TID: 8}}}
	got, err := DecodeGoroutines(want.Encode())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Any bytes decode to a value or an error, never both, without a panic. A value
// survives encoding and decoding.
func FuzzGoroutineNotes(f *testing.F) {
	f.Add(EncodeFunctions([]Function{{PC: 1, Name: "a", File: "b"}}))
	f.Add((&Goroutines{All: 1, Threads: []GoThread{{TID: 1}}}).Encode())
	f.Fuzz(func(t *testing.T, desc []byte) {
		fs, err := DecodeFunctions(desc)
		if err != nil && fs != nil {
			t.Fatal("functions with an error")
		}
		if err == nil {
			again, err := DecodeFunctions(EncodeFunctions(fs))
			if err != nil || len(again) != len(fs) {
				t.Fatalf("functions do not survive: %v", err)
			}
		}
		g, err := DecodeGoroutines(desc)
		if err != nil && g != nil {
			t.Fatal("goroutines with an error")
		}
		if err == nil {
			again, err := DecodeGoroutines(g.Encode())
			if err != nil || !reflect.DeepEqual(again, g) {
				t.Fatalf("goroutines do not survive: %v", err)
			}
		}
	})
}
