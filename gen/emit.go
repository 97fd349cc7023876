package gen

import (
	"fmt"
	"io"
	"strconv"

	"github.com/dave/jennifer/jen"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/folders"
)

// Import paths of the packages that generated code uses: the public one for the
// type of its IDs, and the one for generated code only.
const (
	runtimePath = "github.com/meminspect/meminspect/runtime"
	implPath    = runtimePath + "/meminspectimpl"
)

// An outputFile is one generated file as plain data.
type outputFile struct {
	Name       string // of the file
	Clause     string // package name
	Constraint string // //go:build expression, "" for none
	Package    string // import path
	Namespace  string // namespace that the IDs are hashed with
	Table      string // name of the table's variable
	Aliases    map[string]string
	IDs        []outputID
	Entries    []outputEntry
	Exclusions []outputExclusion
	Layouts    []outputLayout
	Numbers    []string // names of constants
	Declared   []outputDeclared
	Constants  []outputConstants
}

// An outputID is an ID constant.
type outputID struct {
	Const string
	Value uint64
	Name  string
}

// An outputEntry is one row of the table.
type outputEntry struct {
	Const   string
	Name    string
	Var     string         // the variable
	Member  *annotate.Path // nil for the whole variable
	Size    *annotate.Size // nil for all of it
	Imports imports        // of the annotated file, used by Size and Member
	Budget  uint64
	Depth   int
	Flags   []string
	Pos     string
	Note    string
}

// An outputExclusion is one row of the exclusions.
type outputExclusion struct {
	Kind    string // name of the constant
	Var     string // the excluded variable, or else
	Type    string // the excluded type; Field is a path in it
	Path    []string
	Package string
	Pos     string
}

// An outputLayout is a type whose size and offsets go to vmcoreinfo.
type outputLayout struct {
	Type   string
	Fields []string
}

// An outputDeclared is an ID for something registered at run time.
type outputDeclared struct{ Const, Name, Pos string }

// imports resolves the package names of one file.
type imports func(name string) (path string, ok bool)

// hasTable reports whether there is anything to link.
func (o *outputFile) hasTable() bool {
	return len(o.Entries)+len(o.Exclusions)+len(o.Layouts)+len(o.Numbers)+len(o.Declared) > 0
}

// emit writes the file, gofmt-clean. It knows no flags, no files and no
// globals. If the result is not valid Go, emit writes nothing and the error
// quotes the line.
func emit(w io.Writer, o *outputFile) error {
	file := jen.NewFilePathName(o.Package, o.Clause)
	file.HeaderComment(folders.Banner)
	if o.Constraint != "" {
		file.HeaderComment("//go:build " + o.Constraint)
	}
	file.ImportAlias(runtimePath, "meminspect")
	file.ImportName(implPath, "meminspectimpl")
	for path, alias := range o.Aliases {
		file.ImportAlias(path, alias)
	}
	o.emitIDs(file)
	if o.hasTable() {
		file.Var().Id(o.Table).Op("=").Add(o.table())
		file.Line()
		file.Func().Id("init").Params().Block(jen.Qual(implPath, "Link").Call(jen.Op("&").Id(o.Table)))
		o.emitGuards(file)
	}
	return file.Render(w)
}

// emitIDs writes the constants, and a guard that does not compile if one of
// them was edited.
func (o *outputFile) emitIDs(file *jen.File) {
	if len(o.IDs) == 0 {
		return
	}
	file.Comment("The IDs of this package's annotations, frozen in meminspect.ids.")
	file.Const().DefsFunc(func(g *jen.Group) {
		for _, id := range o.IDs {
			g.Id(id.Const).Qual(runtimePath, "ID").Op("=").Op(idLiteral(id.Value)).Comment(id.Name)
		}
	})
	file.Func().Id("_").Params().BlockFunc(func(g *jen.Group) {
		g.Comment("An \"invalid array index\" or \"constant overflows\" here means that an ID")
		g.Comment("above was changed by hand. Run meminspect generate.")
		g.Var().Id("x").Index(jen.Op("1")).Struct()
		for _, id := range o.IDs {
			g.Id("_").Op("=").Id("x").Index(jen.Id(id.Const).Op("-").Op(idLiteral(id.Value)))
		}
	})
}

func idLiteral(v uint64) string { return fmt.Sprintf("%#016x", v) }

// A literal collects the non-zero fields of a struct literal.
type literal struct{ fields []jen.Code }

func (l *literal) add(name string, value jen.Code) {
	l.fields = append(l.fields, jen.Id(name).Op(":").Add(value))
}

func (l *literal) text(name, value string) {
	if value != "" {
		l.add(name, jen.Op(strconv.Quote(value)))
	}
}

func (l *literal) multiline() *jen.Statement {
	return jen.Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, l.fields...)
}

// rows returns a slice literal with one row per line. (A slice of an array
// variable would be initialised by code.)
func rows(typ string, list []jen.Code) *jen.Statement {
	return jen.Index().Qual(implPath, typ).Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, list...)
}

