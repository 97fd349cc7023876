//go:build !linux

package corefile

import "os"

// unnamed returns an empty file in dir whose name is removed if the system allows
// that.
func unnamed(dir string) (*os.File, error) { return removed(dir) }
