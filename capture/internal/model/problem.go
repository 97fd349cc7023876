package model

// A Problem is something that a step could not do, or that readers of the core
// should know.
type Problem struct {
	What, Why string
	Fix       string // what to do about it, "" if there is nothing
	Missing   bool   // something that was asked for is not in the core
}

// Problems are those of a step, in the order in which it met them.
type Problems []Problem

// Missing records that something is missing from the core.
func (p *Problems) Missing(what string, err error) {
	*p = append(*p, Problem{What: what, Why: err.Error(), Missing: true})
}

// Mention records what readers should know and that leaves nothing out.
func (p *Problems) Mention(what, why, fix string) {
	*p = append(*p, Problem{What: what, Why: why, Fix: fix})
}

// An InputError reports that the caller asked for something that does not
// exist.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }
