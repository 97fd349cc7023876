package original

//meminspect:entry
var Queue [8]int

//meminspect:entry
var Depth int
