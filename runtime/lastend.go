package meminspect

import (
	"os"
	"time"

	"github.com/meminspect/meminspect/runtime/format/lastend"
	"github.com/meminspect/meminspect/runtime/internal/crash"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// An End is how a program ended.
type End struct {
	// Reason is that of the core's name: "panic", "oom-kill", "signal-sigkill",
	// "exit-3", "heartbeat-queue"; "lost" if the supervisor ended too.
	Reason string

	Crash  bool          // not an exit with status 0, or a signal that asks a program to end
	Time   time.Time     // of the end; for "lost", of the next start
	Uptime time.Duration // from the start to Time
	Core   string        // path or name of the core, "" if none was written
	Bug    string        // ID of the core's signature, "" if there is no core

	// InRow is the number of crashes in a row, this one included, each less than
	// ten minutes after its start. Lost ends count as crashes, although their cause is
	// not known. It is 0 if the end was no crash.
	InRow int
}

// LastEnd returns how this program ended the last time that its supervisor ran
// it with the same directory for cores: a program that crashes at each start can
// skip what crashes it, or report itself as not ready. It reports false on
// the first start, and if there is no supervisor.
//
// Processes that the program starts see the same end. Package monitor makes it
// known when Start returns.
func LastEnd() (End, bool) {
	if registry.Off {
		return End{}, false
	}
	value := os.Getenv(lastend.Variable)
	if told, _ := crash.LastEnd.Load().(string); told != "" {
		value = told
	}
	e, ok := lastend.Parse(value)
	if !ok {
		return End{}, false
	}
	return End{Reason: e.Reason, Crash: e.Crash, Time: e.Time, Uptime: e.Uptime, Core: e.Core, Bug: e.Bug, InRow: e.InRow}, true
}
