package main

import (
	"fmt"
	"os"

	"github.com/meminspect/meminspect/runtime/format/place"
)

// placeOf returns where the process runs, according to the environment of this
// one: nothing if they run in different containers.
func placeOf(pid int) place.Place {
	if !sameContainer(pid) {
		return place.Place{}
	}
	return place.FromEnvironment(os.Getenv)
}

// sameContainer reports whether a process sees the same files as this one.
func sameContainer(pid int) bool {
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	return err == nil && its == mine
}
