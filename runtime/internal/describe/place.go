package describe

import (
	"os"

	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/place"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// redacted replaces the values of tags if exclusions exist: they may contain
// what is excluded, and a program does not search its own excluded values.
const redacted = "[redacted]"

// Tags returns the tags that the program has set, for the record of a core that
// it writes of itself.
func Tags() []note.Pair {
	var all []note.Pair
	for key, value := range registry.Tags() {
		if registry.HasExclusions() {
			value = redacted
		}
		all = append(all, note.Pair{Key: note.TagPrefix + key, Value: value})
	}
	return all
}

// whereItRuns returns the container of this process and its place in a cluster.
func whereItRuns() place.Place {
	groups, _ := os.ReadFile("/proc/self/cgroup") // only Linux has these files
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	return place.FromKernel(string(groups), string(mounts)).Or(place.FromEnvironment(os.Getenv))
}
