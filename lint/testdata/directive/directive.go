package directive

// want +2 "unknown directive //meminspect:entri"
//
//meminspect:entri
var a int

// want +2 "depth=deep: want a number of pointers"
//
//meminspect:entry depth=deep
var b int

// want +2 "entry on a type: it applies to a package-level variable"
//
//meminspect:entry
type T struct{}

// want +2 "unknown argument \"dept\""
//
//meminspect:entry dept=3
var c int

// want +1 "is not a directive and would be ignored: write //meminspect:entry"
// meminspect:entry
var d int

// want +1 "has no declaration below it"
//meminspect:entry

func f() {
	// want +1 "entry inside a function"
	//meminspect:entry
	var local int
	_ = local
}

//meminspect:entry name=same
var e int

// want +2 "the name same is already used at directive.go:37"
//
//meminspect:entry name=same
var g int

//nolint:meminspect // a line for another tool
//meminspect:entri
var suppressed int
