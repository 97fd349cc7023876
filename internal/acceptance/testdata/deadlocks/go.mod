module deadlocks

go 1.25

require github.com/meminspect/meminspect/runtime v0.0.0

replace github.com/meminspect/meminspect/runtime => ../../../../runtime
