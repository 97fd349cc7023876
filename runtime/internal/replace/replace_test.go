package replace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s string) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.WriteString(s)
		return err
	}
}

// names lists the files of a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, s := range []string{"first", "second"} {
		if err := File(path, text(s)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != s {
			t.Errorf("%q, %v, want %q", got, err, s)
		}
	}
	broken := errors.New("broken")
	err := File(path, func(f *os.File) error {
		_, err := f.WriteString("half")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "second" {
		t.Errorf("%q, %v after a failure", got, err)
	}
	if got := names(t, dir); got != "f" {
		t.Errorf("left: %s", got)
	}
}

// Directories, devices and pipes are not replaced.
func TestFileIsRegular(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "device")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	for path, want := range map[string]string{
		dir:  " is a directory: name a file in it",
		link: " is not a regular file",
	} {
		err := File(path, text("x"))
		if err == nil || err.Error() != path+want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if target, err := os.Readlink(link); err != nil || target != os.DevNull {
		t.Errorf("the link is %q, %v", target, err)
	}
	if got := names(t, dir); got != "device" {
		t.Errorf("left: %s", got)
	}
}
