package fresh

//meminspect:entry
var sessions map[string]int

//meminspect:id Config
