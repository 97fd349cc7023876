package main

import "os"

// openFiles is known on Linux alone, and so is its entry.
//
//meminspect:entry
var openFiles int32

func countFiles() {
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		openFiles = int32(len(entries))
	}
}

func linuxVariables() map[string]any { return map[string]any{"openFiles": &openFiles} }
