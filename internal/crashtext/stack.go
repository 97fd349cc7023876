package crashtext

import (
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// A Call is a call in the first stack of a report.
type Call struct {
	Function string
	File     string
	Line     int
	Args     []uint64 // the words of its arguments that are numbers
	Offset   uint64   // in the function, of the address to which the call returns or at which it is; 0 for an inlined one
}

var (
	place = lazyexp.New(`^\t(.+):(\d+)(?: \+0x([0-9a-f]+))?(?: fp=.*)?$`)
	word  = lazyexp.New(`0x[0-9a-f]{1,16}`)
)

// Stack returns the calls of the goroutine whose stack a report shows first, the
// innermost first, and the goroutine's number, 0 if the report shows no stack of
// a goroutine.
func Stack(text string) (calls []Call, goroutine uint64) {
	const most = 1 << 10
	var call *Call
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch m := header().FindStringSubmatch(line); {
		case m != nil && goroutine != 0:
			return calls, goroutine
		case m != nil:
			goroutine, _ = strconv.ParseUint(m[1], 10, 64)
		case goroutine == 0 || strings.HasPrefix(line, "created by "):
		case call != nil:
			if m := place().FindStringSubmatch(line); m != nil {
				call.File = m[1]
				call.Line, _ = strconv.Atoi(m[2])
				call.Offset, _ = strconv.ParseUint(m[3], 16, 64) // "" has none
				calls = append(calls, *call)
			}
			call = nil
		case len(calls) < most:
			call = parseCall(line)
		}
	}
	return calls, goroutine
}

// parseCall reads a line such as main.deliver(0xc000012345, {0x4111?, 0x11}), nil
// if it is no call.
func parseCall(line string) *Call {
	name, ok := frameName(line)
	if !ok {
		return nil
	}
	name = strings.TrimSuffix(name, "(...)")
	c := &Call{Function: name}
	for _, arg := range word().FindAllString(line[len(name):], -1) {
		if n, err := strconv.ParseUint(arg, 0, 64); err == nil {
			c.Args = append(c.Args, n)
		}
	}
	return c
}
