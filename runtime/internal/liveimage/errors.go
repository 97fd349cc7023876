// Package liveimage keeps the head of a core in memory, and edits it as regions
// come and go, so that an agent that knows addresses and sizes, and not ELF, can
// make a core of a dead program. Packages coreimage and minidump publish it.
package liveimage

import "github.com/meminspect/meminspect/runtime/internal/registry"

// What can be wrong with a region.
const (
	ErrFull = registry.Error("core image: the table of regions is full")
	ErrWeak = registry.Error("core image: a weak region has no address that stays")
)
