//go:build !unix

package corefile

import (
	"math"
	"os"
)

// free returns the largest number: the system does not report it.
func free(*os.File) int64 { return math.MaxInt64 }
