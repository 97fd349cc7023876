package store

//meminspect:entry
var handle uintptr

//meminspect:entry
var console uintptr
