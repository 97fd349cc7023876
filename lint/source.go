package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/folders"
)

// sources is the analyzer that reads the package's annotations; others use its
// result.
var sources = &analysis.Analyzer{
	Name:       "meminspectsource",
	Doc:        "collect //meminspect: lines",
	Run:        func(pass *analysis.Pass) (any, error) { return readSources(pass), nil },
	ResultType: reflect.TypeFor[*packageSource](),
}

// A packageSource has the annotations in the files of a package.
type packageSource struct {
	overlay   *folders.Overlay
	files     []*sourceFile // those with annotations or diagnostics, the ignored ones last
	generated bool          // there are generated files
}

// A sourceFile is a file with directives.
type sourceFile struct {
	*annotate.File
	name    string // of the hand-written file
	ignored bool   // build constraints exclude it here
}

// annotations calls f for each annotation of the given kinds in files that
// belong to the package here, so that their targets have types.
func (p *packageSource) annotations(f func(file *sourceFile, a *annotate.Annotation), kinds ...annotate.Kind) {
	for _, file := range p.files {
		for i := range file.Annotations {
			a := &file.Annotations[i]
			for _, kind := range kinds {
				if a.Kind == kind && !file.ignored {
					f(file, a)
				}
			}
		}
	}
}

func readSources(pass *analysis.Pass) *packageSource {
	p := &packageSource{overlay: overlay()}
	for _, syntax := range pass.Files {
		p.generated = p.generated || generatedByUs(syntax)
		if !commentsHit(syntax) {
			continue
		}
		if name, syntax, _ := original(pass.Fset, syntax); !generatedByUs(syntax) {
			p.add(pass.Fset, name, syntax, false)
		}
	}
	for _, name := range pass.IgnoredFiles {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		text, err := pass.ReadFile(name)
		if err != nil || !annotate.Hit(text) {
			continue // the compiler reports what cannot be read
		}
		syntax, err := parser.ParseFile(pass.Fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil && !generatedByUs(syntax) {
			p.add(pass.Fset, name, syntax, true)
		}
	}
	return p
}

// overlay returns the overlay that GOFLAGS names, which is empty if it cannot
// be read: the go command does not pass the flag -overlay on to its vet tool.
func overlay() *folders.Overlay {
	o, err := folders.ReadOverlay("", folders.EnvFlags(nil))
	if err != nil {
		return &folders.Overlay{}
	}
	return o
}

func (p *packageSource) add(fset *token.FileSet, name string, syntax *ast.File, ignored bool) {
	file := annotate.Collect(fset, syntax)
	if len(file.Annotations) > 0 || len(file.Diagnostics) > 0 {
		p.files = append(p.files, &sourceFile{file, name, ignored})
	}
}

func generatedByUs(file *ast.File) bool {
	return len(file.Comments) > 0 && file.Comments[0].List[0].Text == folders.Banner
}

// commentsHit reports whether the file can contain directives.
func commentsHit(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if annotate.Hit([]byte(comment.Text)) {
				return true
			}
		}
	}
	return false
}

// original returns the hand-written file, its name, and whether it is
// generated. It is the file itself, except for cgo, which gives the compiler a
// copy with repeated comments and other offsets.
func original(fset *token.FileSet, file *ast.File) (name string, syntax *ast.File, generated bool) {
	name = fset.File(file.FileStart).Name()
	source := fset.Position(file.Package).Filename
	if source == name || !filepath.IsAbs(source) || filepath.Ext(source) != ".go" {
		return name, file, ast.IsGenerated(file)
	}
	parsed, err := parser.ParseFile(fset, source, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return name, file, ast.IsGenerated(file)
	}
	return source, parsed, ast.IsGenerated(parsed)
}

// isTest reports whether the file belongs to tests.
func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }
