package main

import (
	"os"

	"github.com/meminspect/meminspect/internal/supervise/witness"
)

// witnessName is the argument with which run starts a second process; see package
// witness.
const witnessName = "signal-witness"

// asWitness runs the witness if this process is one, and reports that.
func asWitness() bool {
	if len(os.Args) != 2 || os.Args[1] != witnessName {
		return false
	}
	witness.Run(os.Stdin, os.Stdout)
	return true
}
