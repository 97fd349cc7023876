package leftover // want `meminspect_gen.go carries annotations that are gone: run meminspect generate`

var gone int
