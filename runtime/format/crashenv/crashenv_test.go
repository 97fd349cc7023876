package crashenv

import (
	"bytes"
	"testing"
)

// Parse accepts what Value writes, and nothing else.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"3:1", "17:48151623", "", ":", "3:", ":3", "2:5", "03:5", "3:05", "+3:5", "3:5 ", "3:5:6", "9999999999:5", "3:18446744073709551615", "3:18446744073709551616", "3:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fd, inode, ok := Parse(s)
		if !ok {
			if fd != 0 || inode != 0 {
				t.Fatalf("%q: refused, yet %d and %d", s, fd, inode)
			}
			return
		}
		if fd < 3 || inode == 0 || Value(fd, inode) != s {
			t.Fatalf("%q: read as %d and %d", s, fd, inode)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	fd, inode, ok := Parse(Value(57, 1<<63))
	if !ok || fd != 57 || inode != 1<<63 {
		t.Fatal(fd, inode, ok)
	}
}

// ParseRegistration accepts what Encode writes, and nothing else.
func FuzzRegistration(f *testing.F) {
	f.Add(Registration{Filled: 5, Inode: 4711}.Encode())
	f.Add([]byte{})
	f.Add(make([]byte, RegistrationSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := ParseRegistration(b)
		if ok && (!bytes.Equal(r.Encode(), b) || r.Filled == 0 || r.Inode == 0) {
			t.Fatalf("%x: read as %+v", b, r)
		}
		if !ok && r != (Registration{}) {
			t.Fatalf("%x: refused, yet %+v", b, r)
		}
	})
}

// A message is a registration, a request to look, or neither.
func TestLook(t *testing.T) {
	look, registration := EncodeLook(), Registration{Filled: 5, Inode: 4711}.Encode()
	if !IsLook(look) || IsLook(registration) || IsLook(nil) || IsLook(append(look, 0)) || IsLook(registration[:len(look)]) {
		t.Error("a request to look is taken for a registration")
	}
	if r, ok := ParseRegistration(look); ok {
		t.Errorf("a request to look is a registration: %+v", r)
	}
}
