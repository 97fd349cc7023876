module github.com/meminspect/meminspect/runtime

go 1.24
