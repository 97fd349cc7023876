package annotate

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// A File has the directives of one source file.
type File struct {
	Syntax      *ast.File
	Annotations []Annotation // in source order
	Diagnostics []Diagnostic // in source order
}

// An Annotation is one line applied to one declared thing.
type Annotation struct {
	Line
	Target Target
}

// ID returns the name that the ID is derived from: the name= argument, or else
// the variable with its member path. It returns "" for a directive without an
// ID.
func (a *Annotation) ID() string {
	switch {
	case a.Kind != Entry && a.Kind != Area && a.Kind != ID:
		return ""
	case a.Name != "":
		return a.Name
	}
	return a.Expr()
}

// Expr returns the annotated source expression, like queue.head.
func (a *Annotation) Expr() string {
	expr := a.Target.String()
	if a.Member != nil {
		expr += a.Member.Text
	}
	return expr
}

// A TargetKind is a kind of declaration that an annotation can be on.
type TargetKind uint8

// Kinds of targets.
const (
	NoTarget TargetKind = iota // an id directive has no target
	Variable
	Constant
	Type
	Field
)

// A Target is the declaration that an annotation is on.
type Target struct {
	Kind  TargetKind
	Ident *ast.Ident // the declared name; of an embedded field, its type's name
	Name  string     // the package-level variable, constant or type
	Path  []string   // for a field: the fields that lead to it from the type or variable
	Field *ast.Field // set for a field
	Spec  ast.Spec   // the *ast.ValueSpec or *ast.TypeSpec of Name
	Index int        // for a variable or constant: its index in the spec's names
}

// String returns the target's name, for a field its path, like T.In.Key.
func (t Target) String() string {
	return strings.Join(append([]string{t.Name}, t.Path...), ".")
}

// TypeSpec returns the declaration of a type, or of the type that contains a
// field. It returns nil for other targets.
func (t Target) TypeSpec() *ast.TypeSpec {
	spec, _ := t.Spec.(*ast.TypeSpec)
	return spec
}

// Collect parses all directives of a file, which must have been parsed with
// comments, and attaches them to the declarations that they are on.
func Collect(fset *token.FileSet, syntax *ast.File) *File {
	c := &collector{
		fset: fset, file: &File{Syntax: syntax},
		places: map[*ast.CommentGroup]*place{},
	}
	c.findPlaces(syntax)
	for _, group := range syntax.Comments {
		for _, comment := range group.List {
			line, diagnostics := ParseLine(comment.Slash, comment.Text)
			c.file.Diagnostics = append(c.file.Diagnostics, diagnostics...)
			if line != nil {
				c.attach(line, group)
			}
		}
	}
	c.contradictions()
	sortDiagnostics(c.file.Diagnostics)
	return c.file
}

// A place is the position of a comment group among the declarations.
type place struct {
	what     string   // for messages
	targets  []Target // the declarations that a directive at this place applies to
	trailing bool     // after the declaration, not above it
	unnamed  bool     // a field that cannot be named: no named type or variable leads to it
}

// A collector collects from one file.
type collector struct {
	fset   *token.FileSet
	file   *File
	places map[*ast.CommentGroup]*place
	bodies []ast.Node  // function bodies
	inside []ast.Node  // struct and interface types
	begins []token.Pos // of declarations, fields and their comments
}

func (c *collector) errorf(pos, end token.Pos, code Code, format string, args ...any) {
	c.file.Diagnostics = append(c.file.Diagnostics,
		Diagnostic{Pos: pos, End: end, Code: code, Message: fmt.Sprintf(format, args...)})
}

// applies lists the kinds of targets of each directive.
var applies = map[Kind][]TargetKind{
	Entry:   {Variable},
	Area:    {Variable},
	Exclude: {Variable, Type, Field},
	ID:      {NoTarget},
	Layout:  {Type},
	Number:  {Constant},
}

var targetNames = map[Kind]string{
	Entry:   "a package-level variable",
	Area:    "a package-level variable",
	Exclude: "a package-level variable, a type or a struct field",
	Layout:  "a package-level type",
	Number:  "a package-level constant",
}

// attach finds the targets of a directive.
func (c *collector) attach(line *Line, group *ast.CommentGroup) {
	where := c.places[group]
	local := within(line.Pos, c.bodies)
	if line.Kind == ID {
		switch {
		case local:
			c.errorf(line.Pos, line.End, Local, "%sid inside a function: write it outside", Prefix)
		case within(line.Pos, c.inside):
			c.errorf(line.Pos, line.End, Misplaced, "%sid inside a type: write it outside", Prefix)
		default:
			c.file.Annotations = append(c.file.Annotations, Annotation{Line: *line, Target: Target{Name: line.Name}})
		}
		return
	}
	wants := targetNames[line.Kind]
	switch {
	case local:
		c.errorf(line.Pos, line.End, Local, "%s%s inside a function: it applies to %s", Prefix, line.Kind, wants)
	case where == nil:
		c.floating(line, group, wants)
	case where.trailing:
		c.errorf(line.Pos, line.End, Trailing, "%s%s after a declaration: write it on a separate line above the declaration", Prefix, line.Kind)
	case where.unnamed:
		c.errorf(line.Pos, line.End, Unnamed,
			"%s%s on a field of an unnamed struct type, in a value or in the type of a pointer, slice, array, map, channel or function: declare the struct type with a name", Prefix, line.Kind)
	default:
		c.apply(line, where, wants)
	}
}

