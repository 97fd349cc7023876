package lost

// want +2 `generate refuses: meminspect.ids: `
//
//meminspect:entry
var kept int

var lost int
