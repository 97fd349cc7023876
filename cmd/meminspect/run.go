//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/internal/supervise/snapshots"
)

// runFlags are what `run` and its likes are told.
type runFlags struct {
	dir      string
	exitStop string
	hold     time.Duration
	redact   bool
	text     string
	onHang   string
	memory   int
	signal   string

	to         string
	message    string
	compress   bool
	recipients []string

	snapshot      time.Duration
	snapshotKeep  int
	snapshotBytes int64
	snapshotFile  bool

	json   bool
	quiet  bool
	report string

	strict, data, args, labels bool

	policy store.Policy
	each   limitFlag
	all    limitFlag
}

func newRunFlags() *runFlags { return &runFlags{policy: store.DefaultPolicy()} }

func runCommand() *cobra.Command {
	f := newRunFlags()
	cmd := &cobra.Command{
		Use:   "run [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Run a program and capture it when it dies, hangs or is asked to",
		Long: `run starts PROGRAM and watches it. The program keeps its terminal, its signals,
its standard error and its exit status; when it dies, a core of what it marked
for inspection is left in the directory.

A fatal error of Go is captured while the runtime is writing its report, which
needs no privileges. Any other end (a kill, os.Exit with a failing status, a
fault in C code) is captured where ptrace is allowed. The first line that run
writes says what of this works here.`,
		Example: `  meminspect run -- ./server exit0
  meminspect run --dir cores --redact-text -- ./server exit0`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	cmd.Flags().SetInterspersed(false) // the program's flags are its own
	f.add(cmd.Flags())
	return cmd
}

func (f *runFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "dir", "", "directory for cores (default $MEMINSPECT_DIR, else meminspect in the user's state directory)")
	flags.StringVar(&f.exitStop, "exit-stop", "auto", "capture ends that Go does not report, by ptrace: auto or off")
	flags.DurationVar(&f.hold, "hold", supervise.DefaultHold, "time for which a dying program is held at most")
	flags.BoolVar(&f.redact, "redact-text", false, "store of crash texts the panic's type and the stacks alone")
	flags.StringVar(&f.text, "crash-text", "", "append crash texts to this file too, for programs that had debug.SetCrashOutput write one")
	flags.StringVar(&f.onHang, "on-hang", "none", "what becomes of a program that misses a heartbeat, once it is captured: none, quit (SIGQUIT) or kill (SIGKILL)")
	flags.IntVar(&f.memory, "memory", 90, "capture when this percentage of the memory limit is used, 0 = never")
	flags.StringVar(&f.signal, "signal", "", "signal to run that means a capture and is not passed on, such as USR1")
	flags.DurationVar(&f.snapshot, "snapshot", 0, "time between snapshots of the living program, for ends that nothing can hold; 0 = none")
	flags.IntVar(&f.snapshotKeep, "snapshot-keep", 1, "snapshots to keep")
	f.snapshotBytes = 4 << 20
	flags.Var((*bytesFlag)(&f.snapshotBytes), "snapshot-bytes", "room for each")
	flags.BoolVar(&f.snapshotFile, "snapshot-file", false, "keep them in a file in the directory, which the next start publishes, instead of memory")
	flags.StringVar(&f.to, "to", "", "where cores go instead of the directory: - (standard output; the program's goes to standard error then), exec:COMMAND, or a presigned URL, in which {name} stands for the file's name (default $MEMINSPECT_TO)")
	flags.StringVar(&f.message, "message", "", "write a short report of each core to this file: the reason, and the values of entries marked summary (4096 bytes at most, as a termination message of Kubernetes)")
	flags.BoolVar(&f.compress, "compress", false, "compress cores with zstd")
	flags.StringArrayVar(&f.recipients, "recipient", nil, "encrypt cores to this age public key (age1…); may be given more than once")
	flags.BoolVar(&f.json, "json", false, "report in lines of JSON")
	flags.BoolVar(&f.quiet, "quiet", false, "report captures and failures alone")
	flags.StringVar(&f.report, "report", "", "append reports to this file instead of standard error")
	flags.BoolVar(&f.strict, "strict", false, "capture regions alone")
	flags.BoolVar(&f.data, "data", false, "capture the program's other package variables too")
	flags.BoolVar(&f.args, "args", false, "store the command line")
	flags.BoolVar(&f.labels, "labels", false, "store goroutine labels")
	flags.IntVar(&f.policy.Keep, "keep", f.policy.Keep, "cores to keep, 0 = any number")
	flags.Var((*bytesFlag)(&f.policy.KeepBytes), "keep-bytes", "bytes to keep, all cores together, 0 = any")
	flags.DurationVar(&f.policy.KeepAge, "keep-age", f.policy.KeepAge, "time to keep a core, 0 = for ever")
	flags.Var((*bytesFlag)(&f.policy.Floor), "free", "bytes that stay free on the disk")
	f.each, f.all = limitFlag{&f.policy.Each}, limitFlag{&f.policy.All}
	flags.Var(f.each, "limit", "cores for one reason, as COUNT/TIME; 0 = any number")
	flags.Var(f.all, "limit-all", "cores for all reasons, as COUNT/TIME; 0 = any number")
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	config, closeReport, err := f.config(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	config.Args = args
	status, err := supervise.Run(config)
	closeReport()
	if err != nil {
		return err
	}
	supervise.EndLike(status)
	return nil
}

// config turns the flags into a supervisor's. The function that it returns
// closes the report.
func (f *runFlags) config(stderr io.Writer) (supervise.Config, func(), error) {
	var none supervise.Config
	env := supervise.Scrub()
	if f.exitStop != "auto" && f.exitStop != "off" {
		return none, nil, fmt.Errorf("run: --exit-stop is %q, want auto or off", f.exitStop)
	}
	if f.strict && f.data {
		return none, nil, fmt.Errorf("run: --strict and --data exclude each other")
	}
	report, closeReport, err := f.reporter(stderr)
	if err != nil {
		return none, nil, err
	}
	config := supervise.Config{
		Env: env, ExitStop: f.exitStop == "auto", Hold: f.hold, Redact: f.redact, TextFile: f.text, Report: report,
		Capture: capture.Options{Args: f.args, Labels: f.labels},
	}
	hang, ok := map[string]supervise.HangAction{"none": supervise.LetHang, "quit": supervise.QuitHang, "kill": supervise.KillHang}[f.onHang]
	if !ok {
		return none, nil, fmt.Errorf("run: --on-hang is %q, want none, quit or kill", f.onHang)
	}
	config.OnHang = hang
	if f.memory < 0 || f.memory > 100 {
		return none, nil, fmt.Errorf("run: --memory is %d, want a percentage", f.memory)
	}
	config.MemoryShare = float64(f.memory) / 100
	if f.signal != "" {
		if config.Signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(f.signal), "SIG")); config.Signal == 0 {
			return none, nil, fmt.Errorf("run: --signal: there is no signal %q", f.signal)
		}
	}
	switch {
	case f.strict:
		config.Capture.Mode = capture.Strict
	case f.data:
		config.Capture.Mode = capture.Data
	}
	if err := f.destination(&config); err != nil {
		return none, nil, err
	}
	if err := f.snapshots(&config); err != nil {
		return none, nil, err
	}
	return config, closeReport, nil
}

