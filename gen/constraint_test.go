package gen

import (
	"github.com/meminspect/meminspect/internal/folders"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// nameTags agrees with go/build, for every system and processor that go/build
// knows and for some unknown words.
func TestNameTags(t *testing.T) {
	words := []string{"", "_", "x", "test", "unix", "gen", "linux.pb", "ios"}
	for word := range knownOS {
		words = append(words, word)
	}
	for word := range knownArch {
		words = append(words, word)
	}
	for _, osName := range words {
		for _, arch := range append(words, "none") {
			name := "a_" + osName + "_" + arch + ".go"
			if arch == "none" {
				name = osName + ".go"
			}
			if osName == "" && arch == "none" {
				continue // ".go" is not a Go file
			}
			tags := nameTags(name)
			for goos := range knownOS {
				for _, goarch := range []string{"amd64", arch} {
					if !knownArch[goarch] {
						continue
					}
					ctx := build.Context{GOOS: goos, GOARCH: goarch, Compiler: "gc",
						OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("package a\n")), nil }}
					want, err := ctx.MatchFile("/", name)
					if err != nil || strings.HasPrefix(name, "_") {
						continue
					}
					got := !slices.ContainsFunc(tags, func(tag string) bool { return !satisfied(tag, goos, goarch) })
					if got != want {
						t.Fatalf("%s on %s/%s: %v reports %v, go/build %v", name, goos, goarch, tags, got, want)
					}
				}
			}
		}
	}
}

// satisfied implements the go command's rule for system and processor tags.
func satisfied(tag, goos, goarch string) bool {
	return tag == goos || tag == goarch || goos == "android" && tag == "linux" ||
		goos == "illumos" && tag == "solaris" || goos == "ios" && tag == "darwin"
}

// A canonical constraint is equivalent to its source, is its own canonical
// form, and yields a file name that implies no tags.
func TestCanonicalMeansTheSame(t *testing.T) {
	tags := []string{"linux", "cgo", "race", "go1.21", "my_tag", "or"}
	var expr func(depth int) *rapid.Generator[constraint.Expr]
	expr = func(depth int) *rapid.Generator[constraint.Expr] {
		return rapid.Custom(func(t *rapid.T) constraint.Expr {
			kind := 0
			if depth > 0 {
				kind = rapid.IntRange(0, 3).Draw(t, "kind")
			}
			switch kind {
			case 1:
				return &constraint.NotExpr{X: expr(depth-1).Draw(t, "x")}
			case 2:
				return &constraint.AndExpr{X: expr(depth-1).Draw(t, "x"), Y: expr(depth-1).Draw(t, "y")}
			case 3:
				return &constraint.OrExpr{X: expr(depth-1).Draw(t, "x"), Y: expr(depth-1).Draw(t, "y")}
			}
			return &constraint.TagExpr{Tag: rapid.SampledFrom(tags).Draw(t, "tag")}
		})
	}
	names := map[string]fileConstraint{}
	rapid.Check(t, func(t *rapid.T) {
		e := expr(4).Draw(t, "expr")
		c := canonical([]constraint.Expr{e})
		parsed, err := constraint.Parse("//go:build " + string(c))
		if err != nil {
			t.Fatalf("%s of %s: %v", c, e, err)
		}
		for set := range 1 << len(tags) {
			ok := func(tag string) bool { return set>>slices.Index(tags, tag)&1 == 1 }
			if e.Eval(ok) != parsed.Eval(ok) {
				t.Fatalf("%s became %s", e, c)
			}
		}
		if again := canonical([]constraint.Expr{parsed}); again != c {
			t.Fatalf("%s is not canonical: %s", c, again)
		}
		if gofmt := parsed.String(); gofmt != string(c) {
			t.Fatalf("gofmt would write %s for %s", gofmt, c)
		}
		for u := range unit(3) {
			name := outputKey{u, c}.fileName()
			if tags := nameTags(name); len(tags) > 0 {
				t.Fatalf("%s implies %v", name, tags)
			}
			if !folders.IsOutputName(name) {
				t.Fatalf("%s is not known as ours", name)
			}
			if other, ok := names[name]; ok && other != c {
				t.Fatalf("%s is the file of %s and of %s", name, c, other)
			}
			names[name] = c
			if strings.HasSuffix(name, "_test.go") != (u != ownUnit) {
				t.Fatalf("%s of unit %d", name, u)
			}
		}
		if either := anyOf([]fileConstraint{c, "extra"}); !strings.Contains(string(either), "extra") {
			t.Fatalf("any of %s and extra is %s", c, either)
		}
	})
}

// Header comments are read as go/build reads them.
func TestBuildLines(t *testing.T) {
	for _, test := range []struct{ name, header, want string }{
		{"a.go", "", ""},
		{"a.go", "//go:build linux\n\n", "linux"},
		{"a_linux.go", "", "linux"},
		{"a_linux_amd64_test.go", "//go:build !race\n\n", "!race && amd64 && linux"},
		{"a.go", "// +build linux darwin\n// +build cgo\n\n", "cgo && (darwin || linux)"},
		{"a.go", "// +build linux\n", ""}, // a doc comment
		{"a.go", "//go:build b || a\n// +build c\n\n", "a || b"},
		{"a.go", "// Copyright.\n\n//go:build (a && b) || c\n\n", "(a && b) || c"},
		{"a.go", "//go:build ignore\n\n", "ignore"},
	} {
		for _, cgo := range []bool{false, true} {
			source := test.header + "package p\n"
			want := test.want
			if cgo {
				source += "\nimport \"C\"\n"
				want = string(canonical(parseAll(t, "cgo", want)))
			}
			fset := token.NewFileSet()
			syntax, err := parser.ParseFile(fset, test.name, source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := constraintOf(test.name, syntax)
			if err != nil || string(got) != want {
				t.Errorf("%s with %q: %q, %v, want %q", test.name, source, got, err, want)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.name), []byte(source), 0o666); err != nil {
				t.Fatal(err)
			}
			for _, goos := range []string{"linux", "darwin", "windows"} {
				ctx := build.Context{GOOS: goos, GOARCH: "amd64", Compiler: "gc", CgoEnabled: true, BuildTags: []string{"cgo"}}
				built, err := ctx.MatchFile(dir, test.name)
				if err != nil {
					t.Fatal(err)
				}
				eval := got == ""
				if !eval {
					eval = parseAll(t, string(got))[0].Eval(func(tag string) bool {
						return tag == "cgo" || satisfied(tag, goos, "amd64")
					})
				}
				if eval != built {
					t.Errorf("%s with %q on %s: %q reports %v, go/build %v", test.name, test.header, goos, got, eval, built)
				}
			}
		}
	}
}

func parseAll(t *testing.T, list ...string) []constraint.Expr {
	t.Helper()
	var all []constraint.Expr
	for _, text := range list {
		if text == "" {
			continue
		}
		expr, err := constraint.Parse("//go:build " + text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, expr)
	}
	return all
}
