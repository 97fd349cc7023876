// Command mainless ends its main thread and runs on, as C programs with Go libraries may
// (pthread_exit).
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

var answer = 42

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/mainless",
	Namespace: "mainless",
	Entries:   []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "answer", Expr: "answer", Var: &answer}},
}

func init() {
	meminspectimpl.Link(&table)
	runtime.LockOSThread() // main runs on the main thread
}

func main() {
	go func() {
		fmt.Println("ready")
		for {
			time.Sleep(time.Hour)
		}
	}()
	syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0) // of this thread alone; a raw call would keep its P
}
