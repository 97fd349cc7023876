package gen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/token"
	"slices"
	"strings"
)

// A fileConstraint is the condition under which a file is built, in a canonical
// spelling; "" means always. Files whose conditions are spelt differently but
// have the same terms share a generated file.
type fileConstraint string

// constraintOf reads a file's constraint: the tags that its name implies, its
// //go:build line (or // +build lines without one), and cgo if it imports "C".
func constraintOf(name string, syntax *ast.File) (fileConstraint, token.Pos, error) {
	var terms []constraint.Expr
	for _, tag := range nameTags(name) {
		terms = append(terms, &constraint.TagExpr{Tag: tag})
	}
	expr, pos, err := buildLines(syntax)
	if err != nil {
		return "", pos, err
	}
	if expr != nil {
		terms = append(terms, expr)
	}
	for _, spec := range syntax.Imports {
		if spec.Path.Value == `"C"` {
			terms = append(terms, &constraint.TagExpr{Tag: "cgo"})
		}
	}
	return canonical(terms), token.NoPos, nil
}

// buildLines reads the constraint from the comments before the package clause.
func buildLines(syntax *ast.File) (constraint.Expr, token.Pos, error) {
	var plus constraint.Expr
	for _, group := range syntax.Comments {
		if group.Pos() > syntax.Package {
			break
		}
		for _, comment := range group.List {
			if constraint.IsGoBuild(comment.Text) {
				expr, err := constraint.Parse(comment.Text)
				return expr, comment.Pos(), err
			}
			// The old form needs a blank line below it, which a doc comment does not
			// have.
			if constraint.IsPlusBuild(comment.Text) && group != syntax.Doc {
				expr, err := constraint.Parse(comment.Text)
				if err != nil {
					return nil, comment.Pos(), err
				}
				if plus == nil {
					plus = expr
				} else {
					plus = &constraint.AndExpr{X: plus, Y: expr}
				}
			}
		}
	}
	return plus, token.NoPos, nil
}

// canonical joins terms by "and". It pushes negations down to the tags, then
// flattens, sorts and deduplicates nested terms of the same kind.
func canonical(terms []constraint.Expr) fileConstraint {
	if len(terms) == 0 {
		return ""
	}
	all := terms[0]
	for _, term := range terms[1:] {
		all = &constraint.AndExpr{X: all, Y: term}
	}
	return fileConstraint(normalForm(all, false).text)
}

// A normal is a constraint in normal form: a tag, possibly negated, or a sorted
// conjunction or disjunction of others.
type normal struct {
	operator string // "", " && " or " || "
	parts    []normal
	text     string
}

// normalForm brings an expression, or its negation, into normal form.
func normalForm(expr constraint.Expr, negate bool) normal {
	var x, y constraint.Expr
	and := false
	switch e := expr.(type) {
	case *constraint.TagExpr:
		if negate {
			return normal{text: "!" + e.Tag}
		}
		return normal{text: e.Tag}
	case *constraint.NotExpr:
		return normalForm(e.X, !negate)
	case *constraint.AndExpr:
		x, y, and = e.X, e.Y, true
	case *constraint.OrExpr:
		x, y = e.X, e.Y
	default:
		panic(fmt.Sprintf("unknown constraint %T", expr))
	}
	n := normal{operator: " || "}
	if and != negate {
		n.operator = " && "
	}
	for _, side := range []constraint.Expr{x, y} {
		part := normalForm(side, negate)
		if part.operator == n.operator {
			n.parts = append(n.parts, part.parts...)
		} else {
			n.parts = append(n.parts, part)
		}
	}
	slices.SortFunc(n.parts, func(a, b normal) int { return strings.Compare(a.text, b.text) })
	n.parts = slices.CompactFunc(n.parts, func(a, b normal) bool { return a.text == b.text })
	if len(n.parts) == 1 {
		return n.parts[0]
	}
	texts := make([]string, len(n.parts))
	for i, part := range n.parts {
		texts[i] = part.text
		if part.operator != "" {
			texts[i] = "(" + part.text + ")"
		}
	}
	n.text = strings.Join(texts, n.operator)
	return n
}

