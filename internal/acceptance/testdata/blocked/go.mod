module blocked

go 1.24

require github.com/meminspect/meminspect/runtime v0.0.0

replace github.com/meminspect/meminspect/runtime => ../../../../runtime
