package walk_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// The tests below exclude these types, and check their neighbours.
type (
	account struct {
		Name  string
		key   []byte
		small struct{ pin, open uint16 }
	}
	token      [8]byte
	box[T any] struct {
		Label  string
		hidden T
	}
	vault[T any] struct{ content T }
	holder       struct {
		Accounts []*account
		ByName   map[string]account
		Tokens   map[string]token
		Any      any
		Box      box[*[16]byte]
		Vault    *vault[map[string]string]
		Deep     *holder
		Chan     chan token
		Pins     [5]struct {
			pin  byte
			open byte
		}
		Alias []byte
	}
)

const testPackage = "github.com/meminspect/meminspect/internal/walk_test"

// escaped moves walked values from stacks to the heap, because stacks move when
// they grow.
var escaped any

// rootOf makes a root of what ptr points at in this process.
func rootOf(tb testing.TB, types *gotypes.Set, ptr any, depth int) walk.Root {
	tb.Helper()
	escaped = ptr
	words := *(*[2]memory.Address)(unsafe.Pointer(&ptr))
	typ, err := types.At(words[0])
	if err != nil {
		tb.Fatal(err)
	}
	elem, err := typ.Elem()
	if err != nil {
		tb.Fatal(err)
	}
	return walk.Root{Addr: words[1], Type: elem, Depth: depth}
}

func addrOf[T any](p *T) memory.Address { return memory.Address(uintptr(unsafe.Pointer(p))) }

func fieldOf(tb testing.TB, typ *gotypes.Type, name string) walk.Exclusion {
	tb.Helper()
	f, ok := typ.Field(name)
	if !ok {
		tb.Fatalf("%v has no field %s", typ, name)
	}
	return walk.Exclusion{Kind: anchor.ExcludeField, Type: typ, Offset: f.Offset, Size: f.Type.Size, Field: name}
}

