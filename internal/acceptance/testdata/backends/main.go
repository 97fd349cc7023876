// Command backends keeps all that outlives it in a folder: minidump's table of
// contents, kinfo's block, pstore's file and a log ring; and a core of
// itself. It prints what its variables hold, as selfcore does, then "ready",
// and stays for two minutes or until it is killed.
//
//	backends DIR [busy]
package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/kinfo"
	"github.com/meminspect/meminspect/runtime/logring"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
	"github.com/meminspect/meminspect/runtime/minidump"
	"github.com/meminspect/meminspect/runtime/pstore"
)

type order struct {
	ID   int64
	Paid bool
	Tail [3]byte
}

var (
	counter   = int64(42)
	last      order
	text      [5]byte // its size is no multiple of 4
	forgotten = int64(7)
	empty     int64
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "main",
	Namespace: "main",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "counter", Expr: "counter", Var: &counter, Pos: "main.go:1"},
		{ID: 1<<63 | 2, Name: "last", Expr: "last", Var: &last, Pos: "main.go:2"},
		{ID: 1<<63 | 3, Name: "text", Expr: "text", Var: &text, Pos: "main.go:3"},
		{ID: 1<<63 | 4, Name: "last-again", Expr: "last.ID", Var: &last.ID, Pos: "main.go:2"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	dir := os.Args[1]
	ring := must(logring.Open(filepath.Join(dir, "ring"), 64<<10))
	store := must(pstore.Open(filepath.Join(dir, "pstore"), pstore.Sizes{Records: 2, Record: 8 << 10, Console: 32 << 10, Crash: 32 << 10}))
	ring.Tee(store.Console)
	slog.SetDefault(slog.New(ring.Handler(nil)))
	must(kinfo.Open(filepath.Join(dir, "kinfo")))
	must(minidump.Open(filepath.Join(dir, "minidump")))

	slog.Info("started", "pid", os.Getpid(), slog.Group("build", "go", runtime.Version()))
	slog.Warn("disk is filling up", "free", 0.05)
	store.Dump("asked", []byte("all is well\n"))
	counter, last.ID, last.Paid, empty = 43, -5, true, 3
	forgotten++
	copy(last.Tail[:], "abc")
	copy(text[:], "12345")
	if len(os.Args) > 2 && os.Args[2] == "busy" {
		busy(store)
	}
	if err := coreimage.WriteFile(filepath.Join(dir, "core")); err != nil {
		fail(err)
	}
	fmt.Printf("main.counter\t%d\nmain.last.ID\t%d\nmain.last.Paid\t%v\nmain.last.Tail[2]\t%d\nmain.text[4]\t%d\n", counter, last.ID, last.Paid, last.Tail[2], text[4])
	fmt.Println("ready")
	if err := os.WriteFile(filepath.Join(dir, "ready"), []byte(fmt.Sprint(os.Getpid())), 0o600); err != nil {
		fail(err)
	}
	time.Sleep(2 * time.Minute)
	fmt.Fprintln(os.Stderr, forgotten, empty)
}

// busy logs, dumps and registers at full speed, until it is killed.
func busy(store *pstore.Store) {
	beat := meminspect.NewHeartbeat("busy", time.Second)
	for g := range 3 {
		go func() {
			var regions [50]meminspect.ID
			mem := make([]uint64, 50)
			for i := 0; ; i++ {
				slog.Info("busy", "goroutine", g, "i", i, "text", "0123456789abcdefghijklmnopqrstuvwxyz"[:i%36])
				k := i % len(regions)
				if regions[k] != 0 {
					if err := meminspect.Unregister(regions[k]); err != nil {
						fail(err)
					}
				}
				regions[k], _ = meminspect.Register(meminspect.IDDynamic, &mem[k], meminspect.Name("busy"))
				if i%100 == 0 && g == 0 {
					store.Dump(fmt.Sprint("busy ", i), []byte("dump of a busy program, whole to its end.\n"))
				}
				beat.Beat()
			}
		}()
	}
	fmt.Println("busy")
	select {}
}

func must[T any](v T, err error) T {
	if err != nil {
		fail(err)
	}
	return v
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
