//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/internal/supervise/snapshots"
)

// runFlags are what the commands that supervise or handle cores accept.
type runFlags struct {
	captureFlags

	dir           string
	exitStop      choice
	on            []string
	except        []string
	children      choice
	hold          time.Duration
	messageValues bool
	keepText      bool
	text          string
	stderrTail    int64
	onHang        choice
	memory        int
	signal        string

	to      string
	toWait  time.Duration // 0 = the default of the destination
	message string

	notify       string
	notifyValues bool
	notifyFormat choice
	notifyEnd    time.Duration // how long the end of this process waits for notifications

	snapshot      time.Duration
	snapshotKeep  int
	snapshotBytes int64
	snapshotFile  bool

	json   bool
	quiet  bool
	report string

	policy store.Policy
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Run a program and capture it if it crashes, hangs, or on request",
		Long: `run starts PROGRAM and watches it. The program keeps its terminal, its signals,
its standard error and its exit status. If it crashes, run writes a core of its
annotated memory to the directory.

A fatal error of Go is captured while the runtime is writing its report, which
needs no privileges. Any other end (a kill, os.Exit with a failing status, a
fault in C code) is captured if ptrace is allowed. The first line that run
writes reports which of these work on this system.`,
		Example: `  meminspect run -- ./server exit0
  meminspect run --dir cores --keep-crash-text -- ./server exit0`,
		Args: cobra.MinimumNArgs(1),
		RunE: f.run,
	}
	cmd.Flags().SetInterspersed(false) // the program's flags are its own
	f.add(cmd)
	endAtSignals(cmd) // until it supervises
	cmd.Flags().Var((*bytesize.Value)(&f.stderrTail), "stderr-tail", "pass standard error through a pipe and keep its last bytes, at most this many, in a core: they have the report of a fatal error of a program that does not embed the runtime; 0 keeps none")
	return cmd
}

// add adds the flags of commands that supervise a program.
func (f *runFlags) add(cmd *cobra.Command) {
	f.addHandled(cmd)
	fl := cmd.Flags()
	fl.Var(&f.exitStop, "exit-stop", "capture ends that Go does not report, by ptrace")
	fl.StringSliceVar(&f.on, "on", nil, "capture these `ends` too: a signal such as sigterm, or exit-N. By default sigterm, sigint and sighup are not captured, and each other end is, except for status 0")
	fl.StringSliceVar(&f.except, "except", nil, "do not capture these `ends`: a signal such as sigkill, exit-N for an exit status, or exit for all of them")
	fl.Var(&f.children, "children", "action when a process that the program started crashes, if it embeds the runtime")
	fl.Var((*duration.Value)(&f.hold), "hold", "maximum time for which a crashing program is stopped")
	fl.BoolVar(&f.keepText, "keep-crash-text", false, "store complete crash texts: by default, if the program has exclusions, arguments of functions and excluded values are omitted")
	fl.StringVar(&f.text, "crash-text", "", "append crash texts to this `file` too, for programs that call debug.SetCrashOutput")
	fl.Var(&f.onHang, "on-hang", "action after the capture of a program that misses a heartbeat: quit sends SIGQUIT, kill sends SIGKILL")
	fl.Var(number{&f.memory, 0, 100}, "memory", "capture when this percentage of the memory limit is used; 0 never captures")
	fl.StringVar(&f.signal, "signal", "", "capture on this `signal`, such as USR1, and do not forward it")
	fl.Var((*duration.Value)(&f.snapshot), "snapshot", "time between snapshots of the running program, for ends at which nothing can stop it; 0 takes none")
	fl.Var(number{&f.snapshotKeep, 1, 1000}, "snapshot-keep", "snapshots to keep")
	fl.Var((*bytesize.Value)(&f.snapshotBytes), "snapshot-bytes", "maximum size of a snapshot")
	fl.BoolVar(&f.snapshotFile, "snapshot-file", false, "keep snapshots in a file in the directory, which the next start publishes, instead of in memory")
	needs(cmd, "snapshot", "", "snapshot-keep", "snapshot-bytes", "snapshot-file")
	fl.Var(number{&f.policy.Loop, 0, math.MaxInt32}, "limit-loop", "maximum number of cores for one reason in a crash loop: crashes in a row, each within ten minutes of its start; 0 is no limit")
}

