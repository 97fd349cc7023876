package annotate

import (
	"cmp"
	"go/token"
	"slices"
)

// A Code is a kind of diagnostic. docs/reference/annotations.md explains each one.
type Code string

// The kinds of diagnostics.
const (
	NearMiss         Code = "near-miss"         // looks like a directive but is not one
	Malformed        Code = "malformed"         // the prefix without a directive
	UnknownDirective Code = "unknown-directive" // //meminspect:foo
	BadQuoting       Code = "bad-quoting"       // a quoted argument that does not end
	UnknownArgument  Code = "unknown-argument"  // the directive has no such argument
	RepeatedArgument Code = "repeated-argument" // the same argument twice
	MissingArgument  Code = "missing-argument"  // area without size=, id without a name
	BadName          Code = "bad-name"          // not an identifier
	BadMember        Code = "bad-member"        // not a path of fields and constant indices
	BadSize          Code = "bad-size"          // neither a size nor a constant expression
	BadNumber        Code = "bad-number"        // depth= that is not a small number

	Misplaced  Code = "misplaced"  // above a declaration of a kind that the directive does not apply to
	Trailing   Code = "trailing"   // after a declaration instead of above it
	Floating   Code = "floating"   // no declaration follows
	Local      Code = "local"      // inside a function
	Blank      Code = "blank"      // on the blank identifier
	Alias      Code = "alias"      // exclude or layout on an alias
	Generic    Code = "generic"    // layout on a generic type
	Unnamed    Code = "unnamed"    // a field that cannot be named: no named type or variable leads to it
	Duplicate  Code = "duplicate"  // a name is used twice
	Contradict Code = "contradict" // annotated and excluded
)

// Codes lists all codes in the order of the documentation.
var Codes = []Code{
	NearMiss, Malformed, UnknownDirective, BadQuoting, UnknownArgument, RepeatedArgument,
	MissingArgument, BadName, BadMember, BadSize, BadNumber,
	Misplaced, Trailing, Floating, Local, Blank, Alias, Generic, Unnamed, Duplicate, Contradict,
}

// A Diagnostic is a mistake at [Pos, End) of the source.
type Diagnostic struct {
	Pos, End token.Pos
	Code     Code
	Message  string // lower case, one line
	Fix      *Fix   // nil if no edit is certain to be correct
}

// A Fix replaces [Pos, End) with NewText.
type Fix struct {
	Message  string
	Pos, End token.Pos
	NewText  string
}

// sortDiagnostics sorts a file's diagnostics by position.
func sortDiagnostics(list []Diagnostic) {
	slices.SortStableFunc(list, func(a, b Diagnostic) int { return cmp.Compare(a.Pos, b.Pos) })
}
