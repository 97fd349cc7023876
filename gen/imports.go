package gen

import (
	"go/ast"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// importOf returns the path that a file imports under a name. A path does not
// determine its package's name, but by convention it is the last element, apart
// from major versions and the like. If the convention fails and only one
// candidate import is left, importOf returns that one.
func importOf(file *ast.File, name string) (string, bool) {
	var guess, rest []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		switch {
		case spec.Name != nil && spec.Name.Name == name:
			return path, true
		case spec.Name != nil:
		case customaryName(path) == name:
			guess = append(guess, path)
		case strings.Contains(lastElements(path), name):
			rest = append(rest, path)
		}
	}
	switch {
	case len(guess) == 1:
		return guess[0], true
	case len(guess) == 0 && len(rest) == 1:
		return rest[0], true
	}
	return "", false
}

var versionElement = lazyexp.New(`^v[0-9]+$`)

// customaryName returns the package name that an import path suggests.
func customaryName(path string) string {
	elements := strings.Split(path, "/")
	last := elements[len(elements)-1]
	if versionElement().MatchString(last) && len(elements) > 1 {
		last = elements[len(elements)-2]
	}
	if i := strings.LastIndex(last, ".v"); i > 0 { // gopkg.in/yaml.v3
		last = last[:i]
	}
	last = strings.TrimPrefix(last, "go-")
	last = strings.TrimSuffix(last, "-go")
	return strings.ReplaceAll(last, "-", "_")
}

// lastElements returns the part of a path that usually contains the package's
// name.
func lastElements(path string) string {
	elements := strings.Split(path, "/")
	return strings.Join(elements[max(0, len(elements)-2):], "/")
}
