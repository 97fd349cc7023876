package locate

import "testing"

// A variable is the runtime's if its package is, whatever a module's path begins with.
func TestRuntimeVariables(t *testing.T) {
	for name, want := range map[string]bool{
		"runtime.allgs":                        true,
		"runtime.cache[example.com/p.T]":       true,
		"internal/runtime/maps.hashkey":        true,
		"go:main.inittasks":                    true,
		"go:buildinfo":                         false,
		"runtime.example/p/config.Secret":      false,
		"runtime%2eexample.Secret":             false,
		"runtime/debug.modinfo":                false,
		"github.com/some/runtime.Secret":       false,
		"main.secret":                          false,
		"runtime.example/p.cache[main.Secret]": false,
	} {
		if got := isRuntime(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
