package capture

import (
	"runtime/debug"

	"github.com/meminspect/meminspect/internal/version"
)

// toolVersion returns this project's version in the running program.
func toolVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	const module = "github.com/meminspect/meminspect"
	if info.Main.Path == module {
		return version.String()
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
