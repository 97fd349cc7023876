// Package web makes the script and the style of the page from the TypeScript in src and
// the npm packages that package-lock.json names. It is a module so that programs which
// import the readers need neither esbuild nor a browser.
//
// node_modules has those files of the packages that the bundle and the tests read, so
// that a build needs no npm. After a change of package.json:
//
//	npm install --ignore-scripts
//	go run ./bundle -files | xargs git add -f
package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// modules is the directory of the npm packages.
const modules = "node_modules"

// axe is the checker of accessibility that the tests use.
const axe = modules + "/axe-core/axe.min.js"

// Bundle returns the script and the style of the page. dir is the directory of this
// package.
func Bundle(dir string) (script, style []byte, err error) {
	code, err := build(dir, "src/main.tsx", api.ES2022)
	if err != nil {
		return nil, nil, err
	}
	sheet, err := build(dir, "src/app.css", api.ESNext) // for light-dark
	if err != nil {
		return nil, nil, err
	}
	return printable(code.OutputFiles[0].Contents), sheet.OutputFiles[0].Contents, nil
}

// printable escapes control characters, which esbuild leaves in literals: the command
// writes none to a terminal, and the browser runs the script only as it is.
func printable(script []byte) []byte {
	var b bytes.Buffer
	for _, c := range script {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			fmt.Fprintf(&b, `\x%02x`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.Bytes()
}

// Files returns the files of npm packages that a build and the tests read, and the
// licenses of the packages.
func Files(dir string) ([]string, error) {
	code, err := build(dir, "src/main.tsx", api.ES2022)
	if err != nil {
		return nil, err
	}
	var meta struct{ Inputs map[string]struct{} }
	if err := json.Unmarshal([]byte(code.Metafile), &meta); err != nil {
		return nil, err
	}
	files := map[string]bool{}
	for file := range meta.Inputs {
		files[file] = true
	}
	files[axe] = true
	text, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct{ Packages map[string]struct{} }
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("package-lock.json: %w", err)
	}
	for path := range lock.Packages { // also what the files of others contain: graphlib in dagre's
		for _, name := range []string{"package.json", "LICENSE"} {
			files[filepath.Join(path, name)] = true
		}
	}
	for file := range maps.Clone(files) {
		for dir := filepath.Dir(file); strings.HasPrefix(dir, modules+"/"); dir = filepath.Dir(dir) {
			for _, name := range []string{"package.json", "LICENSE"} {
				files[filepath.Join(dir, name)] = true
			}
		}
	}
	maps.DeleteFunc(files, func(file string, _ bool) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return !strings.HasPrefix(file, modules+"/") || err != nil
	})
	return slices.Sorted(maps.Keys(files)), nil
}

// build bundles what an entry imports, into one file.
func build(dir, entry string, target api.Target) (*api.BuildResult, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir: dir, EntryPoints: []string{entry}, Target: target,
		Bundle: true, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, Metafile: true,
		Format: api.FormatIIFE, JSX: api.JSXAutomatic, JSXImportSource: "preact",
		LegalComments: api.LegalCommentsEndOfFile, Charset: api.CharsetASCII,
	})
	var failed []error
	for _, m := range append(result.Errors, result.Warnings...) {
		where := entry
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d:%d", m.Location.File, m.Location.Line, m.Location.Column)
		}
		failed = append(failed, fmt.Errorf("%s: %s", where, m.Text))
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("%s: %d files, not one", entry, len(result.OutputFiles))
	}
	return &result, nil
}
