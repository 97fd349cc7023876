// Package vettool is the main function of a vet tool with this module's
// analyzers.
package vettool

import (
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/meminspect/meminspect/lint"
)

// Main does what go vet asks for, and exits.
func Main(args []string) {
	if len(args) > 0 && strings.HasSuffix(args[len(args)-1], ".cfg") && skip(args[len(args)-1]) {
		os.Exit(0)
	}
	unitchecker.Main(lint.Analyzers(lint.Nolint)...)
}

// skip handles a package of the standard library that go vet only wants facts
// about. It has none, since it cannot import the runtime: to load its types would
// be most of the time of a first run.
func skip(config string) bool {
	data, err := os.ReadFile(config)
	if err != nil {
		return false // unitchecker reports it
	}
	var c unitchecker.Config
	if err := json.Unmarshal(data, &c); err != nil || !c.VetxOnly || c.ModulePath != "" || c.VetxOutput == "" || strings.Contains(domain(c.ImportPath), ".") {
		return false
	}
	return os.WriteFile(c.VetxOutput, nil, 0o666) == nil
}

// domain returns the first element of an import path: it has no dot in the
// standard library.
func domain(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}
