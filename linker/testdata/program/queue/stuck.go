//go:build stuck

package queue

import (
	"fmt"
	"os"
)

// wait keeps the program in the init of this package.
var wait = func() bool {
	fmt.Println("ready")
	var b [1]byte
	os.Stdin.Read(b[:])
	return true
}()
