//go:build linux

package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/duration"
)

// An Event is an event that a supervisor reports.
type Event struct {
	Time    time.Time
	What    string // one of the constants below
	Program string
	PID     int
	Reason  string
	Text    string // for people
	Path    string // where a core is
	Bytes   int64

	Signature string // of the core: an ID and a title

	Held    time.Duration // from the first sign to the release
	Took    time.Duration // from the first sign to the file
	Partial bool
	Status  string // of a program that ended
	InRow   int    // crashes in a row, with this end

	Regions capture.Regions // of the core; a report does not have them

	waits bool // an undelivered core will be sent
}

// undelivered makes e an event of a core that was not sent.
func (e *Event) undelivered(err *corefile.UndeliveredError) {
	e.What, e.Text, e.Path, e.waits = Undelivered, err.Err.Error(), err.Path, err.Waits
}

// notSent describes an undelivered core.
func (e Event) notSent() string {
	if e.waits {
		return fmt.Sprintf("was not sent yet: %s; it waits in %s", e.Text, e.Path)
	}
	return fmt.Sprintf("was not sent: %s; it is in %s", e.Text, e.Path)
}

// MarshalJSON writes the event as docs/reference/schema/events.json describes.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Time      time.Time        `json:"time"`
		What      string           `json:"what"`
		Program   string           `json:"program"`
		PID       int              `json:"pid,omitempty"`
		Reason    string           `json:"reason,omitempty"`
		Text      string           `json:"text,omitempty"`
		Path      string           `json:"path,omitempty"`
		Bytes     int64            `json:"bytes,omitempty,string"`
		Signature string           `json:"signature,omitempty"`
		Held      duration.Seconds `json:"held,omitempty"`
		Took      duration.Seconds `json:"took,omitempty"`
		Partial   bool             `json:"partial,omitempty"`
		Status    string           `json:"status,omitempty"`
		InRow     int              `json:"crashesInRow,omitempty"`
	}{e.Time.UTC(), e.What, e.Program, e.PID, e.Reason, e.Text, e.Path, e.Bytes, e.Signature, duration.Seconds(e.Held), duration.Seconds(e.Took), e.Partial, e.Status, e.InRow})
}

// Values of Event.What.
const (
	Started     = "started"     // the program runs; Text describes what will be captured
	Captured    = "captured"    // there is a core
	Refused     = "refused"     // there is no core, because of the policy
	Failed      = "failed"      // there is no core; Text is the reason
	Undelivered = "undelivered" // there is a core, but not at its destination: Path is where it is, Text is the reason
	Crashed     = "crashed"     // a process that the program started crashed, and was not captured (--children=report)
	Note        = "note"        // a fact that a reader of cores should know
	Kept        = "kept"        // the first snapshot of the running program: its bytes, and the time it took
	Hanging     = "hanging"     // a heartbeat was missed
	Recovered   = "recovered"   // the heartbeat advances again
	Ended       = "ended"       // the program has ended
)

// String returns the event as a line for people.
func (e Event) String() string {
	var b strings.Builder
	switch e.What {
	case Captured:
		fmt.Fprintf(&b, "captured %s of %s (pid %d) in %v: %s, %d bytes", e.Reason, e.Program, e.PID, e.Took.Round(100*time.Microsecond), e.Path, e.Bytes)
		if e.Partial {
			b.WriteString(", in part")
		}
		if e.Signature != "" {
			b.WriteString(": " + e.Signature)
		}
	case Undelivered:
		fmt.Fprintf(&b, "the core of %s (pid %d, %s) %s", e.Program, e.PID, e.Reason, e.notSent())
		return b.String()
	case Refused, Failed:
		fmt.Fprintf(&b, "no core of %s (pid %d) for %s", e.Program, e.PID, e.Reason)
	case Crashed:
		fmt.Fprintf(&b, "%s (pid %d) crashed: %s; it is not captured (--children=report)", e.Program, e.PID, e.Reason)
	case Kept:
		fmt.Fprintf(&b, "snapshots of %s (pid %d) are kept: the first, of %d bytes, took %v", e.Program, e.PID, e.Bytes, e.Took.Round(100*time.Microsecond))
	case Hanging:
		fmt.Fprintf(&b, "%s (pid %d) hangs", e.Program, e.PID)
	case Recovered:
		fmt.Fprintf(&b, "%s (pid %d) has recovered", e.Program, e.PID)
	case Ended:
		fmt.Fprintf(&b, "%s (pid %d) ended: %s", e.Program, e.PID, e.Status)
	default:
		if e.PID == 0 {
			return e.Text // without a program
		}
		fmt.Fprintf(&b, "%s (pid %d)", e.Program, e.PID)
	}
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	return b.String()
}

// A Reporter writes events to w, one per line.
type Reporter struct {
	W     io.Writer
	JSON  bool
	Quiet bool // omits events that need no attention

	mu sync.Mutex
}

// Report writes one event. It ignores write errors: a supervisor does not stop
// because of them.
func (r *Reporter) Report(e Event) {
	if r == nil || r.W == nil {
		return
	}
	if r.Quiet && (e.What == Started || e.What == Kept || e.What == Ended || e.What == Note) {
		return
	}
	if e.What == Ended && !r.JSON {
		return // the program's status reports it
	}
	line := "meminspect: " + e.String()
	if r.JSON {
		data, err := json.Marshal(e)
		if err != nil {
			return
		}
		line = string(data)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.W, line)
}
