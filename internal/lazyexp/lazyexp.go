// Package lazyexp compiles regular expressions on their first use. Most runs of
// the command use none, and a supervisor keeps what it has compiled for as long
// as its program runs.
package lazyexp

import (
	"regexp"
	"sync"
)

// New returns a function that returns the compiled expression. It panics at its
// first call if the expression is invalid.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