// Every kind of exclusion covers the value itself and what it refers to
// directly, and nothing more.
func TestExclusions(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	ann := &account{Name: "ann", key: []byte("key of ann"), small: struct{ pin, open uint16 }{0x1111, 0x2222}}
	spare := make([]byte, 4, 64)
	bob := account{Name: "bob", key: spare}
	h := &holder{
		Accounts: []*account{ann}, ByName: map[string]account{"bob": bob},
		Tokens: map[string]token{"one": {1, 2, 3, 4, 5, 6, 7, 8}}, Any: token{9, 9, 9},
		Box: box[*[16]byte]{"box", new([16]byte)}, Vault: &vault[map[string]string]{map[string]string{"name of a secret": string([]byte("a secret"))}},
		Deep: &holder{Deep: &holder{Deep: &holder{Any: &account{Name: "deep", key: []byte("deep key")}}}}, Chan: make(chan token, 2),
	}
	h.Chan <- token{7, 7, 7}
	h.Alias = h.Deep.Deep.Deep.Any.(*account).key
	hidden := []byte("a variable's bytes")
	aliasOfHidden := hidden[2:9]
	raw := new([64]byte)
	plain := map[string][]byte{"open": []byte("open text")}

	root := rootOf(t, self.Types, h, 2)
	accountType := rootOf(t, self.Types, ann, 0).Type
	smallType := mustField(t, accountType, "small").Type
	pins := mustField(t, root.Type, "Pins").Type
	pin, err := pins.Elem()
	if err != nil {
		t.Fatal(err)
	}
	cfg := walk.Config{
		Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Main: "example.com/main",
		Roots: []walk.Root{root, rootOf(t, self.Types, &aliasOfHidden, 3), rootOf(t, self.Types, raw, 0), rootOf(t, self.Types, &plain, 4), rootOf(t, self.Types, &hidden, 4)},
		Exclusions: []walk.Exclusion{
			fieldOf(t, accountType, "key"),
			fieldOf(t, smallType, "pin"),
			{Kind: anchor.ExcludeType, Type: rootOf(t, self.Types, &token{}, 0).Type},
			{Kind: anchor.ExcludeGenericField, Package: testPackage, Name: "box", Field: "hidden"},
			{Kind: anchor.ExcludeGenericType, Package: testPackage, Name: "vault"},
			{Kind: anchor.ExcludeVariable, Addr: addrOf(&hidden), Type: rootOf(t, self.Types, &hidden, 0).Type},
			{Addr: addrOf(raw) + 8, Size: 16},
			fieldOf(t, pin, "pin"),
		},
	}
	res, err := walk.Walk(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := res.Redactor
	if !e.Active || e.Blind != 0 {
		t.Errorf("active %v, %d values were not searched", e.Active, e.Blind)
	}
	tokens := tokensIn(t, self, h)
	for _, c := range []struct {
		name     string
		addr     memory.Address
		size     uint64
		redacted bool
	}{
		{"a field", addrOf(&ann.key), 24, true},
		{"its bytes", addrOf(&ann.key[0]), 10, true},
		{"beside it", addrOf(&ann.Name), 16, false},
		{"a field of a nested struct", addrOf(&ann.small.pin), 2, true},
		{"beside that", addrOf(&ann.small.open), 2, false},
		{"spare capacity after a value in a map", addrOf(&spare[0]), 64, true},
		{"a value in a map", tokens, 8, true},
		{"a value in an interface", ifaceData(&h.Any), 8, true},
		{"a generic type's field", addrOf(&h.Box.hidden), 8, true},
		{"its target", addrOf(h.Box.hidden), 16, true},
		{"beside it", addrOf(&h.Box.Label), 16, false},
		{"a generic type", addrOf(h.Vault), 8, true},
		{"the text in its map", textIn(h.Vault.content), 8, true},
		{"a channel's buffer", chanBuffer(h.Chan), 16, true},
		{"deeper than the walk goes, by its alias", addrOf(&h.Alias[0]), 8, true},
		{"the alias itself", addrOf(&h.Alias), 24, false},
		{"a variable", addrOf(&hidden), 24, true},
		{"its bytes by an alias", addrOf(&aliasOfHidden[0]), 7, true},
		{"a range", addrOf(raw) + 8, 16, true},
		{"around it", addrOf(raw), 8, false},
		{"a small field of the third of an array", addrOf(&h.Pins[2].pin), 1, true},
		{"beside it", addrOf(&h.Pins[2].open), 1, false},
		{"what is not excluded", addrOf(&plain["open"][0]), 9, false},
	} {
		r := memory.RangeOf(c.addr, c.size)
		if got := e.Ranges.Overlap(r).Size(); c.redacted && got != c.size || !c.redacted && got != 0 {
			t.Errorf("%s: %d of %d bytes are redacted", c.name, got, c.size)
		}
		image := make([]byte, c.size)
		excluded, unknown := e.Apply(c.addr, image)
		if c.redacted && excluded != c.size || !c.redacted && (excluded != 0 || unknown != 0) {
			t.Errorf("%s: applied to an image, %d bytes are excluded and %d unknown", c.name, excluded, unknown)
		}
	}
	// Excluded values are not followed, and memory of unknown type is not
	// captured.
	if end := res.Roots[4]; end.State != walk.Redacted {
		t.Errorf("an annotated variable that is excluded ends %v", end.State)
	}
	image := []byte("sixteen bytes...")
	if _, unknown := e.Apply(0x1234, image); unknown != 16 || image[0] != walk.MarkByte || image[15] != walk.MarkByte {
		t.Errorf("%d unknown bytes were marked: %x", unknown, image)
	}
	e.Allow(memory.Ranges{memory.RangeOf(0x1234, 8)})
	image = []byte("sixteen bytes...")
	if _, unknown := e.Apply(0x1234, image); unknown != 8 || string(image[:8]) != "sixteen " {
		t.Errorf("%d unknown bytes were marked: %q", unknown, image)
	}
	for i, r := range e.Receipts {
		if r.Bytes == 0 || r.Exclusion != i {
			t.Errorf("receipt %d: %+v", i, r)
		}
	}
	runtime.KeepAlive(h)
}

func mustField(tb testing.TB, typ *gotypes.Type, name string) gotypes.Field {
	tb.Helper()
	f, ok := typ.Field(name)
	if !ok {
		tb.Fatalf("%v has no field %s", typ, name)
	}
	return f
}

func ifaceData(p *any) memory.Address {
	return (*[2]memory.Address)(unsafe.Pointer(p))[1]
}

func textIn(m map[string]string) memory.Address {
	for _, v := range m {
		return memory.Address(uintptr(unsafe.Pointer(unsafe.StringData(v))))
	}
	return 0
}

func chanBuffer(c chan token) memory.Address {
	const buf = 16 // in runtime.hchan
	return *(*memory.Address)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&c)), buf))
}

