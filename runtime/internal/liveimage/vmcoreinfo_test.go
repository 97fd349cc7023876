//go:build linux && (amd64 || arm64) && !meminspect_off

package liveimage

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

type account struct {
	User  [8]byte
	Token [16]byte
	N     int64
}

var accounts [3]account

// The notes of an image are laid out like the kernel's: one PT_NOTE, which is
// the first program header. VMCOREINFO has one line per symbol, also for an
// array in several parts, whose address and length are those of the whole.
func TestVMCoreInfo(t *testing.T) {
	table := &registry.Table{
		Package: "example.com/p",
		Entries: []registry.Entry{{ID: anchor.NamedBit | 1, Name: "accounts", Expr: "accounts", Var: &accounts}},
		Exclusions: []registry.Exclusion{
			{Kind: anchor.ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(account{}.User)), Size: 8, Package: "p", Type: "account", Field: "User"},
			{Kind: anchor.ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(account{}.Token)), Size: 16, Package: "p", Type: "account", Field: "Token"},
		},
	}
	registry.Link(table)
	defer registry.Unlink(table)
	l := attachLive(t, 100)
	var x [2]int64
	for i := range x {
		id, err := meminspect.Register(meminspect.IDDynamic, &x[i], meminspect.Name("twice"))
		if err != nil {
			t.Fatal(err)
		}
		defer meminspect.Unregister(id)
	}

	file := concatenate(t, l)
	var noteHeaders []int
	count := int(file[56]) | int(file[57])<<8
	notes := elfcore.ParseProgram(file[64:])
	for i := range count {
		if p := elfcore.ParseProgram(file[64+56*i:]); p.Type == 4 {
			noteHeaders = append(noteHeaders, i)
		} else if p.Offset < notes.Offset+notes.FileSize {
			t.Errorf("memory of %#x is in front of the end of the notes, where crash does not look for notes", p.Addr)
		}
	}
	if len(noteHeaders) != 1 || noteHeaders[0] != 0 {
		t.Errorf("program headers %v of %d are PT_NOTE, want the first alone", noteHeaders, count)
	}
	f, err := elfcore.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	kernel := elfcore.VMCoreInfoNote(nil)
	text, ok := f.Note(kernel.Name, kernel.Type)
	if !ok {
		t.Fatal("no VMCOREINFO")
	}
	lines := map[string]int{}
	for line := range strings.Lines(string(text)) {
		key, _, _ := strings.Cut(line, "=")
		lines[key]++
	}
	for key, n := range lines {
		if n != 1 {
			t.Errorf("%d lines %s", n, key)
		}
	}
	info, err := vmcoreinfo.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Symbols["example.com/p.accounts"], uint64(uintptr(unsafe.Pointer(&accounts))); got != want {
		t.Errorf("accounts are at %#x, want %#x", got, want)
	}
	if n := info.Lengths["example.com/p.accounts"]; n != 3 {
		t.Errorf("accounts have %d elements", n)
	}
	if got, want := info.Symbols["twice"], uint64(uintptr(unsafe.Pointer(&x[0]))); got != want {
		t.Errorf("twice is at %#x, want that of the first, %#x", got, want)
	}
	id, err := hex.DecodeString(info.Fields["BUILD-ID"])
	if err != nil || len(id) < 8 {
		t.Fatalf("BUILD-ID is %q", info.Fields["BUILD-ID"])
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil || !bytes.Contains(exe, append([]byte("GNU\x00"), id...)) {
		t.Errorf("the executable has no GNU note with %x: %v", id, err)
	}
}