// snapshots sets where snapshots of the living program are kept, and publishes
// those that a supervisor before this one left when it was killed.
func (f *runFlags) snapshots(config *supervise.Config) error {
	supervise.Left(f.dir, config)
	if f.snapshot <= 0 {
		return nil
	}
	if f.snapshotKeep < 1 || f.snapshotBytes < 1 {
		return fmt.Errorf("run: --snapshot-keep and --snapshot-bytes must be above 0")
	}
	config.Snapshot = f.snapshot
	config.Keeper = snapshots.Memory(f.snapshotKeep, f.snapshotBytes)
	if f.snapshotFile {
		// A disk that is full does not keep the program from running.
		keeper, err := f.snapshotsInFile()
		if err != nil {
			config.Report.Report(supervise.Event{Time: time.Now(), What: supervise.Note, Text: "snapshots are kept in memory and end with this process: " + err.Error()})
			return nil
		}
		config.Keeper = keeper
	}
	return nil
}

// snapshotsInFile allocates the file for snapshots, if it leaves as much of the
// disk as is to stay free.
func (f *runFlags) snapshotsInFile() (snapshots.Keeper, error) {
	s, err := store.Open(f.dir, f.policy)
	if err != nil {
		return nil, err
	}
	free, err := s.Free()
	if err != nil {
		return nil, err
	}
	if left := free - f.policy.Floor; f.policy.Floor > 0 && left/int64(f.snapshotKeep) < f.snapshotBytes {
		return nil, fmt.Errorf("%d bytes are free in %s, and %d snapshots of %d would leave fewer than the %d that are to stay so",
			free, s.Dir(), f.snapshotKeep, f.snapshotBytes, f.policy.Floor)
	}
	return snapshots.File(f.dir, f.snapshotKeep, f.snapshotBytes)
}

// reporter returns where reports go.
func (f *runFlags) reporter(stderr io.Writer) (*supervise.Reporter, func(), error) {
	r := &supervise.Reporter{W: stderr, JSON: f.json, Quiet: f.quiet}
	if f.report == "" {
		return r, func() {}, nil
	}
	file, err := os.OpenFile(f.report, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("run: %w", err)
	}
	r.W = file
	return r, func() { file.Close() }, nil
}

// defaultDir is where cores go unless told otherwise.
func defaultDir() string {
	if dir := os.Getenv("MEMINSPECT_DIR"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "meminspect")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "meminspect")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("meminspect-%d", os.Getuid()))
}
