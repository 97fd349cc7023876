//go:build !amd64 && !arm64

package process

// Registers of this machine are not understood; they are kept as they are.
const (
	generalSize = 0

	regBP, regPC, regSP = -1, -1, -1

	hasXState = false
)

var kept []int

func threadPointer(*Thread) uint64 { return 0 }
