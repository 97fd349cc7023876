//go:build !meminspect_off

package describe

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type point struct{ X, Y int32 }

var points [7]point

var table = meminspectimpl.Table{
	Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion, Package: "example.com/p",
	Entries: []meminspectimpl.Entry{{ID: 1 << 63, Name: "points", Expr: "points", Var: &points}},
	Layouts: []meminspectimpl.Layout{{Name: "point", Size: 8, Fields: []meminspectimpl.LayoutField{{Name: "Y", Offset: 4, Size: 4}}}},
	Numbers: []meminspectimpl.Number{{Name: "limit", Value: -3}},
	Constants: []meminspectimpl.Constants{
		{Names: []string{"low", "high"}, Values: &[...]level{-1, 1}},
		{Names: []string{"first", "last"}, Values: &[...]size{0, 1<<64 - 1}},
		{Names: []string{"nil"}}, {Names: []string{"no", "array"}, Values: new(level)}, // as no generator writes them
		{Names: []string{"text"}, Values: &[...]string{"x"}},
	},
}

type (
	level int8
	size  uint64
)

func TestText(t *testing.T) {
	meminspectimpl.Link(&table)
	var x int
	id, err := meminspect.Register(meminspect.IDDynamic, &x, meminspect.Name("dynamic"))
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(id)
	info, err := vmcoreinfo.Parse(Text())
	if err != nil {
		t.Fatal(err)
	}
	if info.Fields["GOVERSION"] != runtime.Version() || info.Fields["GOOS"] != runtime.GOOS || info.Fields["PAGESIZE"] == "" {
		t.Errorf("%v", info.Fields)
	}
	if info.Symbols["example.com/p.points"] != uint64(uintptr(unsafe.Pointer(&points))) || info.Symbols["dynamic"] != uint64(uintptr(unsafe.Pointer(&x))) {
		t.Errorf("%v", info.Symbols)
	}
	if info.Lengths["example.com/p.points"] != 7 || info.Sizes["example.com/p.point"] != 8 || info.Offsets["example.com/p.point.Y"] != 4 || info.Numbers["example.com/p.limit"] != -3 {
		t.Errorf("%+v", info)
	}
}

func TestConstants(t *testing.T) {
	meminspectimpl.Link(&table)
	const here = "github.com/meminspect/meminspect/runtime/internal/describe"
	want := []note.Constant{
		{PkgPath: here, Type: "level", Name: "low", Value: -1}, {PkgPath: here, Type: "level", Name: "high", Value: 1},
		{PkgPath: here, Type: "size", Name: "first"}, {PkgPath: here, Type: "size", Name: "last", Value: -1},
	}
	if got := Constants(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// The names of environment variables are among the regions, their values are
// not.
func TestRegister(t *testing.T) {
	t.Setenv("MEMINSPECT_TEST_NAME", "a-value-that-nobody-may-see")
	Register()
	Register()
	found := map[uint64]string{}
	for r := range meminspect.Regions() {
		if uint64(r.ID) < 100 {
			found[uint64(r.ID)] = string(unsafe.Slice((*byte)(r.Hold()), r.Size))
		}
	}
	if !strings.Contains(found[anchor.IDProcess], "MEMINSPECT_TEST_NAME") || !strings.Contains(found[anchor.IDBuildInfo], "go\t") || !strings.Contains(found[anchor.IDVMCoreInfo], "GOVERSION=") {
		t.Errorf("%q", found)
	}
	for id, text := range found {
		if strings.Contains(text, "a-value-that") || strings.Contains(text, os.Args[0]+" ") {
			t.Errorf("region %d: %q", id, text)
		}
	}
	if !bytes.Contains(Process(true), []byte("ARG0=")) {
		t.Error("arguments were asked for")
	}
}
