//go:build !meminspect_off

package describe

import "time"

// started is when the packages of the program were initialized.
var started = time.Now()
