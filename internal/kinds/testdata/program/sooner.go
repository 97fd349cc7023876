//go:build !go1.24

package main

var laterVars []Var
