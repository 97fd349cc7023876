package witness

import (
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary acts as the witness.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "witness" {
		Run(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// The witness reports what it received, once, from its first instruction on,
// even if the signal ends it; and nothing else.
func TestSaw(t *testing.T) {
	// Under nohup a child would inherit that the signal is ignored, but not that it
	// is caught.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	w, err := Start([]string{"/proc/self/exe", "witness"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { w.Close() }()
	for round := range 3 {
		for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGUSR1, unix.SIGINT, unix.SIGTSTP, unix.SIGHUP, unix.SIGQUIT, unix.SIGCONT, unix.SIGWINCH, unix.SIGTERM} {
			if err := unix.Kill(w.cmd.Process.Pid, sig); err != nil {
				t.Fatal(err)
			}
			if !w.Saw(sig) {
				t.Errorf("round %d: %v was not seen", round, sig)
			}
			if w.Saw(sig) || w.Saw(unix.SIGUSR2) {
				t.Errorf("round %d: %v was seen twice, or another signal", round, sig)
			}
		}
	}
}
