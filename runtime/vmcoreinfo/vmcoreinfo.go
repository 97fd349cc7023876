// Package vmcoreinfo describes the program in the format of the kernel's
// vmcoreinfo: versions, addresses and layouts that a reader of its memory
// needs.
//
// Packages coreimage and minidump always use it. A program calls [Register] so
// that an external process finds the description among its regions.
package vmcoreinfo

import (
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Text returns the current description of the program: one KEY=value per line,
// with the entries, layouts and numbers of annotations and the registered
// regions. It omits names that the format cannot express, for example with a
// line break.
func Text() []byte {
	if registry.Off {
		return nil
	}
	return describe.Text()
}

// Register registers the description of the program as regions: the current
// text of vmcoreinfo, the build info, and the process with the names of its
// environment variables, without values or arguments. Later calls do nothing.
func Register() {
	if !registry.Off {
		describe.Register()
	}
}
