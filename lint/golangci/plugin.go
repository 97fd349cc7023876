// Package golangci is the golangci-lint module plugin of meminspect. Importing
// it, as the file that "golangci-lint custom" writes does, registers the linter
// meminspect. docs/reference/lint.md has the few lines of configuration.
package golangci

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/lint"
)

func init() { register.Plugin(lint.Name, New) }

// Settings are the settings in .golangci.yaml under
// linters.settings.custom.meminspect.settings.
type Settings struct {
	// Skip names analyzers to omit.
	Skip []string `json:"skip"`
}

// New makes the plugin. It returns an error for unknown settings.
func New(settings any) (register.LinterPlugin, error) {
	s, err := register.DecodeSettings[Settings](settings)
	if err != nil {
		return nil, fmt.Errorf("settings of %s: %w", lint.Name, err)
	}
	for _, name := range s.Skip {
		if !slices.Contains(lint.Names(), name) {
			return nil, fmt.Errorf("settings of %s: skip: %q: there are %s", lint.Name, name, strings.Join(lint.Names(), ", "))
		}
	}
	return &plugin{s}, nil
}

type plugin struct{ settings Settings }

// BuildAnalyzers returns the analyzers. golangci-lint itself removes findings
// that //nolint covers, and must know that there were any.
func (p *plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) {
	return slices.DeleteFunc(lint.Analyzers(lint.NolintElsewhere), func(a *analysis.Analyzer) bool {
		return slices.Contains(p.settings.Skip, a.Name)
	}), nil
}

// GetLoadMode requests types.
func (*plugin) GetLoadMode() string { return register.LoadModeTypesInfo }
