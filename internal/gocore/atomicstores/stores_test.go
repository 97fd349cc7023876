package atomicstores

import "testing"

// Any bytes are code, and never a panic.
func FuzzCode(f *testing.F) {
	f.Add([]byte{0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x48, 0x87, 0x10})
	f.Fuzz(func(_ *testing.T, code []byte) {
		exchanges(code, 0x401000)
		releaseStores(code, 0x401000)
	})
}
