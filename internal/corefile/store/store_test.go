//go:build linux

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/plainfile"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, policy Policy) (*Store, *time.Time) {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "cores"), policy)
	if err != nil {
		t.Fatal(err)
	}
	clock := noon
	s.now = func() time.Time { return clock }
	return s, &clock
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// files lists the files in the directory, including hidden ones, except the
// limits and the lock.
func files(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != limitsFile && e.Name() != lockFile {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestWrite(t *testing.T) {
	s, _ := open(t, Policy{})
	name := corefile.Name("my prog/../x", 12, noon, "order lost!")
	if name != "x.12.20261120T120000.000Z.order-lost.core" {
		t.Fatal(name)
	}
	for i, want := range []string{name, strings.Replace(name, ".core", "-1.core", 1), strings.Replace(name, ".core", "-2.core", 1)} {
		path, err := s.Write(name, 5, text(fmt.Sprint("core ", i)))
		if err != nil || filepath.Base(path) != want {
			t.Fatal(path, err)
		}
		data, _ := os.ReadFile(path)
		fi, _ := os.Stat(path)
		if string(data) != fmt.Sprint("core ", i) || fi.Mode() != 0o600 {
			t.Errorf("%s: %q, mode %v", path, data, fi.Mode())
		}
	}
	if fi, _ := os.Stat(s.dir); fi.Mode().Perm() != 0o700 || s.GroupOrWorldAccessible() != 0 {
		t.Errorf("directory has mode %v", fi.Mode())
	}
	check(t, os.Chmod(s.dir, 0o755))
	if s.GroupOrWorldAccessible() != 0o755 {
		t.Error("a directory that all may read passes for ours alone")
	}
}

// A core that cannot be written completely leaves nothing in the directory.
func TestNothingHalf(t *testing.T) {
	s, _ := open(t, Policy{})
	broken := errors.New("broken")
	_, err := s.Write("a.1.20261120T120000.000Z.panic.core", 5, func(w io.Writer) error {
		if _, err := io.WriteString(w, "hal"); err != nil {
			return err
		}
		if fs := files(t, s); len(fs) != 1 || !strings.HasPrefix(fs[0], ".") {
			t.Errorf("while writing: %v", fs)
		}
		return broken
	})
	if !errors.Is(err, broken) || len(files(t, s)) != 0 {
		t.Errorf("%v, left %v", err, files(t, s))
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write("a.1.20261120T120000.000Z.panic.core", 5, text("x")); err != nil {
		t.Errorf("after the directory was taken away: %v", err)
	}
}

// check fails the test with an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a killed writer left is removed once it is considered abandoned.
func TestStalePartial(t *testing.T) {
	s, clock := open(t, Policy{})
	left := filepath.Join(s.dir, ".a.core"+partial+"123")
	check(t, os.WriteFile(left, nil, 0o600))
	check(t, os.Chtimes(left, noon, noon))
	for i, want := range []bool{true, false} {
		if _, err := s.Write(corefile.Name("b", i, noon, "x"), 1, text("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); (err == nil) != want {
			t.Errorf("write %d: %v", i, err)
		}
		*clock = clock.Add(2 * time.Hour)
	}
}

func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("mounting a small tmpfs: ", err)
	}
	defer func() { check(t, unix.Unmount(dir, 0)) }()
	s, err := Open(dir+"/cores", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 64<<10)
	_, err = s.Write(corefile.Name("a", 1, noon, "x"), 1, func(w io.Writer) error {
		for range 32 {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, unix.ENOSPC) || len(files(t, s)) != 0 {
		t.Errorf("%v, left %v", err, files(t, s))
	}
	s.policy.MinFreeBytes = 1 << 20
	var refused *RefusedError
	if _, err := s.Write(corefile.Name("a", 1, noon, "x"), 1<<10, text("x")); !errors.As(err, &refused) {
		t.Errorf("the floor was ignored: %v", err)
	}
}

func TestRetention(t *testing.T) {
	write := func(s *Store, clock *time.Time, n int, size int) {
		for i := range n {
			*clock = clock.Add(time.Minute)
			path, err := s.Write(corefile.Name("a", i, *clock, "panic"), int64(size), text(strings.Repeat("x", size)))
			if err != nil {
				t.Fatal(err)
			}
			check(t, os.Chtimes(path, *clock, *clock))
		}
	}
	s, clock := open(t, Policy{Keep: 3})
	other := filepath.Join(s.dir, "somebody.else.core")
	check(t, os.WriteFile(other, nil, 0o600))
	check(t, os.Chtimes(other, time.Time{}, noon.Add(-time.Hour)))
	write(s, clock, 6, 1)
	if got := files(t, s); len(got) != 4 || !strings.HasPrefix(got[0], "a.3.") {
		t.Errorf("kept %v", got)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another's file was removed")
	}

	s, clock = open(t, Policy{KeepBytes: 40 << 10})
	write(s, clock, 6, 10<<10)
	if got := files(t, s); len(got) < 2 || len(got) > 4 || !strings.HasPrefix(got[len(got)-1], "a.5.") {
		t.Errorf("kept %v", got)
	}
	var refused *RefusedError
	if _, err := s.Write(corefile.Name("a", 9, noon, "x"), 50<<10, text("")); !errors.As(err, &refused) {
		t.Errorf("a core that is too large by itself: %v", err)
	}

	s, clock = open(t, Policy{KeepAge: 150 * time.Second})
	write(s, clock, 6, 1)
	if got := files(t, s); len(got) != 3 {
		t.Errorf("kept %v", got)
	}
}

// A core of unknown size respects the free space, the maximum size, and both
// together with the existing cores.
func TestUnknownSize(t *testing.T) {
	free, _ := open(t, Policy{})
	now, err := free.Free()
	if err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	large := func(w io.Writer) error {
		for range size / 1000 {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
		return nil
	}
	// So large that other writes on this disk make no difference.
	huge := func(w io.Writer) error { _, err := w.Write(make([]byte, 1<<30)); return err }
	for name, c := range map[string]struct {
		policy Policy
		write  func(io.Writer) error
	}{"floor": {Policy{MinFreeBytes: max(now-512<<20, 1)}, huge}, "bytes": {Policy{KeepBytes: size / 2}, large}} {
		s, _ := open(t, c.policy)
		var refused *RefusedError
		if path, err := s.Write(corefile.Name("p", 1, noon, "r"), 0, c.write); !errors.As(err, &refused) || path != "" || len(files(t, s)) != 0 {
			t.Errorf("%s: %q, %v, %v", name, path, err, files(t, s))
		}
	}
	s, clock := open(t, Policy{KeepBytes: size + size/2})
	for i := range 3 {
		*clock = clock.Add(time.Minute)
		path, err := s.Write(corefile.Name("p", i, *clock, "r"), 0, large)
		if err != nil || len(files(t, s)) != 1 || filepath.Join(s.dir, files(t, s)[0]) != path {
			t.Errorf("core %d: %s, %v, %v", i, path, err, files(t, s))
		}
		check(t, os.Chtimes(path, *clock, *clock))
	}
}

// In a directory where others may create links, nothing is written through one.
func TestLinks(t *testing.T) {
	s, _ := open(t, DefaultPolicy())
	victim := filepath.Join(t.TempDir(), "victim")
	for _, name := range []string{limitsFile, limitsFile + "~"} {
		if err := os.Symlink(victim, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Admit("p", "r"); err != nil {
		t.Error(err)
	}
	os.Remove(filepath.Join(s.dir, lockFile))
	if err := os.Symlink(victim, filepath.Join(s.dir, lockFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Admit("p", "r"); err == nil {
		t.Error("a lock that is a link was taken")
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("another program's file was written to")
	}
}

func TestLimits(t *testing.T) {
	policy := Policy{Each: Limit{2, 10 * time.Minute}, All: Limit{3, time.Hour}}
	s, clock := open(t, policy)
	admit := func(reason string, want bool, suppressed int) {
		t.Helper()
		// Open it again each time: limits survive a restart.
		again := &Store{dir: s.dir, policy: policy, now: s.now}
		n, err := again.Admit("prog", reason)
		var refused *RefusedError
		if (err == nil) != want || err != nil && !errors.As(err, &refused) || n != suppressed {
			t.Errorf("%s at %v: %v, %d suppressed", reason, clock.Sub(noon), err, n)
		}
		if err != nil && !refused.Until.After(*clock) {
			t.Errorf("refused until %v, which is past", refused.Until)
		}
	}
	admit("panic", true, 0)
	admit("panic", true, 0)
	admit("panic", false, 0)
	admit("panic", false, 0)
	admit("hang", true, 0)
	admit("hang", false, 0) // three in total
	*clock = noon.Add(11 * time.Minute)
	admit("panic", false, 0) // still three in total
	*clock = noon.Add(61 * time.Minute)
	admit("panic", true, 3)
	admit("hang", true, 1)
	if _, err := s.Admit("another", "panic"); err != nil {
		t.Errorf("another program is limited too: %v", err)
	}
	// A clock that was set back must not block captures for a year.
	*clock = noon.Add(-365 * 24 * time.Hour)
	admit("panic", true, 0)
	*clock = clock.Add(61 * time.Minute)
	admit("panic", true, 0)
}

// A limits file of any content does not block captures.
func TestBrokenLimits(t *testing.T) {
	for _, content := range []string{"", "null", "[]", `{"prog":null}`, `{"prog":{"taken":null}}`, "\x00\x01"} {
		s, _ := open(t, DefaultPolicy())
		check(t, os.WriteFile(filepath.Join(s.dir, limitsFile), []byte(content), 0o600))
		if _, err := s.Admit("prog", "panic"); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// Many supervisors share a directory, and together they respect the limit: each
// capture is admitted or counted.
func TestHerd(t *testing.T) {
	const herd = 200
	s, clock := open(t, Policy{Each: Limit{3, time.Hour}})
	var wg sync.WaitGroup
	var admitted atomic.Int32
	for range herd {
		wg.Go(func() {
			var refused *RefusedError
			if _, err := s.Admit("prog", "panic"); err == nil {
				admitted.Add(1)
			} else if !errors.As(err, &refused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 3 {
		t.Errorf("%d were admitted", n)
	}
	*clock = clock.Add(time.Hour)
	if n, err := s.Admit("prog", "panic"); err != nil || n != herd-3 {
		t.Errorf("%d were counted as refused, %v", n, err)
	}
}

// A herd in which some get the lock in time, and the others count their refusals
// without it: none is lost.
func TestImpatientHerd(t *testing.T) {
	const herd = 300
	for range 20 {
		s, clock := open(t, Policy{Each: Limit{3, time.Hour}})
		s.patience = 0
		var wg sync.WaitGroup
		var admitted, counted atomic.Int32
		for range herd {
			wg.Go(func() {
				var refused *RefusedError
				if n, err := s.Admit("prog", "panic"); err == nil {
					admitted.Add(1)
					counted.Add(int32(n))
				} else if !errors.As(err, &refused) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		*clock = clock.Add(time.Hour)
		n, err := s.Admit("prog", "panic")
		if refused := herd - int(admitted.Load()); err != nil || n+int(counted.Load()) != refused {
			t.Errorf("%d and %d of %d were counted as refused, %v", n, counted.Load(), refused, err)
		}
		if got := files(t, s); len(got) > 0 {
			t.Errorf("files are left: %v", got)
		}
	}
}

// While others keep the limits locked, every core is refused, and counted.
func TestLockedLimits(t *testing.T) {
	s, _ := open(t, Policy{Each: Limit{100, time.Hour}})
	s.patience = time.Millisecond
	if _, err := s.Admit("prog", "panic"); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(filepath.Join(s.dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			var refused *RefusedError
			if _, err := s.Admit("prog \"x\"\n", "pa nic"); !errors.As(err, &refused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	lock.Close()
	if n, err := s.Admit("prog \"x\"\n", "pa nic"); err != nil || n != 50 {
		t.Errorf("%d were counted as refused, %v", n, err)
	}
	if got := files(t, s); len(got) > 0 {
		t.Errorf("files are left: %v", got)
	}
}

// Files that another user put in place of the store's files are not opened.
func TestForeignFiles(t *testing.T) {
	for _, name := range []string{lockFile, limitsFile, missedFile} {
		s, _ := open(t, Policy{Each: Limit{1, time.Hour}})
		victim := filepath.Join(t.TempDir(), "victim")
		if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		for what, put := range map[string]func(string) error{
			"link": func(path string) error { return os.Symlink(victim, path) },
			"pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
		} {
			path := filepath.Join(s.dir, name)
			os.Remove(path)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			_, err := s.Admit("prog", "panic") // ends at once
			if name == lockFile && !errors.Is(err, plainfile.ErrSymlink) && !errors.Is(err, plainfile.ErrNotRegular) {
				t.Errorf("%s for %s: %v", what, name, err)
			}
			_ = s.countMissed("prog", "panic") // fails for one of them
			if text, _ := os.ReadFile(victim); string(text) != "precious" {
				t.Errorf("%s for %s: it wrote %q through it", what, name, text)
			}
		}
	}
}
