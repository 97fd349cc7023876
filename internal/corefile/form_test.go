package corefile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// content is a core with a page of zeros in its middle.
var content = strings.Repeat("the core's own bytes, ", 1000) + string(make([]byte, 64<<10)) + "the end"

func core(w io.Writer) error {
	_, err := io.WriteString(w, content)
	return err
}

func key(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestForms(t *testing.T) {
	key := key(t)
	to := []age.Recipient{key.Recipient()}
	for suffix, form := range map[string]Form{
		"": {}, ".zst": {Compress: true}, ".age": {Recipients: to}, ".zst.age": {Compress: true, Recipients: to},
	} {
		var stored bytes.Buffer
		if err := form.Write(&stored, core); err != nil {
			t.Fatal(err)
		}
		if form.Suffix() != suffix {
			t.Errorf("suffix %q, want %q", form.Suffix(), suffix)
		}
		if suffix != "" && bytes.Contains(stored.Bytes(), []byte("own bytes, the core's own")) {
			t.Errorf("%s: the core is stored in the clear", suffix)
		}
		var r io.Reader = &stored
		var err error
		if len(form.Recipients) > 0 {
			if r, err = age.Decrypt(r, key); err != nil {
				t.Fatal(err)
			}
		}
		if form.Compress {
			z, err := zstd.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			r = z
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", suffix, len(got), err)
		}
	}
}

// A failed write is reported in every form, whether it fails in the core or at
// its destination.
func TestFormErrors(t *testing.T) {
	broken := errors.New("broken")
	to := []age.Recipient{key(t).Recipient()}
	for _, form := range []Form{{}, {Compress: true}, {Recipients: to}, {Compress: true, Recipients: to}} {
		if err := form.Write(io.Discard, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%q: %v", form.Suffix(), err)
		}
		if err := form.Write(failing{broken}, core); !errors.Is(err, broken) {
			t.Errorf("%q: destination fails: %v", form.Suffix(), err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.core")
	if err := os.WriteFile(path, []byte("the one before"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := Save(path, Form{}, func(w io.Writer) error { _, err := io.WriteString(w, "half"); return errors.Join(err, broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "the one before" {
		t.Errorf("a failed write left %q", got)
	}
	if err := Save(path, Form{}, core); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if err != nil || string(got) != content || info.Mode() != 0o600 {
		t.Errorf("%d bytes, mode %v, %v", len(got), info.Mode(), err)
	}
	if n := onDisk(info); n > 40<<10 {
		t.Errorf("%d bytes on disk: the zeros are not a hole", n)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if err := Save(dir, Form{}, core); err == nil || !strings.Contains(err.Error(), "is a directory: name a file in it") {
		t.Error(err)
	}
	if err := Save(filepath.Join(dir, "none", "a.core"), Form{}, core); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A device is not replaced.
func TestSaveInPlace(t *testing.T) {
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Skip(err)
	}
	if err := Save(os.DevNull, Form{Compress: true}, core); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(os.DevNull); err != nil || !os.SameFile(before, after) {
		t.Errorf("%s was replaced: %v", os.DevNull, err)
	}
}

func TestLimit(t *testing.T) {
	full := errors.New("full")
	write := func(limit int64) (string, error) {
		f, err := os.Create(filepath.Join(t.TempDir(), "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		err = Form{}.Write(Limit(f, limit, full), core)
		got, _ := os.ReadFile(f.Name())
		return string(got), err
	}
	if got, err := write(40 << 10); err != nil || got != content {
		t.Errorf("%d bytes within the limit without the hole: %v", len(got), err)
	}
	if _, err := write(20 << 10); !errors.Is(err, full) {
		t.Errorf("beyond the limit: %v", err)
	}
}

// A save removes what killed ones left, and nothing of those in progress.
func TestSaveRemovesAbandoned(t *testing.T) {
	dir := t.TempDir()
	alive, err := createLocked(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	dead, err := createLocked(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // as the kernel does it
	if err := Save(filepath.Join(dir, "a.core"), Form{}, core); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the abandoned file is there: %v", err)
	}
	if _, err := os.Stat(alive.Name()); err != nil {
		t.Errorf("another writer's file: %v", err)
	}
}
