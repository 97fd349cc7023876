package main

import "example.com/fixture/unregistered/middle"

func main() { middle.Start() }
