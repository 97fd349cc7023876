// Package annotate understands //meminspect: lines: the grammar of one line,
// and which declaration of a file a line belongs to. It works from syntax
// alone, so it also works on source that does not compile yet.
//
// The levels, from the inside out:
//
//   - [ParseLine] parses one comment line into a [Line] or diagnostics. Every
//     line with our prefix gives one or the other, as do the near-misses that
//     gofmt would turn into prose ("// meminspect:entry", "//mem-inspect:entry").
//   - [Collect] does so for a parsed file (with comments) and attaches each line
//     to what it annotates: one [Annotation] for each variable, constant, type
//     or field, so that a line above "var a, b int" gives two.
//   - [Duplicates] finds names that are given twice within one package.
//   - [Hit] tells from the bytes of a file whether parsing it can give
//     anything.
//
// An analyzer does
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
// belongs to. The expressions in [Size] and [Path] were parsed on their own:
// their positions mean nothing, their Text can be given to types.Eval at the
// annotation's target.
//
// Messages and the written grammar (docs/annotations.md) are kept together by
// the [Code] of each diagnostic: a test compares the two.
package annotate
