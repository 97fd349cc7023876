module example.org/fork/shop

go 1.24

require (
	example.com/shop v0.0.0
	github.com/meminspect/meminspect/runtime v0.0.0
)
