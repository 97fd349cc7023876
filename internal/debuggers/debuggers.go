// Package debuggers runs unmodified gdb and Delve on a core and returns what
// they print: the judges of every claim that a core opens in them.
package debuggers

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// ErrMissing reports that a debugger is not installed.
var ErrMissing = errors.New("not installed")

// timeout bounds one run of a debugger.
const timeout = 2 * time.Minute

// Find returns the path of a tool: the pinned one that make installs into
// .tools/bin of the checkout, else the one on PATH.
func Find(tool string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		pinned := filepath.Join(dir, ".tools", "bin", tool)
		if info, statErr := os.Stat(pinned); statErr == nil && info.Mode().IsRegular() {
			return pinned, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	path, lookErr := exec.LookPath(tool)
	if lookErr != nil {
		return "", fmt.Errorf("%s: %w; `make tools` installs it", tool, ErrMissing)
	}
	return path, nil
}

// GDBPrint opens core in gdb and returns what `output EXPR` prints for each
// expression; for one that gdb cannot evaluate, its complaint.
func GDBPrint(ctx context.Context, exe, core string, exprs ...string) ([]string, error) {
	commands := []string{"set confirm off", "set width 0", "set height 0", "set print elements 0", "set print repeats 0", "set language go"}
	for i, expr := range exprs {
		commands = append(commands, fmt.Sprintf(`echo \n@@%d@@\n`, i), "output "+expr)
	}
	commands = append(commands, fmt.Sprintf(`echo \n@@%d@@\n`, len(exprs)))
	out, err := GDB(ctx, exe, core, commands...)
	if err != nil {
		return nil, err
	}
	return between(out, len(exprs), "gdb")
}

// GDB opens core in gdb, runs the commands and returns all that was printed.
func GDB(ctx context.Context, exe, core string, commands ...string) (string, error) {
	gdb, err := Find(gdbFor(exe))
	if err != nil {
		return "", err
	}
	args := []string{"-nx", "-q", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"}
	args = append(args, exe, core)
	for _, command := range commands {
		args = append(args, "-ex", command)
	}
	cmd := exec.Command(gdb, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return run(ctx, cmd)
}

// gdbFor names the gdb that knows the machine of an executable: Debian's plain
// one knows its own alone.
func gdbFor(exe string) string {
	f, err := elf.Open(exe)
	if err != nil {
		return "gdb"
	}
	defer f.Close()
	own := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if f.Machine != own {
		return "gdb-multiarch"
	}
	return "gdb"
}

// DelvePrint opens core in Delve and returns what `print EXPR` prints for each
// expression; for one that Delve cannot evaluate, its complaint.
func DelvePrint(ctx context.Context, exe, core string, exprs ...string) ([]string, error) {
	return DelvePrintAs(ctx, exe, core, nil, exprs...)
}

// DelvePrintAs is DelvePrint after some commands that configure Delve.
func DelvePrintAs(ctx context.Context, exe, core string, settings []string, exprs ...string) ([]string, error) {
	commands := slices.Clone(settings)
	for i, expr := range exprs {
		commands = append(commands, fmt.Sprintf(`print "@@%d@@"`, i), "print "+expr)
	}
	commands = append(commands, fmt.Sprintf(`print "@@%d@@"`, len(exprs)))
	out, err := Delve(ctx, exe, core, commands...)
	if err != nil {
		return nil, err
	}
	return between(strings.NewReplacer(`"@@`, "\n@@", `@@"`, "@@\n").Replace(out), len(exprs), "dlv")
}

// Delve opens core in Delve, runs the commands and returns all that was
// printed. Commands that fail print why; the others still run.
func Delve(ctx context.Context, exe, core string, commands ...string) (string, error) {
	home, err := os.MkdirTemp("", "meminspect-dlv-")
	if err != nil {
		return "", fmt.Errorf("running dlv: %w", err)
	}
	defer os.RemoveAll(home)
	cmd, err := DelveCommand(home, exe, core, commands...)
	if err != nil {
		return "", err
	}
	return run(ctx, cmd)
}

// DelveCommand returns the command that opens core in Delve and runs the commands. It keeps
// them, and the settings of Delve, in the directory home.
func DelveCommand(home, exe, core string, commands ...string) (*exec.Cmd, error) {
	dlv, err := Find("dlv")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(home, "commands")
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\nexit\n"), 0o600); err != nil {
		return nil, fmt.Errorf("running dlv: %w", err)
	}
	// Delve refuses targets of Go versions older than it supports without its flag.
	cmd := exec.Command(dlv, "core", exe, core, "--check-go-version=false", "--allow-non-terminal-interactive", "--init", script)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+home, "XDG_CONFIG_HOME="+home, "NO_COLOR=1", "TERM=dumb")
	return cmd, nil
}

// run returns the output of a debugger; a failing exit status counts only when
// nothing was printed, since both debuggers report a bad expression that way.
func run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Env = cmd.Env
	out, err := bounded.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("running %s: %w", cmd, ctx.Err())
	}
	if err != nil && len(out) == 0 {
		return "", fmt.Errorf("running %s: %w", cmd, err)
	}
	return string(out), nil
}

// between returns the text between each two of the marks @@0@@, @@1@@, ….
func between(out string, n int, tool string) ([]string, error) {
	values := make([]string, n)
	for i := range values {
		_, rest, found := strings.Cut(out, fmt.Sprintf("\n@@%d@@\n", i))
		value, _, closed := strings.Cut(rest, fmt.Sprintf("\n@@%d@@\n", i+1))
		if !found || !closed {
			return nil, fmt.Errorf("%s stopped before expression %d; it printed:\n%s", tool, i+1, out)
		}
		values[i] = strings.TrimSpace(value)
	}
	return values, nil
}
