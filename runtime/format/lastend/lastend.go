// Package lastend defines the environment variable by which a supervisor passes
// on to its program how the program ended before.
package lastend

import (
	"strconv"
	"strings"
	"time"
)

// Variable is the environment variable's name.
const Variable = "MEMINSPECT_LAST_END"

// An End is how the program ended.
type End struct {
	Reason string
	Crash  bool
	Time   time.Time
	Uptime time.Duration
	InRow  int    // crashes in a row, this one included
	Bug    string // ID of the core's signature, "" if unknown
	Core   string // its destination, "" if no core was written
}

const (
	version = "1"
	fields  = 8
)

// Encode returns the variable's value: the version and the fields, separated by
// vertical bars. Only the last one, the core, may have some in it.
func (e *End) Encode() string {
	crash := "0"
	if e.Crash {
		crash = "1"
	}
	clean := strings.NewReplacer("|", "-", "\x00", "")
	return strings.Join([]string{
		version, clean.Replace(e.Reason), crash, strconv.FormatInt(e.Time.UnixNano(), 10), strconv.FormatInt(int64(e.Uptime), 10),
		strconv.Itoa(e.InRow), clean.Replace(e.Bug), strings.ReplaceAll(e.Core, "\x00", ""),
	}, "|")
}

// Parse is the inverse of Encode. It reports false for other texts.
func Parse(value string) (e End, ok bool) {
	f := strings.SplitN(value, "|", fields)
	if len(f) < fields || f[0] != version {
		return End{}, false
	}
	at, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return End{}, false
	}
	uptime, err := strconv.ParseInt(f[4], 10, 64)
	if err != nil {
		return End{}, false
	}
	inRow, err := strconv.Atoi(f[5])
	if err != nil || inRow < 0 || f[2] != "0" && f[2] != "1" {
		return End{}, false
	}
	return End{Reason: f[1], Crash: f[2] == "1", Time: time.Unix(0, at), Uptime: time.Duration(uptime), InRow: inRow, Bug: f[6], Core: f[7]}, true
}
