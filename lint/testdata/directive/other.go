//go:build plan9

package directive

// want +1 "unknown directive //meminspect:exlude"
//meminspect:exlude
var elsewhere int
