package inspect

import (
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// BuildInfo returns the build information of the core's program, nil if the core
// does not have it.
func (c *Core) BuildInfo() *debug.BuildInfo {
	text := c.text(note.ExtraBuildInfo, anchor.IDBuildInfo)
	info, err := debug.ParseBuildInfo(text)
	if text == "" || err != nil {
		return nil
	}
	return info
}

// MainPath returns the import path of the program's package main, "" if it is not
// known.
func (c *Core) MainPath() string {
	if c.Capture == nil {
		return ""
	}
	return c.Capture.Main
}

// Fact returns what the record of the capture has under a key, "" if it has none.
func (c *Core) Fact(key string) string {
	if c.Capture == nil {
		return ""
	}
	for _, p := range c.Capture.Extra {
		if p.Key == key {
			return strings.TrimRight(p.Value, " ") // one written over a longer one is padded
		}
	}
	return ""
}

// Program returns the name of the program as it was called, "" if the core does not
// record it.
func (c *Core) Program() string {
	if c.Capture != nil && c.Capture.Program != "" {
		return c.Capture.Program
	}
	if c.Process != nil {
		return c.Process.Name
	}
	return ""
}

// PID returns the ID of the process, 0 if the core does not record it.
func (c *Core) PID() int {
	if c.Capture != nil && c.Capture.PID != 0 {
		return c.Capture.PID
	}
	if c.Process != nil {
		return int(c.Process.PID)
	}
	return 0
}

// Tags returns the tags that the user gave the core, nil if it has no tags.
func (c *Core) Tags() map[string]string {
	if c.Capture == nil {
		return nil
	}
	var tags map[string]string
	for _, p := range c.Capture.Extra {
		if key, ok := strings.CutPrefix(p.Key, note.TagPrefix); ok {
			if tags == nil {
				tags = map[string]string{}
			}
			tags[key] = p.Value
		}
	}
	return tags
}

// Attached returns the files that were stored with the core.
func (c *Core) Attached() []note.AttachedFile {
	var files []note.AttachedFile
	for i := range c.Extras {
		if f, ok := c.Extras[i].Attached(); ok {
			files = append(files, f)
		}
	}
	return files
}

// Problems returns what the capture could not do, and why.
func (c *Core) Problems() []string {
	for i := range c.Extras {
		if c.Extras[i].Name == note.ExtraProblems {
			return strings.Split(strings.TrimSuffix(string(c.Extras[i].Data), "\n"), "\n")
		}
	}
	return nil
}

// Facts returns what the core records of the process: the values by their keys,
// which docs/reference/formats.md lists.
func (c *Core) Facts() map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(c.text(note.ExtraProcess, anchor.IDProcess)) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			facts[key] = value
		}
	}
	return facts
}

// Started returns when the process started, the zero time if the core does not
// record it.
func (c *Core) Started() time.Time {
	t, err := time.Parse(time.RFC3339Nano, c.Facts()["STARTED"])
	if err != nil {
		return time.Time{}
	}
	return t
}

// VMCoreInfo returns the text of the vmcoreinfo, empty if the core has none.
func (c *Core) VMCoreInfo() string {
	if desc, ok := c.Note(elfcore.OwnerVMCoreInfo, elfcore.NTVMCoreInfo); ok {
		return strings.TrimRight(string(desc), "\x00")
	}
	return c.text(note.ExtraVMCoreInfo, anchor.IDVMCoreInfo)
}

// text returns the text of a note, or of the region by which programs describe
// themselves.
func (c *Core) text(name string, region uint64) string {
	for i := range c.Extras {
		if c.Extras[i].Name == name {
			return string(c.Extras[i].Data)
		}
	}
	const maxText = 1 << 20
	var text []byte
	for i := range c.Regions {
		r := &c.Regions[i]
		if r.ID != region || r.Size > maxText {
			continue
		}
		text = slices.Grow(text[:0], int(r.Size))[:r.Size]
		if n, err := c.ReadMemory(r.Addr, text); err == nil && n == len(text) {
			return strings.TrimRight(string(text), "\x00")
		}
	}
	return ""
}
