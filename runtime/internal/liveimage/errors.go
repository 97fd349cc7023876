// Package liveimage keeps the head of a core in memory, and updates it as
// regions are registered and unregistered. So an agent that knows addresses and
// sizes, but not ELF, can make a core of a dead program. Packages coreimage and
// minidump publish it.
package liveimage

import "github.com/meminspect/meminspect/runtime/internal/registry"

// Errors of a region.
const (
	ErrFull = registry.Error("meminspect: core image: the table of regions is full")
	ErrWeak = registry.Error("meminspect: core image: a weak region has no address that stays")
)