// addHandled adds the flags of commands that store cores of any program.
func (f *runFlags) addHandled(cmd *cobra.Command) {
	*f = runFlags{
		exitStop: choose("auto", "off"), children: choose("capture", "report", "ignore"), onHang: choose("none", "quit", "kill"), notifyFormat: choose("json", "otlp"), notifyEnd: notifyEnd, hold: supervise.DefaultHold,
		memory: 90, snapshotKeep: 1, snapshotBytes: 4 << 20, policy: store.DefaultPolicy(),
	}
	f.captureFlags.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", "", "`directory` for cores (default $MEMINSPECT_DIR, else meminspect in the user's state directory)")
	fl.StringVar(&f.to, "to", "", "send cores to this `destination` instead of the directory: - (standard output; the program's goes to standard error), exec:COMMAND, which reads its standard input and runs without a shell, s3://BUCKET/PREFIX, with the credentials of the platform, or a presigned URL; {name} in a command or a URL is the file's name (default $MEMINSPECT_TO)")
	fl.Var((*duration.Value)(&f.toWait), "to-wait", "how long the restart of a program waits for a core that is sent with --to; 0 is a second for s3:// and URLs, whose cores wait in the directory then, and five minutes for a command, which is killed then")
	fl.StringVar(&f.message, "message", "", "write a short report of each core to this `file`, at most 4096 bytes, as Kubernetes reads a termination message: the reason and message, the calls of the goroutine that ended the program, and the values of entries marked summary")
	fl.BoolVar(&f.messageValues, "message-values", false, "write values and the panic's message to the file of --message although --recipient encrypts the core")
	fl.StringVar(&f.notify, "notify", "", "post a report of each core as JSON to this `URL` (default $MEMINSPECT_NOTIFY); the end of the program waits at most a second for it")
	fl.Var(&f.notifyFormat, "notify-format", "form of these reports: as report --json, or a log record of OpenTelemetry")
	fl.BoolVar(&f.notifyValues, "notify-values", false, "post values, tags, stacks and the panic's message although --recipient encrypts the core")
	fl.BoolVar(&f.json, "json", false, "report events as JSON, one object on each line")
	cmd.Annotations[schemaName] = "events"
	needs(cmd, "message", "", "message-values")
	needs(cmd, "notify", notifyVariable, "notify-format", "notify-values")
	needs(cmd, "to", toVariable, "to-wait")
	fl.BoolVar(&f.quiet, "quiet", false, "report only captures and failures")
	fl.StringVar(&f.report, "report", "", "append reports to this `file` instead of standard error")
	fl.Var(number{&f.policy.Keep, 0, math.MaxInt32}, "keep", "maximum number of cores in the directory; 0 keeps any number")
	fl.Var((*bytesize.Value)(&f.policy.KeepBytes), "keep-bytes", "maximum size of all cores in the directory; 0 keeps any size")
	fl.Var((*duration.Value)(&f.policy.KeepAge), "keep-age", "remove older cores; 0 keeps them")
	fl.Var((*bytesize.Value)(&f.policy.MinFreeBytes), "free", "bytes to leave free on the disk")
	fl.Var(rate{&f.policy.Each}, "limit", "maximum rate of cores for one reason, as COUNT/TIME; 0 is no limit")
	fl.Var(rate{&f.policy.All}, "limit-all", "maximum rate of cores for all reasons, as COUNT/TIME; 0 is no limit")
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	if err := roomForSupervisor(); err != nil {
		return unsupervised(cmd, args, sanitizeEnv(), err)
	}
	config, closeReport, err := f.config(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := f.checkInputs(args[0], config.Report); err != nil {
		closeReport()
		return err
	}
	if err := f.checkStderr(); err != nil {
		closeReport()
		return err
	}
	config.StderrTail, config.Relay = int(f.stderrTail), []string{"/proc/self/exe", relayName}
	config.Args = args
	config.Capture.Place = config.Capture.Place.Or(placeOf(os.Getpid()))
	config.Witness = []string{"/proc/self/exe", witnessName}
	// Also after the supervisor: this process must end as the program did.
	if err := cancelAtSignals(cmd, nil); err != nil {
		closeReport()
		return err
	}
	status, err := supervise.Run(config)
	closeReport()
	var start *supervise.StartError
	switch {
	case errors.As(err, &start):
		return &exitError{status: start.ExitStatus(), err: err}
	case err != nil:
		return unsupervised(cmd, args, config.Env, err)
	}
	supervise.ExitAs(status)
	return nil
}

// config converts the flags to a supervisor's configuration. The returned
// function closes the report.
func (f *runFlags) config(stderr io.Writer) (supervise.Config, func(), error) {
	var none supervise.Config
	env := sanitizeEnv()
	report, closeReport, err := f.reporter(stderr)
	if err != nil {
		return none, nil, err
	}
	config := supervise.Config{
		Env: env, ExitStop: f.exitStop.value == "auto", Hold: f.hold, KeepText: f.keepText, TextFile: f.text, Report: report,
		Capture: f.options(), Heap: heapReader(),
		OnHang: map[string]supervise.HangAction{"none": supervise.LetHang, "quit": supervise.QuitHang, "kill": supervise.KillHang}[f.onHang.value],
		Children: map[string]supervise.Children{
			"capture": supervise.CaptureChildren, "report": supervise.ReportChildren, "ignore": supervise.IgnoreChildren,
		}[f.children.value],
	}
	if slices.Contains(f.except, "sigquit") {
		return none, nil, errors.New("run: --except: Go reports SIGQUIT as a fatal error, which is always captured")
	}
	if config.Ends, err = supervise.NewEnds(f.on, f.except); err != nil {
		return none, nil, fmt.Errorf("run: --on, --except: %w", err)
	}
	if len(f.on) > 0 && !config.ExitStop {
		return none, nil, errors.New("run: --on names ends that are noticed in the exit stop: remove --exit-stop=off")
	}
	config.MemoryShare = float64(f.memory) / 100
	if f.signal != "" {
		if config.Signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(f.signal), "SIG")); config.Signal == 0 {
			return none, nil, fmt.Errorf("run: --signal: there is no signal %q", f.signal)
		}
		if config.Signal == unix.SIGKILL || config.Signal == unix.SIGSTOP {
			return none, nil, fmt.Errorf("run: --signal: no process can catch %s: use another, such as USR1", unix.SignalName(config.Signal))
		}
	}
	closeNotifier, err := f.destination(&config)
	if err != nil {
		return none, nil, err
	}
	if err := f.snapshots(&config); err != nil {
		return none, nil, err
	}
	return config, func() { closeNotifier(); closeReport() }, nil
}

