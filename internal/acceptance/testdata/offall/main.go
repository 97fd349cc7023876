// Command offall uses every package of the runtime, to see what of them a build
// with the tag meminspect_off keeps.
package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/kinfo"
	"github.com/meminspect/meminspect/runtime/logring"
	"github.com/meminspect/meminspect/runtime/minidump"
	"github.com/meminspect/meminspect/runtime/monitor"
	"github.com/meminspect/meminspect/runtime/pstore"
	"github.com/meminspect/meminspect/runtime/vmcoreinfo"
)

func main() {
	println(coreimage.WriteFile(os.Args[0]+".core", coreimage.Why("off"), coreimage.Data()) != nil)
	if live, err := coreimage.NewLive(10); err == nil {
		println(len(live.Places()))
		live.Close()
	}
	if block, err := kinfo.Open(os.Args[0] + ".kinfo"); err == nil {
		block.Close()
	}
	if table, err := minidump.Open(os.Args[0]+".minidump", minidump.Regions(10)); err == nil {
		table.Close()
	}
	if _, err := monitor.Start(monitor.Options{}); err != nil {
		println("no monitor")
	}
	ring := logring.New(1 << 20)
	slog.New(ring.Handler(nil)).Info("off")
	ring.Writer().Write([]byte("off\n"))
	if store, err := pstore.Open(os.Args[0]+".pstore", pstore.Sizes{}); err == nil {
		ring.Tee(store.Console)
		store.Dump("off", nil)
		store.Crash()
		store.Watch(time.Second)()
		store.Close()
	}
	ring.Close()
	vmcoreinfo.Register()
	println(len(vmcoreinfo.Text()))
	println("done")
}
