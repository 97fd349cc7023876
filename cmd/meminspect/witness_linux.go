package main

import (
	"io"
	"os"

	"github.com/meminspect/meminspect/internal/supervise/witness"
)

// witnessName is the argument with which run starts a second process; see package
// witness.
const witnessName = "signal-witness"

// relayName is the argument with which run starts a process that passes standard
// error on for processes that the program left.
const relayName = "stderr-relay"

// asRelay copies standard input to standard output if this process is a relay, and
// reports that.
func asRelay() bool {
	if len(os.Args) != 2 || os.Args[1] != relayName {
		return false
	}
	_, _ = io.Copy(os.Stdout, os.Stdin) // nothing reads an error of it
	return true
}

// asWitness runs the witness if this process is one, and reports that.
func asWitness() bool {
	if len(os.Args) != 2 || os.Args[1] != witnessName {
		return false
	}
	witness.Run(os.Stdin, os.Stdout)
	return true
}
