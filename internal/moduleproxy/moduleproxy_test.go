package moduleproxy

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// The proxy has every module of the workspace, without what belongs to nested
// modules, and each requires the others that it imports.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	proxy, err := Build(dir, "../..")
	if err != nil {
		t.Fatal(err)
	}
	const root = "github.com/meminspect/meminspect"
	required := map[string][]string{}
	for _, path := range proxy.Paths {
		at := filepath.Join(dir, path, "@v", proxy.Version)
		data, err := os.ReadFile(at + ".mod")
		if err != nil {
			t.Fatal(err)
		}
		goMod, err := modfile.Parse("go.mod", data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(goMod.Replace) > 0 {
			t.Errorf("%s has replacements", path)
		}
		for _, r := range goMod.Require {
			required[path] = append(required[path], r.Mod.String())
		}
		archive, err := zip.OpenReader(at + ".zip")
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		for _, f := range archive.File {
			name := strings.TrimPrefix(f.Name, path+"@"+proxy.Version+"/")
			if path == root && strings.HasPrefix(name, "runtime/") {
				t.Fatalf("%s is in the zip of the root module", name)
			}
		}
	}
	if len(required[root+"/runtime"]) > 0 {
		t.Errorf("the runtime requires %v", required[root+"/runtime"])
	}
	if !strings.Contains(strings.Join(required[root], " "), root+"/runtime@"+proxy.Version) {
		t.Errorf("the root module does not require the runtime: %v", required[root])
	}
	// Two tests at a time share the module cache, and each clears its own version.
	other, err := Build(t.TempDir(), "../..")
	if err != nil || other.Version == proxy.Version {
		t.Errorf("a second proxy has the version of the first: %v, %v", other, err)
	}
}
