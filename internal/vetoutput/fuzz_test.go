package vetoutput

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Whatever go vet prints, Read fails or gives findings that, printed as JSON
// and read again, are the same; and no line that it did not understand is lost.
func FuzzRead(f *testing.F) {
	f.Add([]byte(vetOutput))
	f.Add([]byte("{}\n# a\n"))
	f.Add([]byte("{\n\t\"a\": {\n\t\t\"b\": [{\"posn\": \":0:1\"}]\n\t}\n}\nstray\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, rest, err := Read(data)
		if err != nil {
			if tree != nil {
				t.Error("an error and a tree")
			}
			return
		}
		for _, line := range rest {
			if !bytes.Contains(data, []byte(line)) {
				t.Errorf("line %q was made up", line)
			}
		}
		findings, _ := tree.Findings()
		if !slices.IsSortedFunc(findings, compare) {
			t.Error("findings are not sorted")
		}
		var out bytes.Buffer
		if err := JSON(&out, findings); err != nil {
			t.Fatal(err)
		}
		again, rest, err := Read(out.Bytes())
		if err != nil || len(rest) > 0 {
			t.Fatalf("our own JSON: %v, %q", err, rest)
		}
		same, _ := again.Findings()
		if diff := cmp.Diff(findings, same); diff != "" {
			t.Errorf("first time (-), second time (+):\n%s", diff)
		}
	})
}

// Edits that touch different bytes are all made, whatever their order, and
// what lies between them stays.
func TestApplyAnyOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.go")
	rapid.Check(t, func(t *rapid.T) {
		var before, after strings.Builder
		var findings []Finding
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			keep := rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "keep")
			old := rapid.StringMatching(`[A-Z]{0,3}`).Draw(t, "old")
			fresh := rapid.StringMatching(`[0-9]{0,3}`).Draw(t, "new")
			before.WriteString(keep)
			start := before.Len()
			before.WriteString(old)
			after.WriteString(keep + fresh)
			findings = append(findings, Finding{Fixes: []Fix{{Edits: []Edit{{name, start, start + len(old), fresh}}}}})
		}
		if err := os.WriteFile(name, []byte(before.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		done, err := Apply(rapid.Permutation(findings).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Left) > 0 {
			t.Fatalf("%d edits were left", len(done.Left))
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != after.String() {
			t.Fatalf("%q became %q, want %q", before.String(), text, after.String())
		}
	})
}
