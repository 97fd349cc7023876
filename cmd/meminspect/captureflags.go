package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/place"
)

// captureFlags are the flags of every command that captures: the content of a
// core, and how it is stored. Package runtime/monitor passes the same flags on,
// as its Capture.
type captureFlags struct {
	strict, data         bool
	stacks               choice
	args, labels, heap   bool
	tags                 tags
	place                place.Place
	attach               []string
	include              []string
	symbols              string
	budget, regionBudget bytesize.Value
	depth, segments      int

	compress       bool
	recipients     []string
	recipientFiles []string
}

// Bounds of the flags with numbers.
const (
	maxDepth    = 1000 // as in annotations
	maxSegments = 1 << 20
)

func (f *captureFlags) add(cmd *cobra.Command) {
	*f = captureFlags{
		stacks: choose("auto", "full", "skeleton", "none"),
		budget: capture.DefaultBudget, regionBudget: capture.DefaultRegionBudget,
		tags: tags{}, depth: anchor.DefaultDepth, segments: capture.DefaultSegments,
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.strict, "strict", false, "capture only annotated and registered regions")
	fl.BoolVar(&f.data, "data", false, "capture unannotated package variables too")
	fl.Var(&f.stacks, "stacks", "goroutine stacks to capture: full; skeleton (no local variables, except pointers to captured values); none; auto is skeleton if the program has exclusions, else full")
	fl.BoolVar(&f.args, "args", false, "store the command line, which may contain secrets")
	fl.BoolVar(&f.labels, "labels", false, "store goroutine labels, which may contain secrets")
	fl.BoolVar(&f.heap, "heap", false, "record what keeps the program's memory alive: the program is stopped longer, some 100 ms for a million objects; meminspect heap prints it")
	fl.Var(f.tags, "tag", "store this fact with the core: KEY=VALUE; may be repeated")
	fl.Var((*placeField)(&f.place.Pod), "pod", "`name` of the program's Kubernetes pod, for the record"+defaultOf("POD_NAME"))
	fl.Var((*placeField)(&f.place.Namespace), "namespace", "`name` of the pod's namespace"+defaultOf("POD_NAMESPACE"))
	fl.Var((*placeField)(&f.place.Node), "node", "`name` of the node"+defaultOf("NODE_NAME"))
	fl.Var((*placeField)(&f.place.Image), "image", "`name` of the container's image"+defaultOf("CONTAINER_IMAGE"))
	fl.Var((*attached)(&f.attach), "attach", "store this small `file` with the core, unchanged: its first 64 KiB; may be repeated, up to 16 times")
	fl.StringArrayVar(&f.include, "include", nil, "capture this `variable` (IMPORTPATH.NAME) as if it were annotated; may be repeated")
	fl.StringVar(&f.symbols, "symbols", "", "unstripped `file` of the same build, to find variables in a stripped program")
	fl.Var(&f.budget, "budget", "maximum size of a core before compression")
	fl.Var(&f.regionBudget, "region-budget", "maximum size of a region, with everything reachable from it, that has no budget in its annotation")
	fl.Var(number{&f.depth, 0, maxDepth}, "depth", "pointers to follow from a region that has no depth in its annotation")
	fl.Var(number{&f.segments, 1, maxSegments}, "segments", "maximum number of segments, besides the headers of the executable; more make a smaller file and slower debuggers")
	fl.BoolVar(&f.compress, "compress", false, "compress the core with zstd")
	fl.StringArrayVar(&f.recipients, "recipient", nil, "encrypt the core for this age or SSH public `key` (age1…, age1pq1…, ssh-ed25519, ssh-rsa); may be repeated")
	fl.StringArrayVar(&f.recipientFiles, "recipients-file", nil, "encrypt the core for the public keys in this `file`, one on each line; may be repeated")
	exclusive(cmd, "a strict core has only annotated and registered regions", "strict", "data")
	exclusive(cmd, "a strict core has no stacks", "strict", "stacks")
	exclusive(cmd, "a strict core has no goroutines", "strict", "labels")
}

// defaultOf names the variable that replaces a flag about the program's place.
func defaultOf(variable string) string {
	return " (default $" + variable + ", if the program runs in the same container)"
}

// heapReader returns the reader of --heap.
func heapReader() request.HeapReader {
	const timeout = 10 * time.Second // then only totals are recorded
	return heapreport.Reader{Options: heapreport.Options{Paths: true, Timeout: timeout}}
}

// options converts the flags to capture's options.
func (f *captureFlags) options() capture.Options {
	o := capture.Options{
		Args: f.args, Labels: f.labels, Tags: f.tags, Place: f.place, Attach: f.attach, Include: f.include, Symbols: f.symbols,
		Budget: uint64(f.budget), RegionBudget: uint64(f.regionBudget), Depth: f.depth, Segments: f.segments,
		Stacks: map[string]capture.Stacks{
			"auto": capture.StacksAuto, "full": capture.StacksFull, "skeleton": capture.StacksSkeleton, "none": capture.StacksNone,
		}[f.stacks.value],
	}
	if f.heap {
		o.Request.Heap = heapReader()
	}
	if f.depth == 0 {
		o.Depth = -1 // none: the zero value is the default
	}
	switch {
	case f.strict:
		o.Mode = capture.Strict
	case f.data:
		o.Mode = capture.Data
	}
	return o
}

// form returns how the core is stored.
func (f *captureFlags) form() (corefile.Form, error) {
	recipients, err := corefile.ParseRecipients(f.recipients, f.recipientFiles)
	return corefile.Form{Compress: f.compress, Recipients: recipients}, err
}
