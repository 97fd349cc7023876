//go:build !linux

package value

import "strconv"

// errno has no names: those of this system are not those of Linux.
func errno(n uint64) (name, text string) { return "", "errno " + strconv.FormatUint(n, 10) }
