// Package lint finds mistakes in a program's annotations and in its
// registrations at run time. Its analyzers run under go vet, golangci-lint and
// `meminspect lint`.
//
// A finding is reported at the annotation or the call that causes it, not in
// the generated file. Each package has one fact about itself and all packages
// that it imports, directly or not: package facts reach only direct importers,
// and main imports few packages directly.
package lint

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Name is the name of all analyzers together: the linter's name in golangci-lint
// and in comments that suppress findings.
const Name = "meminspect"

// A Suppression selects the comments that suppress findings.
type Suppression int

const (
	// Nolint obeys //nolint:meminspect and //lint:ignore.
	Nolint Suppression = iota
	// NolintElsewhere obeys only //lint:ignore: golangci-lint itself removes
	// what //nolint covers, and records that the comment was needed.
	NolintElsewhere
)

// A check is one kind of finding.
type check struct {
	name    string
	summary string // completes "finds …"
	run     func(*unit)
}

// checks lists all kinds in the order of the documentation.
var checks = []check{
	{"directive", "malformed, unknown and misplaced //meminspect: lines", directives},
	{"stale", "annotations that the generated files do not have", stale},
	{"unregistered", "IDs that are declared and never registered", unregistered},
	{"unknownid", "registrations with a number that is not a declared ID", unknownIDs},
	{"duplicate", "IDs that are registered twice", duplicates},
	{"area", "areas that are larger than their variable", areas},
	{"dropped", "dynamic registrations that cannot be unregistered", dropped},
	{"secret", "annotated values that look like secrets", secrets},
	{"unbounded", "captures that follow growing values without a budget", unbounded},
}

//go:embed pages/*.md
var pages embed.FS

// Page returns the documentation of the named analyzer, in Markdown.
func Page(name string) (string, error) {
	text, err := pages.ReadFile("pages/" + name + ".md")
	if err != nil {
		return "", fmt.Errorf("no finding has the name %s: the names are %s", name, strings.Join(Names(), ", "))
	}
	return string(text), nil
}

// Names lists the analyzers' names in the order of the documentation.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// FromSyntax lists the names of the analyzers that need no types. "meminspect
// generate --check" reports the same findings.
func FromSyntax() []string { return []string{"directive", "stale"} }

// Summary completes the sentence "NAME finds …".
func Summary(name string) string {
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		return ""
	}
	return checks[i].summary
}

// Analyzers returns all analyzers in the order of the documentation.
func Analyzers(s Suppression) []*analysis.Analyzer {
	list := make([]*analysis.Analyzer, len(checks))
	for i, c := range checks {
		page, err := Page(c.name)
		if err != nil {
			panic(err) // the pages are part of this package
		}
		list[i] = &analysis.Analyzer{
			Name:     c.name,
			Doc:      "find " + c.summary + "\n\n" + page,
			URL:      "https://github.com/meminspect/meminspect/blob/main/docs/reference/lint.md#" + c.name,
			Requires: []*analysis.Analyzer{sources, worlds},
			Run: func(pass *analysis.Pass) (any, error) {
				u := newUnit(pass, s)
				if !u.idle() {
					c.run(u)
				}
				return nil, nil
			},
		}
	}
	return list
}
