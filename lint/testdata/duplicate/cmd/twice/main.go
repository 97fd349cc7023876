package main

import (
	"example.com/fixture/duplicate/copied"
	"example.com/fixture/duplicate/original"
)

func main() { println(copied.Queue[0], original.Queue[0]) }
