//go:build plan9

package directive

// want +2 "unknown directive //meminspect:exlude"
//
//meminspect:exlude
var elsewhere int
