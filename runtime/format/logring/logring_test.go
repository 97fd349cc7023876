package logring

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// appendRecord encodes a record like a writer.
func appendRecord(b []byte, pos, seq uint64, message string, tokens []byte) []byte {
	r := make([]byte, RecMessage)
	le.PutUint64(r, pos)
	le.PutUint64(r[RecTime:], 12345)
	le.PutUint64(r[RecSequence:], seq)
	r = le.AppendUint32(r, uint32(len(message)))
	r = append(r, message...)
	r = append(r, tokens...)
	le.PutUint32(r[RecLength:], uint32(len(r)))
	le.PutUint32(r[RecChecksum:], Checksum(r))
	for len(r)%8 != 0 {
		r = append(r, 0)
	}
	return append(b, r...)
}

func ring(size, head uint64) []byte {
	b := make([]byte, HeaderSize+size)
	le.PutUint64(b, Magic)
	le.PutUint32(b[OffVersion:], Version)
	le.PutUint32(b[OffHeader:], HeaderSize)
	le.PutUint64(b[OffSize:], size)
	le.PutUint64(b[OffHead:], head)
	return b
}

func TestRead(t *testing.T) {
	tokens := []byte{TokenOpen, 1, 0, 'g', TokenBool, 1, 0, 'b', 1, 0, 0, 0, 0, 0, 0, 0, TokenClose, 0, 0, TokenString, 1, 0, 's', 2, 0, 0, 0, 'x', 'y'}
	data := appendRecord(nil, 0, 1, "one", tokens)
	second := uint64(len(data))
	data = appendRecord(data, second, 2, "two", nil)
	b := ring(512, uint64(len(data)))
	copy(b[HeaderSize:], data)
	want := []Record{
		{Position: 0, Sequence: 1, Time: time.Unix(0, 12345), Message: "one", Attrs: []Attr{{"g", []Attr{{"b", true}}}, {"s", "xy"}}},
		{Position: second, Sequence: 2, Time: time.Unix(0, 12345), Message: "two"},
	}
	got, lost, err := Read(b)
	if err != nil || lost != 0 || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %d lost, %v", got, lost, err)
	}
	// A changed byte loses its record and no other.
	b[HeaderSize+RecMessage+5]++
	got, lost, err = Read(b)
	if err != nil || lost != second || len(got) != 1 || got[0].Message != "two" {
		t.Errorf("%+v, %d lost, %v", got, lost, err)
	}
	// Read skips the room that a writer reserved before it died.
	le.PutUint64(b[OffHead:], uint64(len(data))+128)
	if got, _, err := Read(b); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	b[OffVersion] = 9
	if _, _, err := Read(b); !errors.Is(err, ErrNotRing) {
		t.Errorf("%v", err)
	}
}

// FuzzRead: an error comes with no records; records are ordered by position, do
// not overlap, and are within the bounds of the header.
func FuzzRead(f *testing.F) {
	data := appendRecord(nil, 0, 1, "one", []byte{TokenOpen, 1, 0, 'g', TokenInt, 1, 0, 'b', 1, 0, 0, 0, 0, 0, 0, 0})
	data = appendRecord(data, uint64(len(data)), 2, "two", nil)
	b := ring(256, uint64(len(data)))
	copy(b[HeaderSize:], data)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		records, _, err := Read(b)
		if err != nil {
			if records != nil {
				t.Fatal("records with an error")
			}
			return
		}
		head := le.Uint64(b[OffHead:])
		at := uint64(0)
		for _, r := range records {
			if r.Position < at || r.Position+RecMessage > head {
				t.Fatalf("record at %d after %d, head %d", r.Position, at, head)
			}
			at = r.Position + RecMessage
		}
	})
}
