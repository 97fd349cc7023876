package vettool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis/unitchecker"
)

// Only packages of the standard library without a check of their own are skipped.
func TestSkip(t *testing.T) {
	for _, test := range []struct {
		config unitchecker.Config
		want   bool
	}{
		{unitchecker.Config{ImportPath: "net/http", VetxOnly: true}, true},
		{unitchecker.Config{ImportPath: "net/http"}, false},
		{unitchecker.Config{ImportPath: "example.com/shop", VetxOnly: true}, false},
		{unitchecker.Config{ImportPath: "shop", ModulePath: "shop", VetxOnly: true}, false},
	} {
		dir := t.TempDir()
		test.config.VetxOutput = filepath.Join(dir, "vetx")
		data, err := json.Marshal(test.config)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "vet.cfg")
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if got := skip(name); got != test.want {
			t.Errorf("%+v: %v, want %v", test.config, got, test.want)
		}
		if _, err := os.Stat(test.config.VetxOutput); (err == nil) != test.want {
			t.Errorf("%+v: output %v", test.config, err)
		}
	}
}
