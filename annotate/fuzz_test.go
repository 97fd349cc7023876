package annotate

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"unicode"
)

// Every line with our prefix yields a line or a diagnostic, never both and
// never neither, and all positions are inside it.
func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{
		"entry name=a member=b[3].c depth=2 budget=64KiB `note=x y` summary", "entry member=a[min(1,2)]", `entry "member=a[len(b) - ' ' ]"`,
		"area size=len(x)+2*n", "exclude", "id Config",
		"layout", "number", "", ":", "Entry", " entry", `entry "name=\x41"`, "entry \"", "entry name=\u00a0x", "area size=--1", "id \xff",
	} {
		f.Add(Prefix + seed)
		f.Add("// " + Tool + ":" + seed)
		f.Add("/* " + Tool + ":" + seed + "*/")
	}
	f.Fuzz(func(t *testing.T, text string) {
		const pos = token.Pos(1000)
		end := pos + token.Pos(len(text))
		line, diagnostics := ParseLine(pos, text)
		if line != nil && len(diagnostics) > 0 {
			t.Fatal("a line and diagnostics")
		}
		if strings.HasPrefix(text, Prefix) && line == nil && len(diagnostics) == 0 {
			t.Fatal("neither a line nor a diagnostic")
		}
		if (line != nil || len(diagnostics) > 0) && !strings.ContainsAny(text, "\n\r") && strings.HasPrefix(text, Prefix) && !Hit([]byte(text)) {
			t.Fatal("Hit does not find it")
		}
		for _, d := range diagnostics {
			if d.Pos < pos || d.End < d.Pos || d.End > end {
				t.Fatalf("%s: [%d, %d) is not in [%d, %d)", d.Code, d.Pos, d.End, pos, end)
			}
			if d.Message == "" || strings.Contains(d.Message, "\n") {
				t.Fatalf("message %q", d.Message)
			}
			if d.Fix != nil && (d.Fix.Pos < pos || d.Fix.End > end) {
				t.Fatalf("the fix of %s lies outside", d.Code)
			}
		}
		if line == nil {
			return
		}
		for name := range line.args {
			if from, to := line.Arg(name); from < pos || to < from || to > end {
				t.Fatalf("%s at [%d, %d) is not in [%d, %d)", name, from, to, pos, end)
			}
		}
		// Text that goes into generated code must parse back as the same kind of
		// value.
		if line.Size != nil {
			if _, err := parser.ParseExpr(line.Size.Text); err != nil {
				t.Fatalf("size %q: %v", line.Size.Text, err)
			}
		}
		if line.Member != nil {
			again, err := ParsePath(strings.TrimPrefix(line.Member.Text, "."))
			if err != nil || again.Text != line.Member.Text {
				t.Fatalf("member %q is read back as %v, %v", line.Member.Text, again, err)
			}
			if strings.ContainsFunc(line.Member.Text, unicode.IsSpace) {
				t.Fatalf("member %q cannot be a name: it has spaces", line.Member.Text)
			}
		}
	})
}

// Collect never panics, whatever the file, and its positions are inside the
// file.
func FuzzCollect(f *testing.F) {
	f.Add("package p\n\n//meminspect:entry\nvar x int\n")
	f.Add("package p\n\ntype t struct {\n\t//meminspect:exclude\n\tx, _ struct{ //meminspect:exclude\n y int }\n}\n")
	f.Fuzz(func(t *testing.T, source string) {
		fset := token.NewFileSet()
		syntax, _ := parser.ParseFile(fset, "a.go", source, parser.ParseComments|parser.SkipObjectResolution)
		if syntax == nil {
			return
		}
		file := Collect(fset, syntax)
		last := token.NoPos
		for _, d := range append(file.Diagnostics, Duplicates(fset, file)...) {
			if d.Pos < syntax.FileStart || d.End > syntax.FileEnd || d.End < d.Pos {
				t.Fatalf("%s at [%d, %d) of [%d, %d)", d.Code, d.Pos, d.End, syntax.FileStart, syntax.FileEnd)
			}
		}
		for _, a := range file.Annotations {
			if a.Pos < last {
				t.Fatal("annotations out of order")
			}
			last = a.Pos
		}
		if len(file.Annotations)+len(file.Diagnostics) > 0 && !Hit([]byte(source)) && strings.Contains(source, Prefix) {
			t.Fatal("Hit does not find it")
		}
	})
}

// The byte scan runs over every file of a repository, so its speed matters.
func BenchmarkHit(b *testing.B) {
	source := []byte(strings.Repeat("// A comment about memory.\nfunc f(a, b int) int { return a / b } /* done */\n", 1000))
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		if Hit(source) {
			b.Fatal("hit")
		}
	}
}