// tokensIn finds the only value of a map: after the key in the group's slot.
func tokensIn(tb testing.TB, self *kinds.Program, h *holder) memory.Address {
	tb.Helper()
	f := mustField(tb, rootOf(tb, self.Types, h, 0).Type, "Tokens")
	m, err := goobject.MapOf(f.Type)
	if err != nil {
		tb.Fatal(err)
	}
	read := func(addr memory.Address, size uint64) ([]byte, bool) {
		b, err := memory.Reader{Memory: self.Mem}.Bytes(addr, size, size)
		return b, err == nil
	}
	data, _ := read(*(*memory.Address)(unsafe.Pointer(&h.Tokens)), goobject.MapHeaderSize)
	header, err := m.Header(data)
	if err != nil {
		tb.Fatal(err)
	}
	for piece := range m.Pieces(header, read, 1<<20) {
		for _, elem := range m.Entries(piece) {
			return elem
		}
	}
	tb.Fatal("the map is empty")
	return 0
}

// An exclusion that cannot be applied ends the walk, because the memory that it
// covers is unknown.
func TestExclusionsThatSayTooLittle(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	for _, e := range []walk.Exclusion{{Kind: 99}, {Kind: anchor.ExcludeVariable}, {Kind: anchor.ExcludeType}, {Kind: anchor.ExcludeField}, {Kind: anchor.ExcludeGenericType}, {Kind: anchor.ExcludeGenericField, Name: "x"}} {
		if _, err := walk.Walk(context.Background(), walk.Config{Memory: self.Mem, Types: self.Types, Exclusions: []walk.Exclusion{e}}); err == nil {
			t.Errorf("%+v was accepted", e)
		}
	}
}

func TestSkeleton(t *testing.T) {
	image := make([]byte, 45)
	put := func(off int, v uint64) { *(*uint64)(unsafe.Pointer(&image[off])) = v }
	for i := range image {
		image[i] = byte(i + 1)
	}
	put(3, 0x401000)    // code
	put(11, 0x7008)     // in the stack
	put(19, 0x8000)     // its end
	put(27, 0x402000)   // after the code
	put(35, 0xc0001000) // known
	known := func(addr memory.Address) bool { return addr == 0xc0001000 }
	kept := walk.Skeleton(0x6ffd, image, memory.Range{Start: 0x6000, End: 0x8000}, []memory.Range{{Start: 0x401000, End: 0x402000}}, known)
	if kept != 4 {
		t.Errorf("%d words were kept", kept)
	}
	for _, c := range []struct {
		off  int
		want uint64
	}{{3, 0x401000}, {11, 0x7008}, {19, 0x8000}, {27, 0xa5a5a5a5a5a5a5a5}, {35, 0xc0001000}} {
		if got := *(*uint64)(unsafe.Pointer(&image[c.off])); got != c.want {
			t.Errorf("the word at %d is %#x, want %#x", c.off, got, c.want)
		}
	}
	for _, i := range []int{0, 1, 2, 43, 44} {
		if image[i] != walk.MarkByte {
			t.Errorf("byte %d is %#x", i, image[i])
		}
	}
}
