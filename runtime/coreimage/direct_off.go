//go:build race || msan || asan

package coreimage

// mayReadDirectly is false: a detector may report a reading that nothing synchronizes
// with the program's writes, or that is of memory it does not know.
const mayReadDirectly = false
