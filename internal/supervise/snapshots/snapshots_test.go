//go:build linux

package snapshots

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile"
)

func snapshot(n int) Snapshot {
	mark := NewMark()
	return Snapshot{When: time.Unix(int64(n), 5), Program: "prog", PID: n, Mark: mark,
		Core: fmt.Appendf(nil, "core %d, %s, the end", n, mark)}
}

func TestKeepers(t *testing.T) {
	file, err := File(t.TempDir(), 3, 1000, corefile.Form{})
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := File(t.TempDir(), 3, 1000, corefile.Form{Recipients: []age.Recipient{identity(t).Recipient()}})
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Keeper{"memory": Memory(3, 1000), "file": file, "encrypted file": encrypted} {
		t.Run(name, func(t *testing.T) {
			for n := range 8 {
				s := snapshot(n)
				if err := k.Put(s); err != nil {
					t.Fatal(err)
				}
				last, err := k.Last()
				if err != nil || len(last) != min(n+1, 3) {
					t.Fatalf("%d kept, %v", len(last), err)
				}
				for i, got := range last {
					if got.PID != n-i || !got.When.Equal(time.Unix(int64(n-i), 5)) || got.Program != "prog" {
						t.Errorf("after %d, number %d is %+v", n, i, got)
					}
				}
				if !bytes.Equal(last[0].Core, s.Core) || last[0].Mark != s.Mark {
					t.Errorf("%q came back as %q", s.Core, last[0].Core)
				}
			}
			if err := k.Put(Snapshot{Core: make([]byte, 1001)}); !errors.Is(err, ErrTooLarge) {
				t.Errorf("one that is too large: %v", err)
			}
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What a dead supervisor left of cores that are encrypted has no byte of one in the
// clear, and gives the core with the time when it was taken.
func TestEncrypted(t *testing.T) {
	for _, compress := range []bool{false, true} {
		key, dir := identity(t), t.TempDir()
		form := corefile.Form{Recipients: []age.Recipient{key.Recipient()}, Compress: compress}
		k, err := File(dir, 2, 1000, form)
		if err != nil {
			t.Fatal(err)
		}
		s := snapshot(1)
		if err := k.Put(s); err != nil {
			t.Fatal(err)
		}
		file := k.(*sealed).file.f
		data, err := os.ReadFile(file.Name())
		if err != nil || bytes.Contains(data, []byte("core 1")) || bytes.Contains(data, []byte("the end")) {
			t.Errorf("%v: the file has the core in the clear", err)
		}
		file.Close() // which unlocks
		published := 0
		err = Orphans(dir, func(got Snapshot) error {
			published++
			path := filepath.Join(t.TempDir(), "core"+got.Suffix)
			if err := os.WriteFile(path, got.Core, 0o600); err != nil {
				return err
			}
			f, err := corefile.Open(path, corefile.OpenOptions{Identities: []age.Identity{key}})
			if err != nil {
				return err
			}
			defer f.Close()
			text, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
			if want := fmt.Sprintf("core 1, %-36s, the end", "taken at 1970-01-01T00:00:01Z"); string(text) != want || got.Suffix != form.Suffix() {
				t.Errorf("core%s: %q, want %q", got.Suffix, text, want)
			}
			return err
		})
		if err != nil || published != 1 {
			t.Errorf("published %d: %v", published, err)
		}
	}
}

func TestStamp(t *testing.T) {
	s := snapshot(1)
	before := len(s.Core)
	s.Stamp("1.5s before the end")
	if want := fmt.Sprintf("core 1, %-36s, the end", "1.5s before the end"); string(s.Core) != want || len(s.Core) != before {
		t.Errorf("%q", s.Core)
	}
	s.Stamp("again") // no mark is left
}

// What a dead supervisor left is published once, what a living one keeps is not
// touched, and a partly written snapshot does not count as complete.
func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	k, err := File(dir, 2, 1000, corefile.Form{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := k.Put(snapshot(n)); err != nil {
			t.Fatal(err)
		}
	}
	var published []int
	publish := func(s Snapshot) error { published = append(published, s.PID); return nil }
	if err := Orphans(dir, publish); err != nil || published != nil {
		t.Fatalf("of a living supervisor: %v, %v", published, err)
	}
	f := k.(*file)
	// Overwrite half of the newest, like a writer that died.
	if _, err := f.f.WriteAt([]byte("broken"), f.slot(3%2)+slotHeader+2); err != nil {
		t.Fatal(err)
	}
	f.f.Close() // unlocks
	broken := errors.New("no room")
	if err := Orphans(dir, func(Snapshot) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failure was not reported: %v", err)
	}
	for range 2 {
		if err := Orphans(dir, publish); err != nil {
			t.Error(err)
		}
	}
	if len(published) != 1 || published[0] != 1 {
		t.Errorf("published %v", published)
	}
	if left, _ := filepath.Glob(dir + "/.*"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// A file whose supervisor died before writing it is removed after a time, and
// one that is being made is not touched.
func TestHalfMade(t *testing.T) {
	dir := t.TempDir()
	publish := func(Snapshot) error { t.Error("something was published"); return nil }
	for name, content := range map[string]string{"empty": "", "zeros": strings.Repeat("\x00", 5000), "other": strings.Repeat("x", 5000)} {
		path := filepath.Join(dir, prefix+name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, age := range []time.Duration{0, 2 * half} {
			then := time.Now().Add(-age)
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
			if err := Orphans(dir, publish); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := os.Stat(path); (err == nil) != (age == 0) {
				t.Errorf("%s, %v old: %v", name, age, err)
			}
		}
	}
}

func TestNoRoom(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("mounting a small tmpfs: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	if _, err := File(dir, 2, 1<<20, corefile.Form{}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more than there is was promised: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// A file of any content gives complete snapshots or an error, in bounded
// memory.
func FuzzRead(f *testing.F) {
	k, err := File(f.TempDir(), 2, 200, corefile.Form{})
	if err != nil {
		f.Fatal(err)
	}
	if err := k.Put(snapshot(1)); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(k.(*file).f.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:headerSize])
	f.Add([]byte(magic + "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(bytes.NewReader(data), int64(len(data)), "data")
		if err != nil && got != nil {
			t.Fatal("an error, and snapshots too")
		}
		for _, s := range got {
			if len(s.Core) > len(data) {
				t.Fatalf("%d bytes of %d", len(s.Core), len(data))
			}
		}
	})
}
