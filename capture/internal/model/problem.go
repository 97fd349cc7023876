package model

// A Problem is something that a step could not do, or that readers of the core
// should know.
type Problem struct {
	What, Why string
	Fix       string // what to do about it, "" if there is nothing
	Missing   bool   // requested data is not in the core
}

// Problems are the problems of a step, in order.
type Problems []Problem

// Missing records that something is missing from the core.
func (p *Problems) Missing(what string, err error) {
	*p = append(*p, Problem{What: what, Why: err.Error(), Missing: true})
}

// Mention records a fact that readers should know, without missing data.
func (p *Problems) Mention(what, why, fix string) {
	*p = append(*p, Problem{What: what, Why: why, Fix: fix})
}

// An InputError reports that the caller asked for something that does not
// exist.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }
