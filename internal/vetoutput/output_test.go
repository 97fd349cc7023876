package vetoutput

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vetOutput is what go vet -json printed up to Go 1.25, on standard error,
// where a package that does not compile comes between.
const vetOutput = `# example.com/a
{
	"example.com/a": {
		"area": [
			{
				"posn": "/src/a/a.go:12:3",
				"end": "/src/a/a.go:12:9",
				"message": "second"
			},
			{
				"posn": "/src/a/a.go:9:3",
				"message": "first"
			}
		]
	}
}
# example.com/bad
bad/b.go:2:9: undefined: x
# example.com/a [example.com/a.test]
{
	"example.com/a [example.com/a.test]": {
		"area": [
			{
				"posn": "/src/a/a.go:9:3",
				"message": "first"
			}
		],
		"secret": {
			"error": "failed prerequisites"
		}
	}
}
`

func TestRead(t *testing.T) {
	tree, rest, err := Read([]byte(vetOutput))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"# example.com/bad", "bad/b.go:2:9: undefined: x"}, rest); diff != "" {
		t.Errorf("rest: want (-), got (+):\n%s", diff)
	}
	findings, failures := tree.Findings()
	if diff := cmp.Diff([]string{"example.com/a [example.com/a.test]: secret: failed prerequisites"}, failures); diff != "" {
		t.Errorf("failures: want (-), got (+):\n%s", diff)
	}
	var text bytes.Buffer
	if err := Text(&text, "/src", findings); err != nil {
		t.Fatal(err)
	}
	want := "a/a.go:9:3: first (area)\na/a.go:12:3: second (area)\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("text: want (-), got (+):\n%s", diff)
	}
}

func TestReadTruncated(t *testing.T) {
	for _, output := range []string{"{\n\t\"a\": {}\n", "{\nnonsense\n}\n"} {
		if _, _, err := Read([]byte(output)); err == nil {
			t.Errorf("%q: no error", output)
		}
	}
}

func TestJSONIsVets(t *testing.T) {
	tree, _, err := Read([]byte(vetOutput))
	if err != nil {
		t.Fatal(err)
	}
	findings, _ := tree.Findings()
	var out bytes.Buffer
	if err := JSON(&out, findings); err != nil {
		t.Fatal(err)
	}
	again, rest, err := Read(out.Bytes())
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %q", err, rest)
	}
	same, _ := again.Findings()
	if diff := cmp.Diff(findings, same); diff != "" {
		t.Errorf("first time (-), second time (+):\n%s", diff)
	}
}

func TestPositions(t *testing.T) {
	for posn, want := range map[string]string{
		"/src/a.go:9:3":     "/src/a.go|9|3",
		`C:\src\a.go:9:3`:   `C:\src\a.go|9|3`,
		"/src/a.go:9":       "/src/a.go|9|0",
		"/src/a.go":         "/src/a.go|0|0",
		"/odd:name/a.go:1:": "/odd:name/a.go:1:|0|0",
	} {
		f := Finding{Posn: posn}
		file, line, column := f.Position()
		if got := strings.Join([]string{file, itoa(line), itoa(column)}, "|"); got != want {
			t.Errorf("%s: %s, want %s", posn, got, want)
		}
	}
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func TestApply(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.go")
	if err := os.WriteFile(name, []byte("0123456789"), 0o640); err != nil {
		t.Fatal(err)
	}
	fix := func(posn string, edits ...Edit) Finding {
		for i := range edits {
			edits[i].Filename = name
		}
		return Finding{Posn: posn, Fixes: []Fix{{Edits: edits}}}
	}
	done, err := Apply([]Finding{
		fix("late", Edit{Start: 8, End: 9, New: "eight"}),
		fix("insert", Edit{Start: 3, End: 3, New: "<"}, Edit{Start: 5, End: 5, New: ">"}),
		fix("again", Edit{Start: 3, End: 3, New: "<"}),
		fix("overlap", Edit{Start: 7, End: 9, New: "!"}),
		fix("half", Edit{Start: 0, End: 1, New: "!"}, Edit{Start: 8, End: 10, New: "!"}),
		{Posn: "unfixable"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, f := range done.Left {
		left = append(left, f.Posn)
	}
	if diff := cmp.Diff([]string{"overlap", "half", "unfixable"}, left); diff != "" {
		t.Errorf("left: want (-), got (+):\n%s", diff)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := "012<34>567eight9"; string(text) != want {
		t.Errorf("%q, want %q", text, want)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestApplyToAnotherFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.go")
	if err := os.WriteFile(name, []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Apply([]Finding{{Fixes: []Fix{{Edits: []Edit{{Filename: name, Start: 3, End: 30}}}}}})
	if err == nil {
		t.Error("no error for an edit after the end")
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "short" {
		t.Errorf("%q, %v", text, err)
	}
}

// A source that is a link elsewhere is changed there.
func TestApplyThroughLink(t *testing.T) {
	dir := t.TempDir()
	source, link := filepath.Join(dir, "source.go"), filepath.Join(dir, "link.go")
	if err := os.WriteFile(source, []byte("ab"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("source.go", link); err != nil {
		t.Skip(err)
	}
	if _, err := Apply([]Finding{{Fixes: []Fix{{Edits: []Edit{{link, 1, 2, "c"}}}}}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil || string(text) != "ac" {
		t.Errorf("the source is %q, %v", text, err)
	}
	if to, err := os.Readlink(link); err != nil || to != "source.go" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

func TestSARIF(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a b.go")
	// The emoji has four bytes and two UTF-16 code units.
	if err := os.WriteFile(name, []byte("first\n/*😀*/ second\nthird"), 0o644); err != nil {
		t.Fatal(err)
	}
	finding := Finding{
		Analyzer: "area", Posn: name + ":2:10", End: name + ":2:16", Message: "m",
		Fixes: []Fix{{Message: "fix", Edits: []Edit{{Filename: name, Start: 15, End: 21, New: "x"}, {Filename: name, Start: 22, End: 27, New: "y"}}}},
	}
	var out bytes.Buffer
	if err := SARIF(&out, dir, []Rule{{Name: "secret"}, {Name: "area", Summary: "s", Help: "h"}}, []Finding{finding}); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	result := log.Runs[0].Results[0]
	place := result.Locations[0].Physical
	want := sarifPlace{
		Artifact: sarifArtifact{URI: "a%20b.go", BaseID: "SRCROOT"},
		Region:   sarifRegion{StartLine: 2, StartColumn: 8, EndLine: 2, EndColumn: 14},
	}
	if diff := cmp.Diff(want, place); diff != "" {
		t.Errorf("place: want (-), got (+):\n%s", diff)
	}
	if result.RuleIndex != 1 || result.RuleID != "area" {
		t.Errorf("rule %d, %s", result.RuleIndex, result.RuleID)
	}
	got := result.Fixes[0].Changes[0].Replacements
	wantEdits := []sarifReplacement{
		{Deleted: want.Region, Inserted: &sarifText{Text: "x"}},
		{Deleted: sarifRegion{StartLine: 3, StartColumn: 1, EndLine: 3, EndColumn: 6}, Inserted: &sarifText{Text: "y"}},
	}
	if diff := cmp.Diff(wantEdits, got); diff != "" {
		t.Errorf("edits: want (-), got (+):\n%s", diff)
	}
	if err := SARIF(&out, dir, nil, []Finding{finding}); err == nil {
		t.Error("no error for a finding without a rule")
	}
}
