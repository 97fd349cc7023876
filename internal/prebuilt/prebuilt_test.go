package prebuilt

import (
	"os"
	"path/filepath"
	"testing"
)

type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Fatalf(string, ...any) { r.failed = true }

// Where the variable is set, a missing program fails the test: a skipped one would hide it.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, name  string
		ok, failed bool
	}{{"", "there", false, false}, {dir, "there", true, false}, {dir, "missing", true, true}} {
		t.Setenv(Variable, c.dir)
		r := &recorder{TB: t}
		if path, ok := Find(r, c.name); ok != c.ok || r.failed != c.failed || ok && path != filepath.Join(c.dir, c.name) {
			t.Errorf("%+v: %q, %t, failed: %t", c, path, ok, r.failed)
		}
	}
}
