// Package middle is between a program and what declares IDs: facts about
// packages reach direct importers only.
package middle

import (
	"example.com/fixture/unregistered/lib"
	"github.com/meminspect/meminspect/runtime"
)

// Start registers what the program itself does not name.
func Start() { meminspect.Register(lib.IDRegistered, &lib.Entry) }
