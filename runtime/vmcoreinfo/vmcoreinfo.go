// Package vmcoreinfo describes the program in the format of the kernel's
// vmcoreinfo: versions, addresses and layouts that a reader of its memory needs.
//
// Packages coreimage and minidump use it without being asked. A program calls
// [Register] so that a process outside finds the description among its regions.
package vmcoreinfo

import (
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Text returns the description of the program as it is now: a KEY=value a line,
// with the entries, layouts and numbers of annotations and the regions that are
// registered. A name that the format cannot express, with a line break for
// example, is left out.
func Text() []byte {
	if registry.Off {
		return nil
	}
	return describe.Text()
}

// Register registers the description of the program as regions: the text of
// vmcoreinfo as it is then, the build info, and the process with the names of
// its environment variables, without values or arguments. Later calls do
// nothing.
func Register() {
	if !registry.Off {
		describe.Register()
	}
}
