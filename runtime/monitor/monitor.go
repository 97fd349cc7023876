// Package monitor starts a supervisor from inside a program, for programs that
// `meminspect run` does not start:
//
//	func main() {
//		if _, err := monitor.Start(monitor.Options{Dir: "/var/lib/cores"}); err != nil {
//			log.Print(err) // the program works as ever, and leaves no cores
//		}
//		…
//
// The supervisor is the installed meminspect binary. It is a separate process
// in a new session: no code of this program runs in it, and signals to this
// program's process group do not reach it. It ends with the program. There is
// no stop function, because a deferred one would run too early in a panic.
//
// Start leaves no goroutine running, so Go still detects deadlocks.
package monitor

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Options configure the supervisor. The zero value of each field selects its
// default.
type Options struct {
	Path string   // of the supervisor, "" = meminspect in $PATH
	Dir  string   // for cores, "" = the supervisor's default
	Args []string // more flags of `meminspect run`: --keep-crash-text, --exit-stop=off

	// Capture describes what cores contain and how they are stored.
	Capture Capture

	// Wait is how long Start waits for the supervisor to be ready, 0 = 5 seconds.
	Wait time.Duration
}

// A Capture describes what cores contain and how they are stored. Each field is
// the flag of `meminspect run` with its name. The zero value selects the defaults.
type Capture struct {
	Stacks       string // full, skeleton, none; "" is auto
	Depth        int    // pointers to follow; negative is none
	Budget       string // maximum size of a core: "64MiB"
	RegionBudget string // for a region without a budget in its annotation
	Segments     int
	Include      []string // variables to capture as if they were annotated
	Symbols      string   // file of an unstripped build
	Strict, Data bool
	Args, Labels bool              // they may contain secrets
	Heap         bool              // record what keeps the program's memory alive
	Tags         map[string]string // facts to record in cores
	Attach       []string          // small files to store in cores

	// Where the program runs. Empty fields are taken from the environment's
	// POD_NAME, POD_NAMESPACE, NODE_NAME and CONTAINER_IMAGE.
	Pod, Namespace, Node, Image string

	Compress       bool
	Recipients     []string // age or SSH public keys to encrypt for
	RecipientsFile string
}

// flags returns the command-line flags for c.
func (c *Capture) flags() []string {
	var line []string
	text := func(flag, value string) {
		if value != "" {
			line = append(line, "--"+flag+"="+value)
		}
	}
	number := func(flag string, value int) {
		if value != 0 {
			text(flag, strconv.Itoa(max(value, 0)))
		}
	}
	yes := func(flag string, value bool) {
		if value {
			line = append(line, "--"+flag)
		}
	}
	text("stacks", c.Stacks)
	number("depth", c.Depth)
	text("budget", c.Budget)
	text("region-budget", c.RegionBudget)
	number("segments", c.Segments)
	for _, variable := range c.Include {
		text("include", variable)
	}
	text("symbols", c.Symbols)
	yes("strict", c.Strict)
	yes("data", c.Data)
	yes("heap", c.Heap)
	yes("args", c.Args)
	yes("labels", c.Labels)
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		text("tag", key+"="+c.Tags[key])
	}
	for _, file := range c.Attach {
		text("attach", file)
	}
	text("pod", c.Pod)
	text("namespace", c.Namespace)
	text("node", c.Node)
	text("image", c.Image)
	yes("compress", c.Compress)
	for _, key := range c.Recipients {
		text("recipient", key)
	}
	text("recipients-file", c.RecipientsFile)
	return line
}

// ErrUnsupported is returned on systems without crash sockets: outside Linux,
// and in programs built with the tag meminspect_off.
var ErrUnsupported = errors.New("meminspect: monitor: not supported by this system or build")

// Start starts a supervisor and returns when it watches this program. The
// promise describes, for a log, what will be captured and what will not. If the
// program is already supervised, Start does nothing.
func Start(o Options) (promise string, err error) { return start(o) }
