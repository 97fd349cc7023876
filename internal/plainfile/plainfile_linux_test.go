package plainfile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Only regular files are opened, at once, and nothing is made or changed through
// what is in their place.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("file", in("link")), os.Symlink("made", in("dangling")), syscall.Mkfifo(in("pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, want := range map[string]error{
		"file": nil, "link": ErrSymlink, "dangling": ErrSymlink, "pipe": ErrNotRegular, "socket": syscall.ENXIO, "../" + filepath.Base(dir): ErrNotRegular,
		"none": fs.ErrNotExist,
	} {
		if f, err := Open(in(name)); !errors.Is(err, want) {
			t.Errorf("Open(%s): %v", name, err)
		} else if err == nil {
			f.Close()
		}
	}
	for name, want := range map[string]error{"link": ErrSymlink, "dangling": ErrSymlink, "new": nil} {
		if f, err := OpenFile(in(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); !errors.Is(err, want) {
			t.Errorf("OpenFile(%s): %v", name, err)
		} else if err == nil {
			f.Close()
		}
	}
	for _, made := range []string{"made"} {
		if _, err := os.Lstat(in(made)); err == nil {
			t.Errorf("%s was made", made)
		}
	}
	if f, err := OpenLink(in("link")); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if _, err := OpenLink("/dev/null"); !errors.Is(err, ErrNotRegular) {
		t.Error(err)
	}
	if b, err := Read(in("file"), 4); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Read(in("file"), 3); err == nil {
		t.Error("a file that is too long was read")
	}
}
