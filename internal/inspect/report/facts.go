package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
)

// A Fact is what is known of one subject, for people.
type Fact struct {
	Name  string
	Parts []string // not empty
}

// Text returns the fact in one line.
func (f Fact) Text() string { return strings.Join(f.Parts, ", ") }

// Facts describes the program, its end, its process and the core.
func (r *Report) Facts() []Fact {
	process := facts.ProcessOf(r.Core)
	if process == nil {
		process = &facts.Process{}
	}
	all := []Fact{
		{"program", programFacts(r.Core)},
		{"bug", []string{r.Signature.String()}},
		{"when", whenFacts(r.Core, process)},
		{"where", placeFacts(process.Where)},
		{"tags", facts.Tags(r.Core.Tags())},
		{"attached", fileFacts(r.Core)},
		{"memory", memoryFacts(process)},
		{"held by", holderFacts(r.Heap)},
		{"leaked", leakFacts(r.Heap)},
		{"core", coreFacts(r.Core)},
	}
	for i := range all {
		all[i].Parts = slices.DeleteFunc(all[i].Parts, func(s string) bool { return s == "" })
	}
	return slices.DeleteFunc(all, func(f Fact) bool { return len(f.Parts) == 0 })
}

func programFacts(c *inspect.Core) []string {
	version := ""
	if c.Capture != nil {
		version = c.Capture.GoVersion
	}
	b := facts.BuildOf(c)
	if b == nil {
		return []string{c.Program(), version}
	}
	program := b.Package
	if b.Version != "" && b.Version != "(devel)" {
		program += "@" + b.Version
	}
	commit := b.Revision[:min(len(b.Revision), 12)] // as in pseudo-versions
	if commit != "" && !strings.Contains(b.Version, commit) {
		program += ", commit " + commit
	}
	if b.Modified {
		program += " with uncommitted changes"
	}
	return []string{program, version}
}

func whenFacts(c *inspect.Core, p *facts.Process) []string {
	var all []string
	if r := c.Capture; r != nil && !r.When.IsZero() {
		when := r.When.UTC().Format("2006-01-02 15:04:05 UTC")
		if p.Uptime > 0 {
			when += ", " + duration.Roughly(time.Duration(p.Uptime)) + " after its start"
		}
		all = append(all, when)
	}
	where := ""
	if pid := c.PID(); pid != 0 {
		where = fmt.Sprintf("pid %d", pid)
	}
	if c.Capture != nil && c.Capture.Host != "" {
		where = strings.TrimSpace(where + " on " + c.Capture.Host)
	}
	all = append(all, where)
	return all
}

// placeFacts describes the container and the pod.
func placeFacts(w facts.Where) []string {
	var all []string
	add := func(what, value string) {
		if value != "" {
			all = append(all, what+" "+value)
		}
	}
	add("pod", w.PodName())
	add("node", w.Node)
	add("image", w.Image)
	if w.PodName() == "" {
		add("container", w.Container[:min(len(w.Container), 12)])
	}
	return all
}

// fileFacts lists the attached files.
func fileFacts(c *inspect.Core) []string {
	var all []string
	for _, f := range facts.FilesOf(c) {
		all = append(all, fmt.Sprintf("%s (%s)", f.Path, bytesize.Short(f.Size)))
	}
	return all
}

func memoryFacts(p *facts.Process) []string {
	if p.Memory == nil {
		return nil
	}
	m := p.Memory
	var all []string
	add := func(what string, n uint64) {
		if n > 0 {
			all = append(all, what+" "+bytesize.Short(n))
		}
	}
	add("resident", m.Resident)
	if m.Peak > m.Resident {
		add("at most", m.Peak)
	}
	add("live heap", m.Live)
	add("GOMEMLIMIT", m.Limit)
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		all = append(all, name+" "+p.Limits[name])
	}
	return all
}

// MaxHolders is how many roots a report has that keep memory alive.
const MaxHolders = 3

// holderFacts are the roots that alone keep the most memory alive.
func holderFacts(h *heapreport.Report) []string {
	if h == nil {
		return nil
	}
	var all []string
	for _, root := range h.Holders(MaxHolders) {
		all = append(all, fmt.Sprintf("%s %s (%d %%)", root.Label(), bytesize.Short(root.Retained), 100*root.Retained/h.Heap.Bytes))
	}
	return all
}

// leakFacts are the goroutines that wait for ever, and the functions with which most of
// them began.
func leakFacts(h *heapreport.Report) []string {
	if h == nil || h.Leaks == nil || h.Leaks.Count == 0 {
		return nil
	}
	all := []string{fmt.Sprintf("%d goroutines wait for ever", h.Leaks.Count)}
	if h.Leaks.Count == 1 {
		all[0] = "1 goroutine waits for ever"
	}
	const most = 2
	for _, g := range h.Leaks.Groups[:min(most, len(h.Leaks.Groups))] {
		all = append(all, fmt.Sprintf("%d of %s (%s)", g.Count, g.Function, g.State))
	}
	return all
}

func coreFacts(c *inspect.Core) []string {
	all := []string{c.Path, bytesize.Short(uint64(c.Bytes))}
	if c.Encrypted {
		all = append(all, "encrypted")
	}
	if c.Capture != nil && c.Capture.Strict {
		all = append(all, "strict")
	}
	return all
}
