package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/binary"
)

type debugFlags struct {
	search   binary.Search
	debugger choice
	dap      string
	vscode   bool
}

func debugCommand() *cobra.Command {
	f := debugFlags{debugger: choose("dlv", "gdb")}
	cmd := &cobra.Command{
		Use:   "debug [flags] CORE [-- ARGUMENT...]",
		Short: "Open a core in Delve or gdb, with the right executable",
		Long: `Open a core in Delve, or in gdb, with the executable of the same build. It is
found by its build IDs: at its own path, next to the core, below the
directories of --exe-dir, and on the debuginfod servers of $DEBUGINFOD_URLS.

A compressed or encrypted core is written in the clear into a directory that only
you can read, and that is removed when the debugger ends. Arguments after -- go to
the debugger.`,
		Example: `  meminspect debug shop.core
  meminspect debug --exe-dir builds shop.core -- --init commands.txt
  meminspect debug --debugger gdb shop.core -- -batch -ex bt
  meminspect debug --vscode shop.core`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && cmd.ArgsLenAtDash() != 1 {
				return fmt.Errorf("debug: one core is opened at a time: arguments for the debugger follow --")
			}
			if err := f.run(cmd, args[0], args[1:]); err != nil {
				return fmt.Errorf("debug: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&f.search.Path, "exe", "", "the executable `file`; one of another build is refused")
	cmd.Flags().StringArrayVar(&f.search.Dirs, "exe-dir", nil, "search this `directory` and those below it for the executable; may be repeated")
	cmd.Flags().Var(&f.debugger, "debugger", "debugger to start")
	cmd.Flags().StringVar(&f.dap, "dap", "", "start Delve's DAP server for an editor at this `address`, such as 127.0.0.1:0, and print the editor's launch entry")
	cmd.Flags().BoolVar(&f.vscode, "vscode", false, "print the entry for VS Code's launch.json and start nothing")
	exclusive(cmd, "editors use Delve", "vscode", "dap", "debugger")
	return cmd
}

// launchEntry is an entry of VS Code's launch.json, and the arguments of DAP's
// launch request to Delve.
type launchEntry struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Request  string `json:"request"`
	Mode     string `json:"mode"`
	Program  string `json:"program"`
	CorePath string `json:"coreFilePath"`
}

func (f *debugFlags) run(cmd *cobra.Command, arg string, more []string) error {
	if pid, ok := processID(arg); ok {
		return fmt.Errorf("process %d: it has no core: use `dlv attach %d`, or capture it first", pid, pid)
	}
	if arg == stdinName {
		return errors.New("a core on standard input: debuggers open files: store it in one")
	}
	core, err := readFileCore(cmd, arg)
	if err != nil {
		return err
	}
	defer core.Close()
	if f.search.Servers = strings.Fields(os.Getenv("DEBUGINFOD_URLS")); len(f.search.Servers) > 0 {
		provideRoots()
	}
	program, err := binary.Find(cmd.Context(), core, f.search)
	if errors.Is(err, binary.ErrNotFound) {
		return fmt.Errorf("%w: name it with --exe, or a directory of builds with --exe-dir", err)
	}
	if err != nil {
		return err
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	// The debugger gets a terminal's interrupt too. A signal to this process alone
	// is passed on, so that the copy of the core is removed.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	stored := core.Compressed > 0 || core.Encrypted
	if f.vscode && stored {
		return fmt.Errorf("%s is compressed or encrypted, which VS Code cannot open: use --dap, or store it in the clear", core.Path)
	}
	path, remove, err := plainCore(cmd, core, stored, signals)
	if err != nil {
		return err
	}
	defer remove()
	entry := launchEntry{Name: "core of " + filepath.Base(program), Type: "go", Request: "launch", Mode: "core", Program: program, CorePath: path}
	switch {
	case f.vscode:
		return printJSON(cmd.OutOrStdout(), entry)
	case f.dap != "":
		if err := printJSON(cmd.ErrOrStderr(), entry); err != nil {
			return err
		}
		return runDebugger(cmd, signals, "dlv", append([]string{"dap", "--listen=" + f.dap}, more...))
	case f.debugger.value == "gdb":
		return runDebugger(cmd, signals, "gdb", append(more, program, path))
	}
	return runDebugger(cmd, signals, "dlv", append([]string{"core", program, path}, more...))
}

// plainCore returns the path of a decrypted and decompressed core, and a
// function that removes the copy, if there is one. A signal ends the copying.
func plainCore(cmd *cobra.Command, core *inspect.Core, stored bool, signals <-chan os.Signal) (path string, remove func(), err error) {
	if !stored {
		path, err = filepath.Abs(core.Path)
		return path, func() {}, err
	}
	o, err := openOptions(cmd)
	if err != nil {
		return "", nil, err
	}
	file, err := corefile.Open(core.Path, o)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	const name = "meminspect-debug-*"                            // MkdirTemp makes it readable for this user only
	dir, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), name) // in memory, if it exists
	if err != nil {
		dir, err = os.MkdirTemp("", name)
	}
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	base, _, _ := strings.Cut(filepath.Base(core.Path), corefile.Extension)
	path = filepath.Join(dir, base+corefile.Extension)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = corefile.Form{}.Write(out, func(w io.Writer) error { // with holes for zeros
			_, err := io.Copy(w, untilSignalled{io.NewSectionReader(file, 0, file.Size), signals})
			return err
		})
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("write the core in the clear: %w", err)
	}
	return path, remove, nil
}

// An untilSignalled is a reader that fails when a signal arrives.
type untilSignalled struct {
	r       io.Reader
	signals <-chan os.Signal
}

func (u untilSignalled) Read(p []byte) (int, error) {
	select {
	case s := <-u.signals:
		return 0, fmt.Errorf("%v", s)
	default:
		return u.r.Read(p)
	}
}

// runDebugger runs a debugger on our terminal and returns its exit status.
func runDebugger(cmd *cobra.Command, signals <-chan os.Signal, name string, args []string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed: %w", name, err)
	}
	c := exec.CommandContext(cmd.Context(), path, args...)
	c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), unwrapped(cmd.OutOrStdout()), unwrapped(cmd.ErrOrStderr())
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			if s != os.Interrupt || !isTerminal(cmd.InOrStdin()) {
				_ = c.Process.Signal(s) // it may have ended
			}
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return &exitError{status: exit.ExitCode()}
			}
			return err
		}
	}
}
