//go:build linux && (amd64 || arm64) && !meminspect_off

package coreimage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

// Excluded memory is in no core, wherever it is and whatever is registered
// there. It is marked, and a receipt reports it.
func TestExclusions(t *testing.T) {
	// A linked table cannot be unlinked: use a separate process, so that it does
	// not disturb other tests.
	if os.Getenv("EXCLUSIONS_ALONE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestExclusions$")
		cmd.Env = append(os.Environ(), "EXCLUSIONS_ALONE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	secret := [8]byte{0x53, 0x65, 0x63, 0x72, 0x65, 0x74, 0x21, 0x99}
	heap := new(struct {
		Before uint64
		Secret [8]byte
		After  uint64
	})
	heap.Before, heap.Secret, heap.After = 1, secret, 2
	held := append([]byte("prefix"), secret[:]...)
	initialised = binary.NativeEndian.Uint64(secret[:])
	neighbours.B = initialised
	keyring = held[6:]
	x1, err1 := meminspect.Exclude(&heap.Secret)
	x2, err2 := meminspect.Exclude(&initialised)
	x3, err3 := meminspect.Exclude(&neighbours.B)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	defer meminspect.UnregisterAll(x1, x2, x3)
	table := &meminspectimpl.Table{
		Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion, Package: "p",
		Exclusions: []meminspectimpl.Exclusion{{Kind: meminspectimpl.ExcludeVariable, Var: &keyring, Package: "p", Type: "keyring"}},
	}
	meminspectimpl.Link(table)

	rows := new([4]uint64)
	x4, err4 := meminspect.Exclude(&rows[0])
	x5, err5 := meminspect.Exclude(&rows[2])
	if err := errors.Join(err4, err5); err != nil {
		t.Fatal(err)
	}
	defer meminspect.UnregisterAll(x4, x5)
	many := register(t, rows)

	id := register(t, heap)
	register(t, &initialised)
	register(t, &neighbours)
	all, err := meminspect.RegisterSlice(meminspect.IDDynamic, held)
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(all)
	for _, opts := range [][]Option{nil, {Strict()}, {Data()}} {
		var buf bytes.Buffer
		if err := Write(&buf, opts...); err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(buf.Bytes(), secret[:]); i >= 0 {
			t.Errorf("the secret is at byte %d", i)
		}
		f, err := elfcore.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var b [24]byte
		if _, err := f.ReadMemory(uint64(uintptr(unsafe.Pointer(heap))), b[:]); err != nil || b[0] != 1 || b[8] != elfcore.MarkByte || b[16] != 2 {
			t.Errorf("%v, %v", b, err)
		}
		rs := regionsOf(t, f)
		if r := rs[uint64(id)]; r.Status != note.Redacted || r.Captured != 16 {
			t.Errorf("%v, %d bytes", r.Status, r.Captured)
		}
		if r := rs[uint64(all)]; r.Status != note.Redacted || r.Captured != 6 {
			t.Errorf("what an excluded slice holds: %v, %d bytes", r.Status, r.Captured)
		}
		desc, ok := f.Note(note.Owner, note.TypeReceipts)
		receipts, err := note.DecodeReceipts(desc)
		if !ok || err != nil || len(receipts) < 4 {
			t.Errorf("receipts: %+v, %v", receipts, err)
		}
		// One receipt covers many places of a region.
		i := slices.IndexFunc(receipts, func(r note.Receipt) bool { return r.ID == uint64(many) })
		if i < 0 || receipts[i].Count != 2 || receipts[i].Size != 16 || receipts[i].Addr != 0 {
			t.Errorf("receipts: %+v", receipts)
		}
		if i := slices.IndexFunc(receipts, func(r note.Receipt) bool { return r.ID == uint64(id) }); i < 0 || receipts[i].Count != 1 || receipts[i].Addr == 0 {
			t.Errorf("receipts: %+v", receipts)
		}
	}
}

var keyring []byte

type (
	account struct {
		User string
		Keys []([]byte)               // excluded
		Card *card                    // excluded
		Owns [2]struct{ Name string } // the second is excluded
	}
	card struct {
		Number [16]byte
		Holder string
		Next   *card
	}
)

// What an excluded field refers to directly is in no core either, even if it is
// registered elsewhere. Memory further away is not covered by the exclusion.
func TestExcludedFieldsHold(t *testing.T) {
	if os.Getenv("EXCLUSIONS_ALONE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestExcludedFieldsHold$")
		cmd.Env = append(os.Environ(), "EXCLUSIONS_ALONE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var bytesHeld [][]byte
	text := func(s string) string { // on the heap, and registered
		b := []byte(s)
		bytesHeld = append(bytesHeld, b)
		return unsafe.String(&b[0], len(b))
	}
	roomy := append(make([]byte, 0, 64), "key with room"...)
	copy(roomy[:64][40:], "SECRET room")
	bytesHeld = append(bytesHeld, roomy[:64])
	one := &card{Holder: text("SECRET holder"), Next: &card{Holder: text("visible next")}}
	copy(one.Number[:], "SECRET 4711 0815")
	people := []account{{User: text("visible user"), Keys: [][]byte{[]byte("SECRET key A"), roomy}, Card: one}, {}}
	bytesHeld = append(bytesHeld, people[0].Keys[0])
	people[1].Owns[1].Name = text("SECRET name")
	for _, b := range bytesHeld {
		if _, err := meminspect.RegisterSlice(meminspect.IDDynamic, b); err != nil {
			t.Fatal(err)
		}
	}
	register(t, one)
	register(t, one.Next)
	if _, err := meminspect.RegisterSlice(meminspect.IDDynamic, people); err != nil {
		t.Fatal(err)
	}
	var a account
	field := func(name string, p unsafe.Pointer, size uintptr) meminspectimpl.Exclusion {
		return meminspectimpl.Exclusion{
			Kind: meminspectimpl.ExcludeField, Var: (*account)(nil), Offset: uint64(uintptr(p) - uintptr(unsafe.Pointer(&a))), Size: uint64(size),
			Package: "p", Type: "account", Field: name,
		}
	}
	meminspectimpl.Link(&meminspectimpl.Table{
		Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion, Package: "p",
		Exclusions: []meminspectimpl.Exclusion{
			field("Keys", unsafe.Pointer(&a.Keys), unsafe.Sizeof(a.Keys)),
			field("Card", unsafe.Pointer(&a.Card), unsafe.Sizeof(a.Card)),
			field("Owns", unsafe.Pointer(&a.Owns[1]), unsafe.Sizeof(a.Owns[1])),
		},
	})
	var buf bytes.Buffer
	if err := Write(&buf); err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(buf.Bytes(), []byte("SECRET")); i >= 0 {
		t.Errorf("%q at byte %d", buf.Bytes()[i:i+16], i)
	}
	for _, want := range []string{"visible user", "visible next"} {
		if !bytes.Contains(buf.Bytes(), []byte(want)) {
			t.Errorf("no %q: more was redacted than the excluded fields hold", want)
		}
	}
	runtime.KeepAlive(people)
}
