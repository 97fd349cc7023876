package main

import (
	"os"
	"testing"
)

//meminspect:entry
var inTest struct{ A, B int32 }

func TestMain(m *testing.M) {
	inTest.A = 1
	if len(os.Args) == 1 {
		main()
		return
	}
	os.Exit(m.Run())
}