// floating reports a directive without a declaration below it.
func (c *collector) floating(line *Line, group *ast.CommentGroup, wants string) {
	// Use physical lines: a "//line" comment must not hide the next declaration.
	next := c.fset.PositionFor(group.End(), false).Line + 2
	for _, begin := range c.begins {
		if at := c.fset.PositionFor(begin, false).Line; at == next || at == next+1 {
			c.errorf(line.Pos, line.End, Floating,
				"%s%s is separated by a blank line from the declaration below it: remove the blank line", Prefix, line.Kind)
			return
		}
	}
	c.errorf(line.Pos, line.End, Floating, "%s%s has no declaration below it: it applies to %s", Prefix, line.Kind, wants)
}

// apply makes one annotation for each target of the place.
func (c *collector) apply(line *Line, where *place, wants string) {
	if len(where.targets) == 0 || !fits(line.Kind, where.targets[0].Kind) {
		c.errorf(line.Pos, line.End, Misplaced, "%s%s on %s: it applies to %s", Prefix, line.Kind, where.what, wants)
		return
	}
	targets := named(where.targets)
	if len(targets) > 1 && line.Name != "" {
		pos, end := line.Arg("name")
		c.errorf(pos, end, Duplicate, "name=%s would name %d variables: declare them separately", line.Name, len(targets))
		return
	}
	for _, target := range targets {
		if c.sound(line, target) {
			c.file.Annotations = append(c.file.Annotations, Annotation{Line: *line, Target: target})
		}
	}
}

// named drops blank variables that are declared with others: in var f, _ =
// os.Open(name) the target is f.
func named(targets []Target) []Target {
	out := slices.DeleteFunc(slices.Clone(targets), func(t Target) bool {
		return t.Kind == Variable && t.Ident != nil && t.Ident.Name == "_"
	})
	if len(out) == 0 {
		return targets
	}
	return out
}

func fits(kind Kind, target TargetKind) bool {
	for _, fit := range applies[kind] {
		if fit == target {
			return true
		}
	}
	return false
}

// sound checks a target of the right kind, and reports problems with it.
func (c *collector) sound(line *Line, target Target) bool {
	if target.Ident != nil && target.Ident.Name == "_" {
		c.errorf(line.Pos, line.End, Blank, "%s%s on the blank identifier, which has no memory: give the variable a name", Prefix, line.Kind)
		return false
	}
	spec := target.TypeSpec()
	switch {
	case spec == nil:
		return true
	case spec.Assign.IsValid():
		c.errorf(line.Pos, line.End, Alias, "%s%s on the alias %s: write it on the type itself", Prefix, line.Kind, spec.Name.Name)
		return false
	case spec.TypeParams != nil && line.Kind == Layout:
		c.errorf(line.Pos, line.End, Generic, "%slayout on the generic type %s, whose instances differ in size", Prefix, spec.Name.Name)
		return false
	}
	return true
}

// contradictions reports variables that are both annotated and excluded, and
// directives without an ID that are written twice.
func (c *collector) contradictions() {
	type directive struct {
		kind   Kind
		target string
	}
	seen := map[directive]bool{}
	for _, a := range c.file.Annotations {
		key := directive{a.Kind, a.Target.String()}
		if a.ID() == "" && seen[key] {
			c.errorf(a.Pos, a.End, Duplicate, "%s%s is written twice on %s", Prefix, a.Kind, a.Target)
		}
		seen[key] = true
	}
	excluded := map[string]bool{}
	for _, a := range c.file.Annotations {
		if a.Kind == Exclude && a.Target.Kind != Type && a.Target.TypeSpec() == nil {
			excluded[a.Target.String()] = true
		}
	}
	for _, a := range c.file.Annotations {
		if (a.Kind == Entry || a.Kind == Area) && (excluded[a.Target.Name] || excluded[a.Expr()]) {
			c.errorf(a.Pos, a.End, Contradict, "%s is excluded and annotated: remove one of the two; an exclusion always wins", a.Expr())
		}
	}
}

// Duplicates reports names that two annotations of one package share, in source
// order. The files are those of the package and of its in-package tests. One
// variable that several files declare, under build constraints that exclude
// each other, is not a duplicate.
func Duplicates(fset *token.FileSet, files ...*File) []Diagnostic {
	type first struct {
		annotation *Annotation
		file       *File
	}
	seen := map[string]first{}
	var list []Diagnostic
	for _, file := range files {
		for i := range file.Annotations {
			a := &file.Annotations[i]
			name := a.ID()
			if name == "" {
				continue
			}
			before, taken := seen[name]
			if !taken {
				seen[name] = first{a, file}
				continue
			}
			sameThing := before.file != file && a.Kind != ID && before.annotation.Kind != ID &&
				before.annotation.Expr() == a.Expr()
			if sameThing {
				continue
			}
			pos, end := a.Arg("name")
			at := fset.Position(before.annotation.Pos)
			list = append(list, Diagnostic{Pos: pos, End: end, Code: Duplicate, Message: fmt.Sprintf(
				"the name %s is already used at %s:%d: give this annotation another name with name=", name, baseName(at.Filename), at.Line)})
		}
	}
	sortDiagnostics(list)
	return list
}

func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
