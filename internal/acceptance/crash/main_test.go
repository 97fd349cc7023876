//go:build linux

package crash

import (
	"flag"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
)

func TestMain(m *testing.M) {
	// Programs get SIGHUP with its default action, also where nohup runs the tests:
	// a signal that is handled here is not ignored there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	// The storms are the only parallel tests.
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(severalStorms)); err != nil {
		panic(err)
	}
	status := m.Run()
	crasher.Clean()
	if dir, err := buildDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}
