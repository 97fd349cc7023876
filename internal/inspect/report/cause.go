package report

import (
	"strings"

	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/inspect"
)

// A Cause is why a core was made.
type Cause struct {
	Reason  string // a word, as in the core's name: panic, hang, oom-kill, asked
	Message string // of the panic, the fatal error or the supervisor; "" without a message
	Type    string // of the value of a panic, "" if it is not known
}

// CauseOf returns the cause that a core records. A core that something else wrote
// has the signal that ended the program.
func CauseOf(core *inspect.Core) Cause {
	c := Cause{Message: core.Fact("message"), Type: core.Fact("panic-type")}
	switch {
	case core.Capture != nil:
		c.Reason = core.Capture.Why
	case core.Signal != nil && siginfo.Dumps(int(core.Signal.Signal)):
		c.Reason = siginfo.Reason(int(core.Signal.Signal))
	case core.Signal != nil:
		c.Reason = "dumped"
	}
	if core.Crash != nil && c.Message == "" {
		if r := crashtext.Parse([]byte(core.Crash.Text), nil); r.Reason == c.Reason {
			c.Message = r.Message
		}
	}
	if core.Fact("oom-kill") != "" && c.Reason != "oom-kill" && c.Message == "" {
		c.Message = "perhaps by the OOM killer"
	}
	return c
}

// ends and others are what a program did for each reason: how it ended, and why a
// core was made of a program that did not end.
var (
	ends = map[string]string{
		crashtext.Panic:         "panicked",
		crashtext.Nil:           "dereferenced a nil pointer",
		crashtext.MapRace:       "used a map in several goroutines at once",
		crashtext.Deadlock:      "deadlocked",
		crashtext.StackOverflow: "overflowed a stack",
		crashtext.OutOfMemory:   "ran out of memory",
		crashtext.Fatal:         "ended by a fatal error of the Go runtime",
		crashtext.Unknown:       "crashed",
		"oom-kill":              "was killed by the OOM killer",
	}
	others = map[string]string{
		"hang":     "hangs",
		"memory":   "is close to its memory limit",
		"dumped":   "was dumped while it ran",
		"asked":    "was captured on request",
		"snapshot": "was captured in a snapshot",
		"":         "left a core",
	}
)

// String returns what the program did, for after its name: "panicked: it went
// wrong".
func (c Cause) String() string {
	text := c.verb()
	if c.Message != "" && !strings.Contains(text, c.Message) {
		return text + ": " + c.Message
	}
	if c.Type != "" {
		return text + ": (" + c.Type + ")"
	}
	return text
}

func (c Cause) verb() string {
	if verb, ok := ends[c.Reason]; ok {
		return verb
	}
	if verb, ok := others[c.Reason]; ok {
		return verb
	}
	if name, ok := strings.CutPrefix(c.Reason, crashtext.Signal+"-"); ok {
		return "was ended by " + strings.ToUpper(name)
	}
	if status, ok := strings.CutPrefix(c.Reason, "exit-"); ok {
		return "exited with status " + status
	}
	return "was captured for " + c.Reason
}

// End reports whether the program ended, or hangs: then the core has a signature.
func (c Cause) End() bool {
	_, ended := ends[c.Reason]
	return ended || c.Hang() || strings.HasPrefix(c.Reason, crashtext.Signal+"-") || strings.HasPrefix(c.Reason, "exit-")
}

// Hang reports whether the program ended or was captured because it made no
// progress.
func (c Cause) Hang() bool { return c.Reason == "hang" || c.Reason == crashtext.Deadlock }

// Memory reports whether the program needed too much memory.
func (c Cause) Memory() bool {
	return c.Reason == "oom-kill" || c.Reason == "memory" || c.Reason == crashtext.OutOfMemory
}
