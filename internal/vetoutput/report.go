// Package vetoutput turns what analyzers print under go vet into text, JSON and
// SARIF, and carries out the fixes that they suggest.
package vetoutput

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Tree is vet's own shape: findings, or an error, by package and analyzer.
type Tree map[string]map[string]json.RawMessage

// A Finding is one diagnostic.
type Finding struct {
	Package  string `json:"-"`
	Analyzer string `json:"-"`
	Category string `json:"category,omitempty"`
	Posn     string `json:"posn"` // file:line:column
	End      string `json:"end,omitempty"`
	Message  string `json:"message"`
	Fixes    []Fix  `json:"suggested_fixes,omitempty"`
}

// A Fix is a set of edits that belong together.
type Fix struct {
	Message string `json:"message"`
	Edits   []Edit `json:"edits"`
}

// An Edit replaces the bytes from Start up to End of a file.
type Edit struct {
	Filename string `json:"filename"`
	Start    int    `json:"start"`
	End      int    `json:"end"`
	New      string `json:"new"`
}

// ImportPath returns the path of the package that the finding is about: go vet
// names external tests x_test, and packages with tests "x [x.test]".
func (f *Finding) ImportPath() string {
	path, test, ok := strings.Cut(f.Package, " [")
	if ok {
		return strings.TrimSuffix(test, ".test]")
	}
	return path
}

// MapFiles replaces the names of the finding's files.
func (f *Finding) MapFiles(name func(string) string) {
	for _, posn := range []*string{&f.Posn, &f.End} {
		file, _, _ := splitPosition(*posn)
		*posn = name(file) + strings.TrimPrefix(*posn, file)
	}
	for _, fix := range f.Fixes {
		for i := range fix.Edits {
			fix.Edits[i].Filename = name(fix.Edits[i].Filename)
		}
	}
}

// Position returns the file, line and column of a finding.
func (f *Finding) Position() (file string, line, column int) { return splitPosition(f.Posn) }

func splitPosition(posn string) (file string, line, column int) {
	file, column = cutNumber(posn)
	file, line = cutNumber(file)
	if line == 0 { // file:line
		line, column = column, 0
	}
	return file, line, column
}

// cutNumber cuts the number after the last colon. No number follows the colon of
// a drive letter.
func cutNumber(s string) (string, int) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0
	}
	n, err := strconv.Atoi(s[i+1:])
	if err != nil {
		return s, 0
	}
	return s[:i], n
}

// Read takes what "go vet -json" printed apart: JSON objects that begin and end
// with a brace at the beginning of a line, and other lines, which it returns as
// rest but for the "# package" lines that only head JSON.
func Read(output []byte) (tree Tree, rest []string, err error) {
	tree = Tree{}
	var object bytes.Buffer
	header := ""
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, len(output)+1)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case object.Len() > 0 || line == "{" || line == "{}":
			header = ""
			object.WriteString(line + "\n")
			if line == "}" || line == "{}" {
				if err := tree.add(object.Bytes()); err != nil {
					return nil, nil, err
				}
				object.Reset()
			}
		case strings.HasPrefix(line, "# "):
			header = line
		default:
			if header != "" {
				rest = append(rest, header)
				header = ""
			}
			rest = append(rest, line)
		}
	}
	if object.Len() > 0 {
		return nil, nil, fmt.Errorf("read go vet's output: it ends inside an object")
	}
	return tree, rest, lines.Err()
}

func (t Tree) add(object []byte) error {
	var more Tree
	if err := json.Unmarshal(object, &more); err != nil {
		return fmt.Errorf("read go vet's output: %w", err)
	}
	for pkg, analyzers := range more {
		if t[pkg] == nil {
			t[pkg] = map[string]json.RawMessage{}
		}
		for name, result := range analyzers {
			t[pkg][name] = result
		}
	}
	return nil
}

// Findings returns the findings of a tree, sorted by place and each once,
// though a package may have been seen twice, with its tests and without; and
// what went wrong in analyzers.
func (t Tree) Findings() (list []Finding, failures []string) {
	for pkg, analyzers := range t {
		for name, result := range analyzers {
			var findings []Finding
			if err := json.Unmarshal(result, &findings); err != nil {
				var failure struct {
					Error string `json:"error"`
				}
				if json.Unmarshal(result, &failure) != nil || failure.Error == "" {
					failure.Error = string(result)
				}
				failures = append(failures, fmt.Sprintf("%s: %s: %s", pkg, name, failure.Error))
				continue
			}
			for _, f := range findings {
				f.Package, f.Analyzer = pkg, name
				list = append(list, f)
			}
		}
	}
	slices.Sort(failures)
	Sort(list)
	return slices.CompactFunc(list, func(a, b Finding) bool {
		return a.Posn == b.Posn && a.Analyzer == b.Analyzer && a.Message == b.Message
	}), failures
}

// Sort sorts findings by place, analyzer and message.
func Sort(list []Finding) { slices.SortFunc(list, compare) }

func compare(a, b Finding) int {
	fileA, lineA, columnA := a.Position()
	fileB, lineB, columnB := b.Position()
	return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(lineA, lineB), cmp.Compare(columnA, columnB),
		cmp.Compare(a.Analyzer, b.Analyzer), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Package, b.Package))
}

// Text writes a line a finding; file names are relative to dir where they are
// below it.
func Text(w io.Writer, dir string, findings []Finding) error {
	for _, f := range findings {
		file, line, column := f.Position()
		at := fmt.Sprintf("%s:%d", relative(dir, file), line)
		if column > 0 { // "//line" comments take it away
			at += fmt.Sprintf(":%d", column)
		}
		if _, err := fmt.Fprintf(w, "%s: %s (%s)\n", at, f.Message, f.Analyzer); err != nil {
			return err
		}
	}
	return nil
}

func relative(dir, file string) string {
	if rel, err := filepath.Rel(dir, file); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return file
}

// JSON writes the findings in vet's shape.
func JSON(w io.Writer, findings []Finding) error {
	tree := map[string]map[string][]Finding{}
	for _, f := range findings {
		if tree[f.Package] == nil {
			tree[f.Package] = map[string][]Finding{}
		}
		tree[f.Package][f.Analyzer] = append(tree[f.Package][f.Analyzer], f)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	return encoder.Encode(tree)
}
