package golangci

import (
	"testing"

	"github.com/golangci/plugin-module-register/register"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/lint"
)

// golangci-lint and go vet run the same analyzers, by name and in order.
func TestAnalyzersAreTheVetTools(t *testing.T) {
	if diff := cmp.Diff(names(lint.Analyzers(lint.Nolint)), build(t, nil)); diff != "" {
		t.Errorf("vet tool (-), plugin (+):\n%s", diff)
	}
}

func TestSkip(t *testing.T) {
	got := build(t, map[string]any{"skip": []string{"secret", "stale"}})
	for _, name := range got {
		if name == "secret" || name == "stale" {
			t.Errorf("%s is built", name)
		}
	}
	if want := len(lint.Names()) - 2; len(got) != want {
		t.Errorf("%d analyzers, want %d", len(got), want)
	}
}

func TestWrongSettings(t *testing.T) {
	for _, settings := range []any{
		map[string]any{"skip": []string{"nonsense"}},
		map[string]any{"nonsense": true},
	} {
		if _, err := New(settings); err == nil {
			t.Errorf("%v: no error", settings)
		}
	}
}

// build makes the plugin as golangci-lint does: by its registered name.
func build(t *testing.T, settings any) []string {
	t.Helper()
	newPlugin, err := register.GetPlugin(lint.Name)
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := newPlugin(settings)
	if err != nil {
		t.Fatal(err)
	}
	if mode := plugin.GetLoadMode(); mode != register.LoadModeTypesInfo {
		t.Errorf("load mode %q", mode)
	}
	analyzers, err := plugin.BuildAnalyzers()
	if err != nil {
		t.Fatal(err)
	}
	if err := analysis.Validate(analyzers); err != nil {
		t.Error(err)
	}
	return names(analyzers)
}

func names(analyzers []*analysis.Analyzer) []string {
	list := make([]string, len(analyzers))
	for i, a := range analyzers {
		list[i] = a.Name
	}
	return list
}
