package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/inmemory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/request"
)

// identityVariable is the default of --identity.
const identityVariable = "MEMINSPECT_IDENTITY"

// addOpenFlags adds the flags of [openOptions] to a command that reads cores.
func addOpenFlags(cmd *cobra.Command) {
	size := bytesize.Value(corefile.DefaultMaxBytes)
	cmd.Flags().Var(&size, "max-size", "maximum size of a compressed or piped core, decompressed")
	cmd.Flags().StringArray("identity", nil, "`file` of the age or SSH secret key of an encrypted core; may be repeated (default $"+identityVariable+")")
}

// openOptions returns the options for opening cores from the command line.
func openOptions(cmd *cobra.Command) (o corefile.OpenOptions, err error) {
	size, ok := cmd.Flags().Lookup("max-size").Value.(*bytesize.Value)
	if !ok || *size <= 0 {
		return o, fmt.Errorf("--max-size=%v: want more than 0", cmd.Flags().Lookup("max-size").Value)
	}
	o.MaxBytes = int64(*size)
	o.Identities, err = identities(cmd)
	return o, err
}

// identities returns the secret keys that the command line names.
func identities(cmd *cobra.Command) ([]age.Identity, error) {
	files, err := cmd.Flags().GetStringArray("identity")
	if err != nil {
		return nil, err
	}
	if name := os.Getenv(identityVariable); len(files) == 0 && name != "" {
		files = []string{name}
	}
	return corefile.ParseIdentities(files, askPassphrase)
}

// askPassphrase prompts on the terminal, even if standard input is redirected.
func askPassphrase(file string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("it has a passphrase, and there is no terminal to ask for it")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Passphrase for %s: ", file)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}

// openCore opens the core that an argument of a reading command names, and
// warns if it is truncated: the missing part shows as not captured.
func openCore(cmd *cobra.Command, arg string) (*inspect.Core, error) {
	core, err := readCore(cmd, arg)
	if err != nil {
		return nil, err
	}
	if n := core.Missing(); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %s: %s is truncated: %d bytes are missing, and what they held shows as not captured\n", verbOf(cmd), arg, n)
	}
	return core, nil
}

// openProgram is [openCore] for commands that read what the core has of the program. The
// caller calls closeAll.
func openProgram(cmd *cobra.Command, arg, exe string) (prog *inspect.Program, closeAll func(), err error) {
	core, err := openCore(cmd, arg)
	if err != nil {
		return nil, nil, err
	}
	if prog, err = inspect.OpenProgram(core, exe); err != nil {
		core.Close()
		return nil, nil, err
	}
	return prog, func() {
		prog.Close()
		core.Close()
	}, nil
}

// readsCore reports whether a reading command opens its argument with [readCore].
func readsCore(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "list", "rm", "heap", "scan", "debug":
		return false
	}
	return true
}

// addStop adds the flag of commands that accept a process ID.
func addStop(cmd *cobra.Command) {
	cmd.Flags().Bool("stop", false, "if CORE is a process ID, stop the process while it is captured: then no value is torn")
}

// stops reports whether the command line requests stopping processes.
func stops(cmd *cobra.Command) bool {
	stop, err := cmd.Flags().GetBool("stop")
	return err == nil && stop
}

// coreHelp is added to the help of each reading command: see [readCore].
const coreHelp = `CORE is a path, - for standard input, a name that "meminspect list" prints (@1,
PROGRAM@1), or a process ID. A process is captured in memory; it is not stopped,
unless --stop is given. A core with all memory, as gcore and the kernel write it,
is reduced as by "meminspect filter".`

// readCore is openCore without the warning.
func readCore(cmd *cobra.Command, arg string) (*inspect.Core, error) {
	core, err := readWholeCore(cmd, arg)
	if err != nil || !errors.Is(core.Without(), inspect.ErrFullCore) {
		return core, err
	}
	defer core.Close()
	return reduce(cmd, core)
}

// readWholeCore is readCore, but does not reduce a full core.
func readWholeCore(cmd *cobra.Command, arg string) (*inspect.Core, error) {
	if core, ok, err := openInherited(arg); ok {
		return core, err
	}
	if pid, ok := processID(arg); ok {
		return captureProcess(cmd, pid)
	}
	return readFileCore(cmd, arg)
}

// readFileCore opens a core in a file or on standard input, as it is.
func readFileCore(cmd *cobra.Command, arg string) (*inspect.Core, error) {
	o, err := openOptions(cmd)
	if err != nil {
		return nil, err
	}
	path, err := corePath(cmd, arg)
	if err != nil {
		return nil, err
	}
	if path == stdinName {
		f, err := openFile(cmd.InOrStdin(), path, o)
		if err != nil {
			return nil, fmt.Errorf("open core on standard input: %w", suggestSize(err))
		}
		f.Path = path
		return inspect.OfFile(f)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("open core %s: it is a directory: `meminspect list --dir %s` lists its cores", path, quoteForShell(path))
	}
	core, err := inspect.OpenWith(path, o)
	return core, suggestSize(err)
}

// processID returns the process that an argument names: a number that is not
// the name of a file.
func processID(arg string) (int, bool) {
	pid, err := strconv.Atoi(arg)
	if err != nil || pid <= 0 {
		return 0, false
	}
	_, err = os.Lstat(arg)
	return pid, errors.Is(err, fs.ErrNotExist)
}

// captureProcess captures a process for a command that reads it.
func captureProcess(cmd *cobra.Command, pid int) (*inspect.Core, error) {
	opts := capture.Options{Stop: capture.StopNever, Request: requestOf(cmd)}
	if stops(cmd) {
		opts.Stop = capture.StopAlways
	}
	return inmemory.Capture(cmd.Context(), pid, opts)
}

// reduce makes the core that a capture would have made from a full core.
func reduce(cmd *cobra.Command, core *inspect.Core) (*inspect.Core, error) {
	var exe string
	if flag := cmd.Flags().Lookup("exe"); flag != nil {
		exe = flag.Value.String()
	}
	return inmemory.Reduce(cmd.Context(), core, exe, capture.Options{Request: requestOf(cmd)})
}

// smallHeap is the heap of a command that makes a small core, in bytes: it collects no
// garbage until its heap is larger.
const smallHeap = 8 << 20

// requestOf returns the request of a command that makes a core.
func requestOf(cmd *cobra.Command) request.Request {
	return request.Request{Requester: "meminspect " + verbOf(cmd), Hold: request.Hold{PauseGC: gcpause.Begin}, Sign: report.Sign}
}

// suggestSize adds advice to the error about a core that is too large.
func suggestSize(err error) error {
	if errors.Is(err, corefile.ErrTooLarge) {
		return fmt.Errorf("%w: raise --max-size", err)
	}
	return err
}

// warn prints the warnings about a program.
func warn(cmd *cobra.Command, prog *inspect.Program) {
	for _, w := range prog.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %s: %s\n", cmd.Name(), w)
	}
}
