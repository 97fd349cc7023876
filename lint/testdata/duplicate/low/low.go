package low

import "github.com/meminspect/meminspect/runtime"

//meminspect:id Config

//meminspect:id State

var config, state int

func init() {
	meminspect.Register(IDConfig, &config)
}

// Start is called by users of the state.
func Start() {
	meminspect.Register(IDState, &state)
}
