// Package annotate parses //meminspect: directives: it defines the grammar of
// one line, and finds the declaration that a directive is on. It needs only
// syntax, so it works on source that does not compile.
//
// From the smallest unit to the largest:
//
//   - [ParseLine] parses one comment line into a [Line] or diagnostics. Every
//     line with the prefix gives one or the other, as do near-misses that gofmt
//     would turn into prose ("// meminspect:entry", "//mem-inspect:entry").
//   - [Collect] parses the directives of a file and attaches each to its
//     declaration: one [Annotation] for each variable, constant, type or field.
//     A directive above "var a, b int" gives two.
//   - [Duplicates] finds names that are used twice in a package.
//   - [Hit] reports, from the bytes of a file, whether it can have directives.
//
// An analyzer calls them like this:
//
//	for _, f := range pass.Files {
//		file := annotate.Collect(pass.Fset, f)
//		for _, d := range file.Diagnostics { … d.Pos, d.End, d.Code, d.Message, d.Fix … }
//		for _, a := range file.Annotations { … pass.TypesInfo.Defs[a.Target.Ident] … }
//	}
//	annotate.Duplicates(pass.Fset, files…)
//
// Positions are those of the file set; diagnostics are in source order. A
// diagnostic's End is never before its Pos and never past the comment it
// belongs to. The expressions in [Size] and [Path] are parsed separately: their
// positions have no meaning. Pass their Text to types.Eval at the annotation's
// target.
//
// docs/reference/annotations.md explains each [Code]; a test compares the two.
package annotate
