// Package opened lets packages of this module, and no others, reach the program of a
// core that package inspect opened for a user.
package opened

import "github.com/meminspect/meminspect/internal/inspect"

// Program returns the program of an *inspect.Core of the public package inspect, which
// sets the variable when it is initialized.
var Program func(core any) *inspect.Program
