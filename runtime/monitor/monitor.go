// Package monitor starts a collector from inside a program, for programs that
// are not started by `meminspect run`:
//
//	func main() {
//		if _, err := monitor.Start(monitor.Options{Dir: "/var/lib/cores"}); err != nil {
//			log.Print(err) // the program works as ever, and leaves no cores
//		}
//		…
//
// The collector is the installed meminspect binary, a process of its own in a
// session of its own; nothing of this program runs in it, and a signal to this
// program's group spares it. It ends with the program. There is nothing to
// stop, and so nothing that a panic could stop too early.
//
// Start leaves no goroutine behind, so Go still finds deadlocks.
package monitor

import (
	"errors"
	"time"
)

// Options say how to collect. The zero value is the default of each.
type Options struct {
	Path string   // of the collector, "" = meminspect in $PATH
	Dir  string   // for cores, "" = the collector's default
	Args []string // more flags, as of `meminspect run`: --redact-text, --exit-stop=off

	// Wait is how long Start waits for the collector to be ready, 0 = 5 seconds.
	Wait time.Duration
}

// ErrUnsupported is returned where there are no crash sockets: outside Linux,
// and in programs built with the tag meminspect_off.
var ErrUnsupported = errors.New("monitor: not supported by this system or build")

// Start starts a collector and returns when it watches. The string says what
// will be captured and what will not, for a log. In a program that is
// supervised already it does nothing.
func Start(o Options) (promise string, err error) { return start(o) }
