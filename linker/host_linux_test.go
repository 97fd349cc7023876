package linker_test

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/linker"
)

func ownerOf(info os.FileInfo) [2]uint32 {
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}

// setAttribute sets an extended attribute and reports whether the file system
// supports it.
func setAttribute(path, name, value string) bool {
	return unix.Setxattr(path, name, []byte(value), 0) == nil
}

func getAttribute(path, name string) string {
	b := make([]byte, 64)
	n, err := unix.Getxattr(path, name, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func mustVersion(t *testing.T, text string) module.Version {
	t.Helper()
	v, err := module.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// functionBytes returns the code of a function.
func functionBytes(t *testing.T, p *linker.Program, name string) []byte {
	t.Helper()
	prog, err := module.OfFile(p.File())
	if err != nil {
		t.Fatal(err)
	}
	functions, err := prog.Modules[0].Functions(p.File())
	if err != nil {
		t.Fatal(err)
	}
	for i := range functions.Len() {
		f, err := functions.Func(i)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == name {
			b, err := memory.Reader{Memory: p.File()}.Bytes(f.Range.Start, f.Range.Size(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("no function %s", name)
	return nil
}
