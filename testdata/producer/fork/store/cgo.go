package store

/*
static int forty_two(void) { return 42; }
*/
import "C"

//meminspect:entry
var answer = C.forty_two()

func fromC() int { return int(answer) }
