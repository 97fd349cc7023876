package capture

import "time"

// A Summary says what came of a capture. It is made to be printed as JSON;
// names may be added, none changes its meaning.
type Summary struct {
	PID       int       `json:"pid"`
	Program   string    `json:"program"`
	GoVersion string    `json:"go_version,omitempty"`
	BuildID   string    `json:"build_id,omitempty"`
	When      time.Time `json:"when"`
	Reason    string    `json:"reason"`
	Mode      string    `json:"mode"`
	FullCore  string    `json:"full_core,omitempty"` // that it was made from, instead of a living process

	Bytes    int64  `json:"bytes"`   // of the core
	Payload  uint64 `json:"payload"` // bytes of memory in it
	Segments int    `json:"segments"`

	Find    time.Duration `json:"find_ns"`    // before the program was stopped
	Stopped time.Duration `json:"stopped_ns"` // 0 when it was not
	Total   time.Duration `json:"total_ns"`

	Threads    Count   `json:"threads"`
	Goroutines Count   `json:"goroutines"`
	Stacks     string  `json:"stacks"` // full, skeleton or none
	Regions    Regions `json:"regions"`

	// Partial says that something was asked for and is not there; Problems say
	// what and why, in the order in which they were met.
	Partial  bool      `json:"partial"`
	Problems []Problem `json:"problems,omitempty"`
}

// A Count says how many there were and how many of them the core holds.
type Count struct {
	All      int `json:"all"`
	Captured int `json:"captured"`
}

// Regions counts regions by how they ended.
type Regions struct {
	All        int `json:"all"`
	Complete   int `json:"complete"`
	Cut        int `json:"cut,omitempty"`
	Torn       int `json:"torn,omitempty"`
	Unreadable int `json:"unreadable,omitempty"`
	Erased     int `json:"erased,omitempty"`
	Gone       int `json:"gone,omitempty"`
	Broken     int `json:"broken,omitempty"` // contradict their types in part
}

// A Problem is something that a capture could not do.
type Problem struct {
	What string `json:"what"` // "goroutines", "threads", "walk", …
	Why  string `json:"why"`
	Fix  string `json:"fix,omitempty"` // what to do about it, if there is something
}

// String returns the problem as a line of text.
func (p Problem) String() string {
	s := p.What + ": " + p.Why
	if p.Fix != "" {
		s += " (" + p.Fix + ")"
	}
	return s
}

// problem records that something is missing from the core.
func (s *Summary) problem(what string, err error) {
	s.Partial = true
	s.Problems = append(s.Problems, Problem{What: what, Why: err.Error()})
}

// mention records what a reader should know and that leaves nothing out.
func (s *Summary) mention(what, why, fix string) {
	s.Problems = append(s.Problems, Problem{What: what, Why: why, Fix: fix})
}
