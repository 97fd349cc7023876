package gen

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/folders"
)

// Names of the runtime's exclusion kinds and entry flags.
const (
	excludeVariable     = "ExcludeVariable"
	excludeType         = "ExcludeType"
	excludeField        = "ExcludeField"
	excludeGenericType  = "ExcludeGenericType"
	excludeGenericField = "ExcludeGenericField"
)

// An outputKey identifies a generated file of a folder.
type outputKey struct {
	unit       unit
	constraint fileConstraint
}

// fileName returns the name of a generated file. It ends in _gen, or in _gen_x
// for external tests, so that the go command does not take any part of the
// constraint in it for a GOOS or GOARCH.
func (k outputKey) fileName() string {
	name := "meminspect_"
	if k.constraint != "" {
		name += k.constraint.slug() + "_"
	}
	return name + "gen" + [...]string{"", "_test", "_x_test"}[k.unit] + ".go"
}

// table returns the name of the file's table. Names differ, because files of
// one package may be built together.
func (k outputKey) table() string {
	return "meminspectTable" + [...]string{"", "Test", ""}[k.unit] + k.constraint.camel()
}

// outputs returns the generated files as plain data, and reports conflicts.
func (p *plan) outputs(ov *folders.Overlay) []*outputFile {
	made := map[outputKey]*outputFile{}
	get := func(k outputKey) *outputFile {
		o := made[k]
		if o == nil {
			o = &outputFile{
				Name: k.fileName(), Clause: p.pkg.clause, Constraint: string(k.constraint), Table: k.table(),
				Package: p.pkg.folder.ImportPath, Namespace: p.namespace(k.unit), Aliases: map[string]string{},
			}
			if k.unit == externalUnit {
				o.Clause += "_test"
				o.Package += "_test"
			}
			made[k] = o
		}
		return o
	}
	var main [3]*outputFile // the files with ID constants
	for _, n := range p.names {
		if main[n.unit] == nil {
			main[n.unit] = get(outputKey{unit: n.unit})
			main[n.unit].Constraint = string(p.unitConstraint(n.unit))
		}
	}
	p.addIDs(main)
	for u := range p.pkg.files {
		for _, file := range p.pkg.files[u] {
			if file.found == nil {
				continue
			}
			for i := range file.found.Annotations {
				a := &file.found.Annotations[i]
				if a.Kind == annotate.ID {
					continue
				}
				p.addRow(get(outputKey{unit(u), file.constraint}), unit(u), file, a)
			}
		}
	}
	p.addConstants(made)
	list := make([]*outputFile, 0, len(made))
	for _, o := range made {
		o.sort()
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *outputFile) int { return strings.Compare(a.Name, b.Name) })
	if !p.refuseForeign(ov, list) { // their names would conflict too
		p.checkNames(made)
	}
	return list
}

// unitConstraint returns the constraint of the file with a unit's ID constants.
// If any file of the unit is unconstrained, there is none. Otherwise it is the
// disjunction of all constraints: the constants' file must not create a
// package, or a program without main, where the other files do not exist.
func (p *plan) unitConstraint(u unit) fileConstraint {
	var all []fileConstraint
	for _, file := range p.pkg.files[u] {
		all = append(all, file.constraint)
	}
	return anyOf(all)
}

// addIDs adds the ID constants and the declared IDs.
func (p *plan) addIDs(main [3]*outputFile) {
	seen := map[string]*named{}
	for _, n := range p.names {
		o := main[n.unit]
		name := constName(n.ID())
		pos := p.position(n.Pos)
		key := fmt.Sprint(o.Clause, ".", name)
		if other, ok := seen[key]; ok {
			if other.row != n.row {
				p.pkg.find(Finding{Pos: p.pkg.fset.Position(n.Pos), Code: "collision", Message: fmt.Sprintf(
					"%s and %s would both have the constant %s: give one another name with name=", other.ID(), n.ID(), name)})
			}
			continue
		}
		seen[key] = n
		o.IDs = append(o.IDs, outputID{Const: name, Value: n.row.ID, Name: n.ID()})
		if n.Kind == annotate.ID {
			o.Declared = append(o.Declared, outputDeclared{Const: name, Name: n.ID(), Pos: pos})
		}
	}
}

// position returns file:line, relative to the package's folder.
func (p *plan) position(pos token.Pos) string {
	at := p.pkg.fset.Position(pos)
	return fmt.Sprintf("%s:%d", at.Filename[strings.LastIndexAny(at.Filename, `/\`)+1:], at.Line)
}

// addRow adds the rows of one annotation.
func (p *plan) addRow(o *outputFile, u unit, file *sourceFile, a *annotate.Annotation) {
	pos := p.position(rowPos(a))
	switch a.Kind {
	case annotate.Entry, annotate.Area:
		p.checkExprs(u, file, a)
		e := outputEntry{
			Const: constName(a.ID()), Name: a.ID(), Var: a.Target.Name, Member: a.Member, Size: a.Size,
			Imports: p.importsOf(u, file), Budget: a.Budget, Depth: a.Depth, Pos: pos, Note: a.Note,
		}
		for _, flag := range []struct {
			set  bool
			name string
		}{{a.Kind == annotate.Area, "Area"}, {a.Member != nil, "Member"}, {a.HasDepth, "HasDepth"}, {a.Summary, "Summary"}} {
			if flag.set {
				e.Flags = append(e.Flags, flag.name)
			}
		}
		for _, expr := range exprsOf(a) {
			for _, sel := range packageNames(expr) {
				if path, ok := e.Imports(sel.Name); ok {
					o.Aliases[path] = sel.Name
				}
			}
		}
		o.Entries = append(o.Entries, e)
	case annotate.Exclude:
		o.Exclusions = append(o.Exclusions, p.exclusion(u, a, pos))
	case annotate.Layout:
		o.Layouts = append(o.Layouts, layout(a))
	case annotate.Number:
		o.Numbers = append(o.Numbers, a.Target.Name)
	}
}

// exclusion returns the row of an exclusion. Types are named by the package
// path that the Go runtime uses: "main" for a program's, but not for its
// tests'.
func (p *plan) exclusion(u unit, a *annotate.Annotation, pos string) outputExclusion {
	x := outputExclusion{Path: a.Target.Path, Package: p.packageOf(p.namespace(u)), Pos: pos}
	spec := a.Target.TypeSpec()
	if spec == nil {
		x.Kind, x.Var = excludeVariable, a.Target.Name
		return x
	}
	if p.pkg.clause == "main" && u == ownUnit {
		x.Package = "main"
	}
	x.Type = a.Target.Name
	kinds := [2][2]string{{excludeType, excludeField}, {excludeGenericType, excludeGenericField}}
	generic, field := 0, 0
	if spec.TypeParams != nil {
		generic = 1
	}
	if len(x.Path) > 0 {
		field = 1
	}
	x.Kind = kinds[generic][field]
	return x
}

// layout lists the named fields of a struct type.
func layout(a *annotate.Annotation) outputLayout {
	l := outputLayout{Type: a.Target.Name}
	if st, ok := a.Target.TypeSpec().Type.(*ast.StructType); ok {
		for _, field := range st.Fields.List {
			for _, name := range annotate.FieldNames(field) {
				if name.Name != "_" {
					l.Fields = append(l.Fields, name.Name)
				}
			}
		}
	}
	return l
}

// sort makes the order independent of the order of files.
func (o *outputFile) sort() {
	slices.SortFunc(o.IDs, func(a, b outputID) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Entries, func(a, b outputEntry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Pos, b.Pos))
	})
	slices.SortFunc(o.Exclusions, func(a, b outputExclusion) int {
		return cmp.Or(strings.Compare(a.Var, b.Var), strings.Compare(a.Type, b.Type), slices.Compare(a.Path, b.Path))
	})
	slices.SortFunc(o.Layouts, func(a, b outputLayout) int { return strings.Compare(a.Type, b.Type) })
	slices.Sort(o.Numbers)
	slices.SortFunc(o.Constants, func(a, b outputConstants) int { return strings.Compare(a.Type, b.Type) })
	slices.SortFunc(o.Declared, func(a, b outputDeclared) int { return strings.Compare(a.Name, b.Name) })
}

// constName returns the name of an ID's constant. It is exported if the name
// is, and omits all characters of a path that are not letters or digits.
func constName(name string) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		b.WriteString(upperFirst(part))
	}
	if first, _ := utf8.DecodeRuneInString(name); unicode.IsUpper(first) {
		return "ID" + b.String()
	}
	return "id" + b.String()
}

func upperFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:]
}