// anyOf returns the condition under which at least one file with these
// constraints is built.
func anyOf(list []fileConstraint) fileConstraint {
	var all constraint.Expr
	for _, c := range list {
		if c == "" {
			return ""
		}
		expr, err := constraint.Parse("//go:build " + string(c))
		if err != nil {
			panic(err) // cannot fail: this package formatted it
		}
		if all == nil {
			all = expr
		} else {
			all = &constraint.OrExpr{X: all, Y: expr}
		}
	}
	if all == nil {
		return ""
	}
	return canonical([]constraint.Expr{all})
}

// wantsIgnored reports whether the file is built only under the tag "ignore",
// which by convention marks programs in another package's folder.
func (c fileConstraint) wantsIgnored() bool {
	if c == "" {
		return false
	}
	expr, err := constraint.Parse("//go:build " + string(c))
	return err == nil && !expr.Eval(func(tag string) bool { return tag != "ignore" })
}

// slug returns the constraint as a part of a file name. If the plain spelling
// would be ambiguous or long, it uses a hash instead.
func (c fileConstraint) slug() string {
	if c == "" {
		return ""
	}
	var b strings.Builder
	ambiguous := false
	rest := string(c)
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, " && "):
			b.WriteString("_")
			rest = rest[4:]
		case strings.HasPrefix(rest, " || "):
			b.WriteString("_or_")
			rest = rest[4:]
		case rest[0] == '!':
			b.WriteString("not_")
			rest = rest[1:]
		case 'a' <= rest[0] && rest[0] <= 'z' || '0' <= rest[0] && rest[0] <= '9':
			b.WriteByte(rest[0])
			rest = rest[1:]
		default:
			ambiguous = true
			rest = rest[1:]
		}
	}
	s := b.String()
	for part := range strings.SplitSeq(s, "_") {
		// A tag called "or" or "gen" would look like one of our own separators.
		ambiguous = ambiguous || part == "gen" || part == "x" || part == "test" || part == ""
	}
	ambiguous = ambiguous || strings.Contains(string(c), "&&") && strings.Contains(string(c), "||") || strings.Contains("_"+strings.ReplaceAll(string(c), " ", "_")+"_", "_or_")
	if len(s) > 40 {
		s, ambiguous = strings.TrimRight(s[:40], "_"), true
	}
	if ambiguous {
		sum := sha256.Sum256([]byte(c))
		s = strings.Trim(s+"_"+hex.EncodeToString(sum[:4]), "_")
	}
	return s
}

// camel returns the constraint as a part of an identifier.
func (c fileConstraint) camel() string {
	var b strings.Builder
	for part := range strings.SplitSeq(c.slug(), "_") {
		b.WriteString(upperFirst(part))
	}
	return b.String()
}

// nameTags returns the tags that a file name implies: _GOOS, _GOARCH or
// _GOOS_GOARCH at its end, before _test.
func nameTags(name string) []string {
	name, _, _ = strings.Cut(name, ".")
	i := strings.Index(name, "_")
	if i < 0 {
		return nil
	}
	parts := strings.Split(name[i:], "_")
	if n := len(parts); n > 0 && parts[n-1] == "test" {
		parts = parts[:n-1]
	}
	n := len(parts)
	if n >= 2 && knownOS[parts[n-2]] && knownArch[parts[n-1]] {
		return []string{parts[n-2], parts[n-1]}
	}
	if n >= 1 && (knownOS[parts[n-1]] || knownArch[parts[n-1]]) {
		return []string{parts[n-1]}
	}
	return nil
}

// knownOS and knownArch are go/build's lists (internal/syslist). A test
// compares them with what go/build does.
var (
	knownOS = set("aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 " +
		"solaris wasip1 windows zos")
	knownArch = set("386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 " +
		"mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm")
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields(words) {
		m[word] = true
	}
	return m
}
