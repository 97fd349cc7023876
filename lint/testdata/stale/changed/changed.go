package changed

//meminspect:entry
var sessions map[string]int

// want +2 `meminspect_gen.go does not carry this line as it is written: run meminspect generate`
//
//meminspect:entry
var queue []int
