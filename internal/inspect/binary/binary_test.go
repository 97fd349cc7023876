//go:build linux

package binary_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/binary"
)

// An executable that is gone from its path comes from a debuginfod server, by the
// GNU build ID of the core, and from the cache the next time.
func TestDebuginfod(t *testing.T) {
	dir := t.TempDir()
	program, moved, path := filepath.Join(dir, "shop"), filepath.Join(dir, "moved"), filepath.Join(dir, "shop.core")
	for _, line := range [][]string{
		{"go", "build", "-o", program, "../../acceptance/testdata/selfcore"},
		{program, path},
		{"mv", program, moved},
	} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", line, err, out)
		}
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache")) // the go command keeps its own
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	_, id := core.BuildIDs()
	if id == "" {
		t.Fatal("the core has no GNU build ID")
	}
	served, requests := moved, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path != "/buildid/"+id+"/executable" {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, served)
	}))
	defer server.Close()
	search := binary.Search{Servers: []string{"http://127.0.0.1:0/", server.URL}}

	served = path // an ELF file that is another one
	if _, err := binary.Find(t.Context(), core, search); !errors.Is(err, binary.ErrNotFound) || !errors.Is(err, inspect.ErrOtherBuild) {
		t.Errorf("the server gives another file: %v", err)
	}
	served = moved
	for range 2 {
		found, err := binary.Find(t.Context(), core, search)
		if err != nil || !strings.HasSuffix(found, filepath.Join("debuginfod_client", id, "executable")) {
			t.Errorf("found %q, %v", found, err)
		}
	}
	if requests != 2 {
		t.Errorf("the server was asked %d times, want once for each file", requests)
	}
	left, err := os.ReadDir(filepath.Join(dir, "cache/debuginfod_client", id))
	if err != nil || len(left) != 1 {
		t.Errorf("the cache holds %v, %v", left, err)
	}
}