// table returns the whole static table.
func (o *outputFile) table() jen.Code {
	l := &literal{}
	l.add("Magic", jen.Index(jen.Op("2")).Id("uint64").Values(jen.Qual(implPath, "TableMagic0"), jen.Qual(implPath, "TableMagic1")))
	l.add("Version", jen.Qual(implPath, "TableVersion"))
	l.text("Package", o.Package)
	l.text("Namespace", o.Namespace)
	add := func(field, typ string, n int, row func(int) jen.Code) {
		if n == 0 {
			return
		}
		list := make([]jen.Code, n)
		for i := range list {
			list[i] = row(i)
		}
		l.add(field, rows(typ, list))
	}
	add("Entries", "Entry", len(o.Entries), func(i int) jen.Code { return o.Entries[i].row() })
	add("Exclusions", "Exclusion", len(o.Exclusions), func(i int) jen.Code { return o.Exclusions[i].row() })
	add("Layouts", "Layout", len(o.Layouts), func(i int) jen.Code { return o.Layouts[i].row() })
	add("Numbers", "Number", len(o.Numbers), func(i int) jen.Code {
		n := &literal{}
		n.text("Name", o.Numbers[i])
		n.add("Value", jen.Id("int64").Call(jen.Id(o.Numbers[i])))
		return jen.Values(n.fields...)
	})
	add("Declared", "Declared", len(o.Declared), func(i int) jen.Code {
		d := &literal{}
		d.add("ID", jen.Id("uint64").Call(jen.Id(o.Declared[i].Const)))
		d.text("Name", o.Declared[i].Name)
		d.text("Pos", o.Declared[i].Pos)
		return jen.Values(d.fields...)
	})
	add("Constants", "Constants", len(o.Constants), func(i int) jen.Code { return o.Constants[i].row() })
	return jen.Qual(implPath, "Table").Add(l.multiline())
}

func (c *outputConstants) row() jen.Code {
	var names, values []jen.Code
	for _, name := range c.Names {
		names, values = append(names, jen.Lit(name)), append(values, jen.Id(name))
	}
	l := &literal{}
	l.add("Names", jen.Index().String().Values(names...))
	l.add("Values", jen.Op("&").Index(jen.Op("...")).Id(c.Type).Values(values...))
	return jen.Values(l.fields...)
}

func (e *outputEntry) row() jen.Code {
	l := &literal{}
	l.add("ID", jen.Id("uint64").Call(jen.Id(e.Const)))
	l.text("Name", e.Name)
	expr := jen.Op("&").Id(e.Var)
	text := e.Var
	if e.Member != nil {
		text += e.Member.Text
		for _, step := range e.Member.Steps {
			expr.Add(stepCode(step, e.Imports))
		}
	}
	l.text("Expr", text)
	l.add("Var", expr)
	switch {
	case e.Size == nil:
	case e.Size.Expr == nil:
		l.add("Size", jen.Op(e.Size.Text))
	default:
		l.add("Size", jen.Id("uint64").Call(exprCode(e.Size.Expr, e.Imports)))
	}
	if e.Budget > 0 {
		l.add("Budget", jen.Op(strconv.FormatUint(e.Budget, 10)))
	}
	if e.Depth > 0 {
		l.add("Depth", jen.Op(strconv.Itoa(e.Depth)))
	}
	if len(e.Flags) > 0 {
		flags := jen.Qual(implPath, e.Flags[0])
		for _, flag := range e.Flags[1:] {
			flags.Op("|").Qual(implPath, flag)
		}
		l.add("Flags", flags)
	}
	l.text("Pos", e.Pos)
	l.text("Note", e.Note)
	return jen.Values(l.fields...)
}

func (x *outputExclusion) row() jen.Code {
	l := &literal{}
	l.add("Kind", jen.Qual(implPath, x.Kind))
	field := ""
	for _, name := range x.Path {
		if field != "" {
			field += "."
		}
		field += name
	}
	switch x.Kind {
	case excludeVariable:
		expr := jen.Op("&").Id(x.Var)
		for _, name := range x.Path {
			expr.Dot(name)
		}
		l.add("Var", expr)
		field = ""
	case excludeType:
		l.add("Var", nilPointer(x.Type))
	case excludeField:
		l.add("Var", nilPointer(x.Type))
		l.add("Offset", jen.Id("uint64").Call(offsetCode(x.Type, x.Path)))
		l.add("Size", jen.Id("uint64").Call(jen.Qual("unsafe", "Sizeof").Call(fieldCode(x.Type, x.Path))))
	}
	l.text("Package", x.Package)
	l.text("Type", x.Type)
	l.text("Field", field)
	l.text("Pos", x.Pos)
	return jen.Values(l.fields...)
}

func (x *outputLayout) row() jen.Code {
	l := &literal{}
	l.text("Name", x.Type)
	l.add("Size", jen.Id("uint64").Call(jen.Qual("unsafe", "Sizeof").Call(jen.Op("*").Add(nilPointer(x.Type)))))
	if len(x.Fields) > 0 {
		var list []jen.Code
		for _, name := range x.Fields {
			f := &literal{}
			f.text("Name", name)
			f.add("Offset", jen.Id("uint64").Call(offsetCode(x.Type, []string{name})))
			f.add("Size", jen.Id("uint64").Call(jen.Qual("unsafe", "Sizeof").Call(fieldCode(x.Type, []string{name}))))
			list = append(list, jen.Values(f.fields...))
		}
		l.add("Fields", rows("LayoutField", list))
	}
	return jen.Values(l.fields...)
}

// nilPointer returns (*T)(nil), which names a type and is static data.
func nilPointer(typ string) *jen.Statement {
	return jen.Parens(jen.Op("*").Id(typ)).Call(jen.Nil())
}

// fieldCode returns a field selector for unsafe's functions, which do not
// evaluate it.
func fieldCode(typ string, path []string) *jen.Statement {
	expr := nilPointer(typ)
	for _, name := range path {
		expr.Dot(name)
	}
	return expr
}

// offsetCode returns the offset of a field of nested structs.
func offsetCode(typ string, path []string) *jen.Statement {
	sum := jen.Null()
	for i := range path {
		if i > 0 {
			sum.Op("+")
		}
		sum.Qual("unsafe", "Offsetof").Call(fieldCode(typ, path[:i+1]))
	}
	return sum
}
