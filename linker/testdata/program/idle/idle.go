// Package idle never uses what it annotates.
package idle

//meminspect:entry
var unused [128]uint64
