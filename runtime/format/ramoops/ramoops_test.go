package ramoops

import (
	"strings"
	"testing"
)

// Text with the signature at the start of a page, for example from a program's
// log, stays text: of a console, of a dump, and of the Go runtime.
func TestSignatureInText(t *testing.T) {
	text := strings.Repeat("DBGC", 3*PageSize/4)
	for _, size := range []int{len(text), 0} {
		b := make([]byte, 6*PageSize)
		le.PutUint32(b, Signature)
		le.PutUint32(b[OffSize:], uint32(size))
		copy(b[OffData:], text)
		le.PutUint32(b[4*PageSize:], Signature)
		le.PutUint32(b[4*PageSize+OffSize:], 4)
		copy(b[4*PageSize+OffData:], "next")
		zones, err := Read(b)
		if err != nil || len(zones) != 2 {
			t.Fatalf("size %d: %d zones, %v", size, len(zones), err)
		}
		if z := zones[0]; z.Text != text || z.Torn || z.Capacity != 4*PageSize-OffData {
			t.Errorf("size %d: %v, %d bytes of %d, torn %v", size, z.Kind, len(z.Text), z.Capacity, z.Torn)
		}
		if z := zones[1]; z.Text != "next" || z.Offset != 4*PageSize {
			t.Errorf("size %d: the next zone: %+v", size, z)
		}
	}
}

// FuzzRead: an error comes with no zones, and a zone never has more text than
// capacity.
func FuzzRead(f *testing.F) {
	b := make([]byte, 2*PageSize)
	le.PutUint32(b, Signature)
	le.PutUint32(b[OffSize:], 30)
	copy(b[OffData:], "====1700000000.000001-D\nreason")
	le.PutUint32(b[PageSize:], Signature)
	copy(b[PageSize+OffData:], "panic")
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		zones, err := Read(b)
		if err != nil && zones != nil {
			t.Fatal("zones with an error")
		}
		for _, z := range zones {
			if len(z.Text) > z.Capacity || z.Offset+int64(OffData+z.Capacity) > int64(len(b)) {
				t.Fatalf("%+v in %d bytes", z, len(b))
			}
		}
	})
}
