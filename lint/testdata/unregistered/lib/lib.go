package lib

//meminspect:id Forgotten

//meminspect:id Registered

//meminspect:id ByAnother

//meminspect:entry
var Entry int
