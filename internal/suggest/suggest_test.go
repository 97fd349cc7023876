package suggest

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A comment "// want KIND "REGEXP"" in a fixture expects a proposal or an exclusion
// on its line. Others are not expected.
var wanted = regexp.MustCompile(`// want (entry done|entry|register|exclude) "((?:[^"\\]|\\.)*)"`)

func TestFixtures(t *testing.T) {
	t.Setenv("GOWORK", "off")
	pkgs, broken, err := Load(context.Background(), "testdata", nil, []string{"./..."})
	if err != nil || len(broken) > 0 {
		t.Fatal(err, broken)
	}
	got := map[string]string{} // reasons, by file:line kind
	result := Find(pkgs)
	for _, p := range result.Proposals {
		kind := string(p.Action)
		if p.Done {
			kind += " done"
		}
		got[fmt.Sprintf("%s:%d %s", filepath.Base(p.Pos.Filename), p.Pos.Line, kind)] = p.Reason
	}
	for _, e := range result.Exclusions {
		got[fmt.Sprintf("%s:%d exclude", filepath.Base(e.Pos.Filename), e.Pos.Line)] = e.Reason
	}
	expected := 0
	for _, pkg := range pkgs {
		for _, syntax := range pkg.Syntax {
			for _, group := range syntax.Comments {
				for _, comment := range group.List {
					want := wanted.FindStringSubmatch(comment.Text)
					if want == nil {
						continue
					}
					expected++
					at := pkg.Fset.Position(comment.Pos())
					key := fmt.Sprintf("%s:%d %s", filepath.Base(at.Filename), at.Line, want[1])
					reason, found := got[key]
					delete(got, key)
					if !found {
						t.Errorf("%s: not proposed", key)
					} else if !regexp.MustCompile(strings.ReplaceAll(want[2], `\\`, `\`)).MatchString(reason) {
						t.Errorf("%s: %q does not match %q", key, reason, want[2])
					}
				}
			}
		}
	}
	if expected == 0 {
		t.Error("the fixtures expect nothing")
	}
	for key, reason := range got {
		t.Errorf("%s: unexpected: %s", key, reason)
	}
}

// What requests change comes before what the start of a service fills.
func TestRanks(t *testing.T) {
	t.Setenv("GOWORK", "off")
	pkgs, _, err := Load(context.Background(), "testdata", nil, []string{"./ranks"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range Find(pkgs).Proposals {
		names = append(names, p.Name)
	}
	if want := []string{"visitors", "callbacks", "atStart"}; !slices.Equal(names, want) {
		t.Errorf("the order is %v, not %v", names, want)
	}
}