// maxStderrTail bounds --stderr-tail: the supervisor has up to three times that in memory.
const maxStderrTail = 1 << 20

// checkStderr returns why --stderr-tail cannot be used.
func (f *runFlags) checkStderr() error {
	var info unix.Stat_t
	switch {
	case f.stderrTail == 0:
	case f.stderrTail < 0 || f.stderrTail > maxStderrTail:
		return fmt.Errorf("run: --stderr-tail: want at most %s", bytesize.Short(maxStderrTail))
	case unix.Fstat(int(os.Stderr.Fd()), &info) != nil:
		return errors.New("run: --stderr-tail: standard error is closed")
	case term.IsTerminal(int(os.Stderr.Fd())):
		return errors.New("run: --stderr-tail: standard error is a terminal, which the program would no longer see: redirect it, or embed the runtime in the program")
	}
	return nil
}

// snapshots sets where snapshots of the running program are kept, and publishes
// those that an earlier supervisor left when it was killed.
func (f *runFlags) snapshots(config *supervise.Config) error {
	supervise.PublishLeftovers(f.dir, config)
	if f.snapshot <= 0 {
		return nil
	}
	if f.snapshotBytes < 1 {
		return fmt.Errorf("run: --snapshot-bytes must be above 0")
	}
	config.Snapshot = f.snapshot
	config.Keeper = snapshots.Memory(f.snapshotKeep, f.snapshotBytes)
	if f.snapshotFile {
		// A full disk does not prevent the program from running.
		keeper, err := f.snapshotsInFile()
		if err != nil {
			remark(config.Report, "snapshots are kept in memory and end with this process: "+err.Error())
			return nil //nolint:nilerr // the report has it
		}
		config.Keeper = keeper
	}
	return nil
}

// snapshotsInFile allocates the file for snapshots, if that respects --free.
func (f *runFlags) snapshotsInFile() (snapshots.Keeper, error) {
	s, err := store.Open(f.dir, f.policy)
	if err != nil {
		return nil, err
	}
	free, err := s.Free()
	if err != nil {
		return nil, err
	}
	if left := free - f.policy.MinFreeBytes; f.policy.MinFreeBytes > 0 && left/int64(f.snapshotKeep) < f.snapshotBytes {
		return nil, fmt.Errorf("%s are free in %s; --free keeps %s free, and %d snapshots of %s do not fit",
			bytesize.Short(uint64(free)), s.Dir(), bytesize.Short(uint64(f.policy.MinFreeBytes)), f.snapshotKeep, bytesize.Short(uint64(f.snapshotBytes)))
	}
	form, err := f.form()
	if err != nil {
		return nil, err
	}
	return snapshots.File(f.dir, f.snapshotKeep, f.snapshotBytes, form)
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

// unsupervised replaces this process by the program, because limits of this
// process leave no room to supervise it. It returns only if that fails.
func unsupervised(cmd *cobra.Command, args, env []string, cause error) error {
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		start := &supervise.StartError{Err: err}
		return &exitError{status: start.ExitStatus(), err: start}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %v: the program runs without a supervisor, and leaves no core\n", cause)
	return errors.Join(cause, unix.Exec(path, args, env))
}
