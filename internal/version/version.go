// Package version knows the version of this tool.
package version

import "runtime/debug"

// Released is the version of a release, which the linker sets; "" otherwise. A program
// that is built in a workspace has no version in its build information.
var Released string

// String returns the version of this program, "(devel)" if it is not known.
func String() string {
	if Released != "" {
		return "v" + Released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
