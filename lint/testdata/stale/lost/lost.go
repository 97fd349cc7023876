package lost

// want +1 `generate refuses: meminspect.ids: `
//meminspect:entry
var kept int

var lost int
