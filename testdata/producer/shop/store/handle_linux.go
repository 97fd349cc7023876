package store

//meminspect:entry
var handle int
