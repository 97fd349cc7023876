//go:build library

package main

import "C"

// marked runs the program in a C host, which has its arguments.
//
//export marked
func marked() { main() }
