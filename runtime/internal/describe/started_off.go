//go:build meminspect_off

package describe

import "time"

var started time.Time
