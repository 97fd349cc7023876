// Command marked plants a mark in every kind of memory that no capture may take,
// and others in memory that some captures take. Then it does what its first
// argument names. The test knows the marks by their names.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/internal/marks"
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/kinfo"
	"github.com/meminspect/meminspect/runtime/logring"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
	"github.com/meminspect/meminspect/runtime/minidump"
	"github.com/meminspect/meminspect/runtime/monitor"
	"github.com/meminspect/meminspect/runtime/pstore"
)

type account struct {
	Name   string
	Token  string // excluded if built with the tag exclusions
	Self   *account
	Opened int64
}

var (
	visible  *account // annotated
	ring     *logring.Ring
	password string // excluded if built with the tag exclusions

	linked string // by the linker's flag -X

	spinning bool

	variable [20]byte // not annotated
	heap     [][]byte // not annotated
	kept     [][]byte // neighbours of what was freed
)

var table = meminspectimpl.Table{
	Magic:      [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:    meminspectimpl.TableVersion,
	Package:    path,
	Namespace:  "marked",
	Entries:    []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "visible", Expr: "visible", Var: &visible}},
	Exclusions: exclusions,
}

const path = "github.com/meminspect/meminspect/internal/acceptance/testdata/marked"

func init() { meminspectimpl.Link(&table) }

// A pin is excluded if built with the tag exclusions.
type pin uint64

// newPin returns a pin that no executable has: it is computed.
func newPin() pin { return pin(binary.LittleEndian.Uint64(marks.Of("pin"))) }

// check stores its argument, so that reports show it.
//
//go:noinline
func check(p pin, ends func(pin)) {
	ends(p)
	fmt.Println(p)
}

// read reads from an address that follows from the pin, which no program has mapped.
//
//go:noinline
func read(p pin) {
	address := uintptr(p) >> 17
	fmt.Println(*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))))
}

var actions = map[string]func(){
	"panic-fault":    func() { check(newPin(), read) },
	"panic-type":     func() { check(newPin(), func(p pin) { panic(p) }) },
	"panic-argument": func() { check(newPin(), func(pin) { panic("check failed") }) },
	"panic-variable": func() { panic(password) },
	"panic-wrapped":  func() { panic(fmt.Errorf("bad: %w", errors.New(password))) },
	"panic-quoted":   func() { panic(fmt.Sprintf("bad: %q, %x", password, password)) },

	"wait":     func() {},
	"panic":    func() { panic("it went wrong") },
	"tell":     func() { panic(visible.Name) },
	"nil":      func() { var a *account; a.Opened = 1 },
	"throw":    func() { var m sync.Mutex; m.Unlock() },
	"sigquit":  func() { end(syscall.SIGQUIT) },
	"vectors":  func() { inVectors(); end(syscall.SIGQUIT) },
	"spin":     func() { inVectors(); spin() },
	"sigkill":  func() { end(syscall.SIGKILL) },
	"exit":     func() { os.Exit(3) },
	"fault":    fault,
	"hang":     hang,
	"grow":     grow,
	"snapshot": func() { meminspect.Snapshot("asked"); os.Exit(0) },
	"own":      own,
}

// The main goroutine stays on the first thread, which takes the signals that are sent to
// the program.
func init() {
	if len(os.Args) > 1 && (os.Args[1] == "vectors" || os.Args[1] == "spin") {
		runtime.LockOSThread()
	}
}

// main is given an action, a mark, and perhaps a directory.
func main() {
	if path := os.Getenv("MARKED_MONITOR"); path != "" {
		must(monitor.Start(monitor.Options{Path: path, Args: strings.Fields(os.Getenv("MARKED_FLAGS"))}))
	}
	var planted sync.WaitGroup
	planted.Add(1)
	go func() { plant(); planted.Done() }() // its stack is freed
	planted.Wait()
	runtime.GC()
	runtime.GC()
	go labelled()
	pprof.Do(context.Background(), pprof.Labels("token", string(marks.Of("pprof label"))), func(context.Context) {
		go pause()
	})
	go onStack()
	time.Sleep(50 * time.Millisecond)
	runtime.KeepAlive(linked)
	fmt.Println("ready", os.Getpid())
	actions[os.Args[1]]()
	pause()
}

// plant plants what stays after it has returned.
func plant() {
	visible = &account{Name: string(marks.Of("visible")), Opened: 1}
	if excluding := len(exclusions) > 0; excluding {
		password, visible.Token = string(marks.Of("excluded variable")), string(marks.Of("excluded field"))
	}
	visible.Self = visible
	ring = logring.New(16 << 10)
	slog.New(ring.Handler(nil)).Info(string(marks.Of("logged")))
	must(struct{}{}, errors.Join(
		meminspect.SetTag("mark", string(marks.Of("tag"))),
		meminspect.SetTag("authorization", "Bearer "+password),
		meminspect.SetTag("token", visible.Token),
	))
	copy(variable[:], marks.Of("variable"))
	println(string(marks.Of("printed"))) // the runtime keeps what println printed last
	const objects, size = 400, 512
	var released [][]byte
	for i := range objects {
		heap = append(heap, marks.Of("heap"))
		freed := make([]byte, size)
		copy(freed[size/2:], marks.Of("freed"))
		if released = append(released, freed); i%2 == 0 {
			kept = append(kept, make([]byte, size)) // so that the span stays
		}
	}
	plantC()
}

func labelled() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("token", string(marks.Of("goroutine label")))))
	pause()
}

// onStack has a mark in its frame.
//
//go:noinline
func onStack() {
	var local [20]byte
	copy(local[:], marks.Of("stack"))
	pause()
	fmt.Println(local)
}

func pause() { time.Sleep(time.Hour) }

// spin makes no system call.
//
//go:noinline
func spin() {
	spinning = true
	for spinning {
	}
}

func end(sig syscall.Signal) {
	syscall.Kill(os.Getpid(), sig)
	pause()
}

// hang beats and stops doing so.
func hang() {
	beat := meminspect.NewHeartbeat("queue", 100*time.Millisecond)
	for range 20 {
		beat.Beat()
		time.Sleep(10 * time.Millisecond)
	}
	pause()
}

// grow takes memory until it has several times its limit.
func grow() {
	const step, total = 1 << 20, 160 << 20
	for range total / step {
		block := make([]byte, step)
		for i := 0; i < step; i += 4096 {
			block[i] = 1
		}
		heap = append(heap, block)
		time.Sleep(5 * time.Millisecond)
	}
	pause()
}

// own has every writer that runs in the program itself write into a directory.
func own() {
	dir := os.Args[3]
	ring := must(logring.Open(dir+"/ring", 64<<10))
	store := must(pstore.Open(dir+"/pstore", pstore.Sizes{Records: 2, Record: 8 << 10, Console: 32 << 10, Crash: 32 << 10}))
	ring.Tee(store.Console)
	must(kinfo.Open(dir + "/kinfo"))
	must(minidump.Open(dir + "/minidump"))
	if err := coreimage.WriteFile(dir + "/own.core"); err != nil {
		panic(err)
	}
	os.Exit(0)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
