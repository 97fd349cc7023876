package copied

//meminspect:entry
var Queue [8]int
