package inspect

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/note"
)

// Errors that Without wraps.
var (
	ErrFullCore = errors.New("it is a full core: reduce it with `meminspect filter` and read the result")
	ErrForeign  = errors.New("it was not written by meminspect, and it has no memory")
	ErrNoMemory = errors.New("it has no memory of the program")
	ErrStrict   = errors.New("it was captured with --strict: capture without it")
	ErrAlone    = errors.New("the program wrote it itself: capture from outside with `meminspect capture` or `meminspect run`")
)

// Without returns why a core does not have what a command reads, and what to do.
func (c *Core) Without() error {
	held, _ := c.Captured()
	switch {
	case c.Capture == nil && !c.hasRegions && held > 0:
		return ErrFullCore
	case c.Capture == nil && !c.hasRegions:
		return ErrForeign
	case held == 0:
		for _, r := range c.Receipts {
			if r.Reason == note.ReasonUnreadable && r.Rule != "" {
				return fmt.Errorf("%w: %s: run `meminspect doctor` for the same program", ErrNoMemory, r.Rule)
			}
		}
		return ErrNoMemory
	case c.Capture != nil && c.Capture.Strict:
		return ErrStrict
	}
	return ErrAlone
}
