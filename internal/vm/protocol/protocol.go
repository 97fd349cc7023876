// Package protocol defines what a virtual machine and its host send each other over
// a serial port: lines of JSON. After each boot the guest sends an event Up. The host
// then sends requests, one at a time. The guest answers each with events, of which the
// last is End. The events of an answer have the number of their request.
package protocol

import "time"

// A Request asks the guest for one thing: to run a command, to send a file, or to
// switch off.
type Request struct {
	// ID is the number of the request, from 1.
	ID int `json:"id"`
	// Args is the command with its arguments. Empty: nothing is run.
	Args []string `json:"args,omitempty"`
	// Env is added to the guest's environment.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory. Empty: /tmp.
	Dir string `json:"dir,omitempty"`
	// Limit bounds the run of the command. The guest kills its process group then.
	Limit time.Duration `json:"limit,omitempty"`
	// File is the name of a file that the guest sends.
	File string `json:"file,omitempty"`
	// Off switches the guest off. It sends no End.
	Off bool `json:"off,omitempty"`
}

// Kinds of events.
const (
	Up     = "up"     // the guest has booted; Text is the release of its kernel
	Output = "output" // Data is a piece of the command's output
	File   = "file"   // Data is the file, compressed by gzip
	End    = "end"    // the request is done
)

// An Event is a line from the guest.
type Event struct {
	Kind string `json:"kind"`
	ID   int    `json:"id,omitempty"` // of the request; 0 in an Up
	Text string `json:"text,omitempty"`
	Data []byte `json:"data,omitempty"`

	// Of an End: the wait status of the command, whether it was killed at its limit,
	// whether other processes kept its output open and the rest of it was not read, how
	// long the command ran, and why the request failed, if it did.
	Status   uint32        `json:"status,omitempty"`
	TimedOut bool          `json:"timedOut,omitempty"`
	Cut      bool          `json:"cut,omitempty"`
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
}
