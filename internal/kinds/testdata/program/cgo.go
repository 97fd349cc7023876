//go:build withcgo

package main

// static int answer(void) { return 42; }
// struct pair { int a; double b; char text[8]; };
import "C"

var (
	vCInt  = C.answer()
	vCPair = C.struct_pair{a: 1, b: 2.5}
)

func init() {
	laterVars = append(laterVars, Var{"main.vCInt", &vCInt}, Var{"main.vCPair", &vCPair})
}
