package ramoops

import "testing"

// FuzzRead: an error comes alone, and a zone never has more text than room.
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
