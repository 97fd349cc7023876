//go:build !meminspect_off

package describe

import "time"

// started is the time when the program's packages were initialized.
var started = time.Now()
