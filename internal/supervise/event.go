//go:build linux

package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/internal/duration"
)

// An Event is one thing that a supervisor reports.
type Event struct {
	Time    time.Time
	What    string // one of the words below
	Program string
	PID     int
	Reason  string
	Text    string // for people
	Path    string // where a core went
	Bytes   int64

	Signature string // of the core: an ID and a title

	Held    time.Duration // from the first sign to the release
	Took    time.Duration // from the first sign to the file
	Partial bool
	Status  string // of a program that ended
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
	}{e.Time.UTC(), e.What, e.Program, e.PID, e.Reason, e.Text, e.Path, e.Bytes, e.Signature, duration.Seconds(e.Held), duration.Seconds(e.Took), e.Partial, e.Status})
}

// Words of Event.What.
const (
	Started   = "started"   // the program runs; Text says what will be captured
	Captured  = "captured"  // there is a core
	Refused   = "refused"   // there is none, by the policy
	Failed    = "failed"    // there is none, or not where it belongs; Text says why
	Crashed   = "crashed"   // a process that the program started, and that is not captured (--children=report)
	Note      = "note"      // something that a reader of cores should know
	Kept      = "kept"      // the first snapshot of the living program: its bytes, and how long it took
	Hanging   = "hanging"   // a heartbeat was missed
	Recovered = "recovered" // it beats again
	Ended     = "ended"     // the program is gone
)

// String is the event as a line for people.
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
			return e.Text // of no program yet
		}
		fmt.Fprintf(&b, "%s (pid %d)", e.Program, e.PID)
	}
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	return b.String()
}

// A Reporter writes events to w, one a line.
type Reporter struct {
	W     io.Writer
	JSON  bool
	Quiet bool // of what needs nobody's attention

	mu sync.Mutex
}

// Report writes one event. What cannot be written is lost: a supervisor does
// not stop for its own talk.
func (r *Reporter) Report(e Event) {
	if r == nil || r.W == nil {
		return
	}
	if r.Quiet && (e.What == Started || e.What == Kept || e.What == Ended || e.What == Note) {
		return
	}
	if e.What == Ended && !r.JSON {
		return // the program's status says it
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
