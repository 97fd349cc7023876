package annotate

import (
	"go/ast"
	"go/token"
)

// findPlaces records, for each comment group of the file, the declaration below
// it. go/parser attaches a comment to the GenDecl of a lone declaration, to a
// spec of a grouped one, or to a field, so findPlaces handles all of them.
func (c *collector) findPlaces(file *ast.File) {
	c.note(file.Doc, &place{what: "the package clause"})
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			c.note(decl.Doc, &place{what: "a function"})
			if decl.Body != nil {
				c.bodies = append(c.bodies, decl.Body)
			}
			c.locals(decl)
		case *ast.GenDecl:
			c.genDecl(decl)
		}
	}
}

// note records a place for a group, if there is a group.
func (c *collector) note(group *ast.CommentGroup, where *place) {
	if group != nil {
		c.places[group] = where
	}
}

// begin records where a declaration, its comment included, begins.
func (c *collector) begin(doc *ast.CommentGroup, node ast.Node) {
	if doc != nil {
		c.begins = append(c.begins, doc.Pos())
		return
	}
	c.begins = append(c.begins, node.Pos())
}

// genDecl records the places of one var, const, type or import declaration.
func (c *collector) genDecl(decl *ast.GenDecl) {
	c.begin(decl.Doc, decl)
	if decl.Lparen.IsValid() {
		c.note(decl.Doc, &place{what: "a group of declarations: write it inside, above each"})
	}
	for _, spec := range decl.Specs {
		where := &place{what: "an import"}
		var doc, comment *ast.CommentGroup
		switch spec := spec.(type) {
		case *ast.ImportSpec:
			doc, comment = spec.Doc, spec.Comment
		case *ast.ValueSpec:
			doc, comment = spec.Doc, spec.Comment
			where = valuePlace(decl.Tok, spec)
			c.valueTypes(decl.Tok, spec)
		case *ast.TypeSpec:
			doc, comment = spec.Doc, spec.Comment
			where = &place{what: "a type", targets: []Target{{Kind: Type, Ident: spec.Name, Name: spec.Name.Name, Spec: spec}}}
			owner := Target{Kind: Field, Name: spec.Name.Name, Spec: spec}
			c.fields(spec.Type, &owner)
		}
		if decl.Lparen.IsValid() {
			c.begin(doc, spec)
		} else {
			c.note(decl.Doc, where)
		}
		c.note(doc, where)
		c.note(comment, &place{what: where.what, targets: where.targets, trailing: true})
	}
}

// valuePlace is the place above variables or constants.
func valuePlace(tok token.Token, spec *ast.ValueSpec) *place {
	where := &place{what: "a variable"}
	kind := Variable
	if tok == token.CONST {
		where.what, kind = "a constant", Constant
	}
	for i, name := range spec.Names {
		where.targets = append(where.targets, Target{Kind: kind, Ident: name, Name: name.Name, Spec: spec, Index: i})
	}
	return where
}

// valueTypes records the fields of a variable's struct type, and the
// declarations inside function literals of its value.
func (c *collector) valueTypes(tok token.Token, spec *ast.ValueSpec) {
	for _, value := range spec.Values {
		c.locals(value)
	}
	if spec.Type == nil || tok != token.VAR {
		return
	}
	if len(spec.Names) != 1 {
		c.fields(spec.Type, nil)
		return
	}
	owner := Target{Kind: Field, Name: spec.Names[0].Name, Spec: spec}
	c.fields(spec.Type, &owner)
}

// fields records the fields of the struct types in typ. owner is the type or
// variable, and the path so far, that lead to typ; nil if nothing named leads
// to it.
func (c *collector) fields(typ ast.Expr, owner *Target) {
	switch typ := typ.(type) {
	case *ast.ParenExpr:
		c.fields(typ.X, owner)
	case *ast.StructType:
		c.inside = append(c.inside, typ)
		for _, field := range typ.Fields.List {
			c.structField(field, owner)
		}
	case *ast.InterfaceType:
		c.inside = append(c.inside, typ)
		for _, method := range typ.Methods.List {
			c.note(method.Doc, &place{what: "a method of an interface"})
			c.note(method.Comment, &place{what: "a method of an interface", trailing: true})
		}
	case nil:
	default:
		// Struct types inside pointers, slices, maps and so on: no name leads to
		// their fields.
		ast.Inspect(typ, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				c.fields(n, nil)
				return false
			case *ast.InterfaceType:
				c.fields(n, nil)
				return false
			}
			return true
		})
	}
}

// structField records one line of a struct type, and the structs inside it.
func (c *collector) structField(field *ast.Field, owner *Target) {
	where := &place{what: "a struct field", unnamed: owner == nil}
	c.begin(field.Doc, field)
	for _, name := range FieldNames(field) {
		if owner == nil {
			where.targets = append(where.targets, Target{Kind: Field, Ident: name, Field: field})
			continue
		}
		target := *owner
		target.Path = append(append([]string(nil), owner.Path...), name.Name)
		target.Ident, target.Field = name, field
		where.targets = append(where.targets, target)
	}
	c.note(field.Doc, where)
	c.note(field.Comment, &place{what: where.what, trailing: true})

	var inner *Target
	if len(field.Names) == 1 && owner != nil && field.Names[0].Name != "_" {
		inner = &where.targets[0]
	}
	c.fields(field.Type, inner)
}

// FieldNames returns the names on one line of a struct type. An embedded field
// has the name of its type.
func FieldNames(field *ast.Field) []*ast.Ident {
	if len(field.Names) > 0 {
		return field.Names
	}
	if name := embeddedName(field.Type); name != nil {
		return []*ast.Ident{name}
	}
	return nil
}

// embeddedName returns the name of an embedded field of this type.
func embeddedName(typ ast.Expr) *ast.Ident {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ
	case *ast.SelectorExpr:
		return typ.Sel
	case *ast.StarExpr:
		return embeddedName(typ.X)
	case *ast.ParenExpr:
		return embeddedName(typ.X)
	case *ast.IndexExpr:
		return embeddedName(typ.X)
	case *ast.IndexListExpr:
		return embeddedName(typ.X)
	}
	return nil
}

// locals records the places inside functions under node, and the fields of
// struct types in function signatures and values.
func (c *collector) locals(node ast.Node) {
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			c.bodies = append(c.bodies, n.Body)
		case *ast.StructType, *ast.InterfaceType:
			if !within(n.Pos(), c.bodies) {
				c.fields(n.(ast.Expr), nil)
				return false
			}
		}
		return true
	})
}

// within reports whether pos is inside one of the nodes.
func within(pos token.Pos, nodes []ast.Node) bool {
	for _, n := range nodes {
		if n.Pos() < pos && pos < n.End() {
			return true
		}
	}
	return false
}
