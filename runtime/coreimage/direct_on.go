//go:build !race && !msan && !asan

package coreimage

const mayReadDirectly = true
