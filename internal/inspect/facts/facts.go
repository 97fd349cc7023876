// Package facts reads what a core records of the program's build and of its process.
// The types are the JSON of meminspect info.
package facts

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/place"
)

// A Build is how the program was built.
type Build struct {
	Package  string            `json:"package,omitempty"`
	Module   string            `json:"module,omitempty"`
	Version  string            `json:"version,omitempty"`
	Revision string            `json:"vcsRevision,omitempty"`
	Time     string            `json:"vcsTime,omitempty"`
	Modified bool              `json:"vcsModified,omitempty"`
	Settings map[string]string `json:"settings,omitempty"` // without those of the version control system
}

// A Process is what is known of the process when the core was taken.
type Process struct {
	Started  *time.Time       `json:"started,omitempty"`
	Uptime   duration.Seconds `json:"uptime,omitempty"`
	MaxProcs int              `json:"gomaxprocs,omitempty"`
	GC       *GC              `json:"gc,omitempty"`
	Memory   *Memory          `json:"memory,omitempty"`
	Where
	Limits map[string]string `json:"cgroupLimits,omitempty"` // by the kernel's file names
}

// Where is where the process ran.
type Where struct {
	Container string `json:"container,omitempty"` // ID
	Image     string `json:"image,omitempty"`
	Pod       string `json:"pod,omitempty"`
	PodUID    string `json:"podUID,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Node      string `json:"node,omitempty"`
}

// WhereOf returns where the core's process ran.
func WhereOf(c *inspect.Core) Where {
	p := place.FromLines(c.Facts())
	return Where{Container: p.Container, Image: p.Image, Pod: p.Pod, PodUID: p.PodUID, Namespace: p.Namespace, Node: p.Node}
}

// PodName returns the pod's namespace and name, or what is known of them.
func (w Where) PodName() string {
	if name := cmp.Or(w.Pod, w.PodUID); w.Namespace != "" && name != "" {
		return w.Namespace + "/" + name
	}
	return cmp.Or(w.Pod, w.PodUID, w.Namespace)
}

// A File is a file that was stored with the core.
type File struct {
	Path   string `json:"path"`
	Size   uint64 `json:"bytes,string"`
	Stored uint64 `json:"storedBytes,string"` // the beginning
}

// FilesOf returns the files that were stored with the core.
func FilesOf(c *inspect.Core) []File {
	var files []File
	for _, f := range c.Attached() {
		files = append(files, File{f.Path, f.Size, uint64(len(f.Data))})
	}
	return files
}

// GC is what the garbage collector had done.
type GC struct {
	Cycles uint64           `json:"cycles,string"`
	Forced uint64           `json:"forced,string"`
	Paused duration.Seconds `json:"paused"`
	Last   *time.Time       `json:"last,omitempty"`
}

// Memory is how much memory the process had, in bytes.
type Memory struct {
	Resident uint64 `json:"residentBytes,omitempty,string"`
	Peak     uint64 `json:"peakBytes,omitempty,string"`
	Live     uint64 `json:"heapLiveBytes,omitempty,string"`
	InUse    uint64 `json:"heapInUseBytes,omitempty,string"`
	Released uint64 `json:"heapReleasedBytes,omitempty,string"`
	Mapped   uint64 `json:"goMappedBytes,omitempty,string"`
	Limit    uint64 `json:"goMemoryLimit,omitempty,string"`
	Percent  string `json:"gogc,omitempty"`
}

// BuildOf returns how the core's program was built, nil if unknown.
func BuildOf(c *inspect.Core) *Build {
	info := c.BuildInfo()
	if info == nil {
		return nil
	}
	b := &Build{Package: info.Path, Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs":
		default:
			if s.Value == "" {
				continue
			}
			if b.Settings == nil {
				b.Settings = map[string]string{}
			}
			b.Settings[s.Key] = s.Value
		}
	}
	return b
}

// ProcessOf returns what the core records of the process, nil if nothing.
func ProcessOf(c *inspect.Core) *Process {
	facts := c.Facts()
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(facts[key], 10, 64) // 0 if the core does not record it
		return n
	}
	p := &Process{MaxProcs: int(number("GOMAXPROCS")), Where: WhereOf(c)}
	if started := c.Started(); !started.IsZero() {
		p.Started = &started
	}
	if p.Started != nil && c.Capture != nil && c.Capture.When.After(*p.Started) {
		p.Uptime = duration.Seconds(c.Capture.When.Sub(*p.Started))
	}
	if _, ok := facts["GCCYCLES"]; ok {
		p.GC = &GC{Cycles: number("GCCYCLES"), Forced: number("GCFORCED"), Paused: duration.Seconds(number("GCPAUSED")), Last: timeOf(facts["GCLAST"])}
	}
	m := Memory{
		Resident: number("RESIDENT"), Peak: number("PEAK"), Live: number("HEAPLIVE"), InUse: number("HEAPINUSE"),
		Released: number("HEAPRELEASED"), Mapped: number("GOMAPPED"), Limit: number("GOMEMLIMIT"), Percent: facts["GOGC"],
	}
	if m.Limit == 1<<63-1 { // none
		m.Limit = 0
	}
	if m != (Memory{}) {
		p.Memory = &m
	}
	for key, value := range facts {
		if name, ok := strings.CutPrefix(key, "CGROUP."); ok {
			if p.Limits == nil {
				p.Limits = map[string]string{}
			}
			p.Limits[name] = value
		}
	}
	if p.Started == nil && p.MaxProcs == 0 && p.GC == nil && p.Memory == nil && p.Where == (Where{}) && p.Limits == nil {
		return nil
	}
	return p
}

// Tags returns tags as "key=value", by key.
func Tags(tags map[string]string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, key+"="+tags[key])
	}
	return all
}

func timeOf(text string) *time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil
	}
	return &t
}
