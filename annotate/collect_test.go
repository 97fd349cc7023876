package annotate

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the wanted parts of testdata")

// Each archive in testdata contains one source file, the annotations expected
// in it, and the diagnostics expected for it.
func TestCollect(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives: ", err)
	}
	fired := map[Code]bool{}
	for _, name := range archives {
		t.Run(filepath.Base(name), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source := archive.Files[0].Data
			fset := token.NewFileSet()
			syntax, err := parser.ParseFile(fset, archive.Files[0].Name, source, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			file := Collect(fset, syntax)
			diagnostics := slices.Concat(file.Diagnostics, Duplicates(fset, file))
			for _, d := range diagnostics {
				fired[d.Code] = true
				checkInside(t, syntax, d)
			}
			if !Hit(source) && len(file.Annotations)+len(diagnostics) > 0 {
				t.Error("Hit does not find this file")
			}
			got := map[string]string{
				"annotations": describe(fset, file.Annotations),
				"diagnostics": report(fset, diagnostics),
			}
			for i, f := range archive.Files[1:] {
				if *update {
					archive.Files[i+1].Data = []byte(got[f.Name])
				} else if diff := cmp.Diff(string(f.Data), got[f.Name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f.Name, diff)
				}
				delete(got, f.Name)
			}
			for missing := range got {
				t.Errorf("the archive lacks -- %s --", missing)
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(archive), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	for _, code := range Codes {
		if !fired[code] {
			t.Errorf("no archive shows %s", code)
		}
	}
}

// checkInside checks that a diagnostic is inside the comment it belongs to.
func checkInside(t *testing.T, syntax *ast.File, d Diagnostic) {
	t.Helper()
	for _, group := range syntax.Comments {
		for _, c := range group.List {
			if c.Pos() <= d.Pos && d.Pos <= d.End && d.End <= c.Pos()+token.Pos(len(c.Text)) {
				return
			}
		}
	}
	t.Errorf("%s at %d to %d lies in no comment", d.Code, d.Pos, d.End)
}

func describe(fset *token.FileSet, list []Annotation) string {
	var text strings.Builder
	kinds := []string{"none", "variable", "constant", "type", "field"}
	for _, a := range list {
		fmt.Fprintf(&text, "%d %s %s %q id=%q", fset.Position(a.Pos).Line, a.Kind, kinds[a.Target.Kind], a.Expr(), a.ID())
		if a.Size != nil {
			fmt.Fprintf(&text, " size=%q bytes=%d", a.Size.Text, a.Size.Bytes)
		}
		if a.HasDepth {
			fmt.Fprintf(&text, " depth=%d", a.Depth)
		}
		if a.Budget > 0 {
			fmt.Fprintf(&text, " budget=%d", a.Budget)
		}
		if a.Note != "" {
			fmt.Fprintf(&text, " note=%q", a.Note)
		}
		if a.Summary {
			text.WriteString(" summary")
		}
		text.WriteString("\n")
	}
	return text.String()
}

func report(fset *token.FileSet, list []Diagnostic) string {
	var text strings.Builder
	for _, d := range list {
		at := fset.Position(d.Pos)
		fmt.Fprintf(&text, "%d:%d: %s: %s\n", at.Line, at.Column, d.Code, d.Message)
	}
	return text.String()
}
