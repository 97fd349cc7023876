//go:build linux && (amd64 || arm64) && !meminspect_off

package kinfo

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/kinfo"
)

func TestBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kinfo")
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var x int
	id, err := meminspect.Register(meminspect.IDDynamic, &x)
	if err != nil {
		t.Fatal(err)
	}
	meminspect.Unregister(id)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := kinfo.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	pc, _, _, _ := runtime.Caller(0)
	if uint64(pc) < info.Address[kinfo.Text] || uint64(pc) >= info.Address[kinfo.EText] || info.NumSyms < 1000 || info.NumSyms > 100000 || info.Release != runtime.Version() || info.BitPerLong != 64 {
		t.Errorf("%+v", info)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
	if _, err := Open(filepath.Join(path, "below")); err == nil {
		t.Error("written below a file")
	}
}
