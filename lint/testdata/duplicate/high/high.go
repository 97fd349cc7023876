package high

import (
	"example.com/fixture/duplicate/low"
	"github.com/meminspect/meminspect/runtime"
)

var config, state int

var _, _ = meminspect.Register(low.IDConfig, &config) // want `low.IDConfig is already registered at example.com/fixture/duplicate/low, low.go:12`

func init() {
	meminspect.Register(low.IDState, &state)
}
