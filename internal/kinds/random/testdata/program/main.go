// Command kinds, here, has the variables that a generator has thought up: their
// types and values are in made.go. It prints in words what they hold, writes a
// core of itself, prints "ready" and then does nothing more.
//
//	kinds WORDS CORE
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/meminspect/meminspect/runtime/coreimage"
)

func main() {
	fill()
	runtime.GC() // what a weak pointer alone leads to goes now
	time.Sleep(20 * time.Millisecond)
	debug.SetGCPercent(-1)
	text, err := json.Marshal(words())
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o600)
	}
	if err == nil {
		err = writeCore(os.Args[2])
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")
	var forever [1]byte
	os.Stdin.Read(forever[:])
	runtime.KeepAlive(kept)
}

func writeCore(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := coreimage.Write(f); err != nil {
		return err
	}
	return f.Close()
}
