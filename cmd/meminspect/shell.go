package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

func shellCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell CORE",
		Short: "Run the reading commands on a core, one after the other",
		Long: `Run the reading commands on a core, one after the other: each line is a command as
on the command line, without the name of the core. A line that begins with the name
of a region is a path, which is printed:

  goroutines --state chan
  print main.queue
  main.sessions["ada"].Orders[3]

On a terminal the Tab key completes commands, regions and paths, the arrow keys go
through the lines of this session, Ctrl-C clears the line, and Ctrl-D or "quit" ends
the shell. Output goes through $PAGER, or less if it is installed; PAGER=cat shows it
at once. Without a terminal the lines come from standard input; # begins a comment,
and the exit status is the greatest of the commands'.

Spaces separate words, except in brackets, parentheses and quotes. Quotes around a word
are removed, as in other shells, but not those in brackets: main.sessions["ada"]. To find
a text that is equal, write find '"ada"'.`,
		Example: `  meminspect shell shop.core
  echo 'len(main.sessions)' | meminspect shell shop.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := openCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("shell: %w", err)
			}
			defer core.Close()
			s, err := newShell(cmd, core)
			if err != nil {
				return fmt.Errorf("shell: %w", err)
			}
			defer s.plain.Close()
			// The terminal's interrupt is for the command that runs.
			interrupts := make(chan os.Signal, 1)
			signal.Notify(interrupts, os.Interrupt)
			defer signal.Stop(interrupts)
			if err := s.run(); err != nil {
				return fmt.Errorf("shell: %w", err)
			}
			if s.status != exitDone {
				return &exitError{status: s.status}
			}
			return nil
		},
	}
}

// A shell runs commands as child processes, so that the terminal's interrupt ends a
// command and not the shell. They inherit the core in the clear.
type shell struct {
	cmd    *cobra.Command
	name   string   // of the core, as the user calls it
	plain  *os.File // its contents
	verbs  []string
	names  []string // of regions
	status int      // the greatest of the commands'
}

// Environment of the commands that a shell runs: the name of the core that they inherit,
// and the width of the terminal on which a pager shows what they print.
const (
	shellCoreVariable  = "MEMINSPECT_SHELL_CORE"
	shellWidthVariable = "MEMINSPECT_SHELL_WIDTH"
)

// shellWidth returns the width of the terminal on which a shell shows standard output
// with a pager, 0 if no shell does.
func shellWidth(w io.Writer) int {
	width, err := strconv.Atoi(os.Getenv(shellWidthVariable))
	if err != nil || unwrapped(w) != io.Writer(os.Stdout) {
		return 0
	}
	return width
}

// inheritedCore is the file descriptor of that core.
const inheritedCore = 3

func newShell(cmd *cobra.Command, core *inspect.Core) (*shell, error) {
	s := &shell{cmd: cmd, name: core.Path, names: regionNames(core)}
	for _, c := range cmd.Root().Commands() {
		if c.GroupID == groupRead && (readsCore(c) || c.Name() == "debug") && c.Name() != "shell" {
			s.verbs = append(s.verbs, c.Name())
		}
	}
	var err error
	if s.plain, err = os.Open(core.Path); err == nil && core.Compressed == 0 && !core.Encrypted && isRegular(s.plain) {
		if info, err := s.plain.Stat(); err == nil && info.Size() == core.Bytes {
			return s, nil
		}
	}
	if err == nil {
		s.plain.Close()
	}
	if s.plain, err = corefile.InMemory("core"); err != nil {
		return nil, err
	}
	if _, err := io.Copy(s.plain, io.NewSectionReader(core.Contents(), 0, core.Bytes)); err != nil {
		s.plain.Close()
		return nil, fmt.Errorf("copy the core: %w", err)
	}
	return s, nil
}

// regionNames returns the names with which a path may begin.
func regionNames(core *inspect.Core) []string {
	var names []string
	for i := range core.Regions {
		names = append(names, value.Names(&core.Regions[i], core.MainPath())...)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func isRegular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// openInherited opens the core that a shell passes on, if arg is its name.
func openInherited(arg string) (core *inspect.Core, ok bool, err error) {
	if name, set := os.LookupEnv(shellCoreVariable); !set || name != arg {
		return nil, false, nil
	}
	core, err = inspect.Open("/dev/fd/" + strconv.Itoa(inheritedCore))
	if err == nil {
		core.Path = arg
	}
	return core, true, err
}

// run reads lines until their end.
func (s *shell) run() error {
	in, ok := s.cmd.InOrStdin().(*os.File)
	out, toFile := unwrapped(s.cmd.OutOrStdout()).(*os.File)
	if ok && toFile && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) {
		return s.interact(in, out)
	}
	lines := bufio.NewScanner(s.cmd.InOrStdin())
	for lines.Scan() {
		if line := lines.Text(); s.ends(line) {
			return nil
		} else if err := s.line(line, s.cmd.OutOrStdout(), 0); err != nil {
			return err
		}
	}
	return lines.Err()
}

// ends reports whether a line asks to end the shell.
func (s *shell) ends(line string) bool {
	return slices.Contains([]string{"quit", "exit", "q"}, strings.TrimSpace(line))
}

// interact reads lines from a terminal.
func (s *shell) interact(in, out *os.File) error {
	t := term.NewTerminal(&lineInput{in, out}, "(meminspect) ")
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return s.complete(t, line, pos)
	}
	fmt.Fprintf(s.cmd.OutOrStdout(), "%s: %q lists the commands, Tab completes, Ctrl-D ends\n", s.name, "help")
	for {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return err
		}
		if err := t.SetSize(width, height); err != nil {
			return err
		}
		cooked, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return err
		}
		line, err := t.ReadLine()
		if restored := term.Restore(int(in.Fd()), cooked); restored != nil {
			return restored
		}
		switch {
		case errors.Is(err, io.EOF):
			fmt.Fprintln(s.cmd.OutOrStdout())
			return nil
		case err != nil && !errors.Is(err, term.ErrPasteIndicator):
			return err
		case s.ends(line):
			return nil
		}
		if err := s.paged(line, out, width); err != nil {
			return err
		}
		s.status = exitDone // the user has seen it
	}
}

// lineInput is a terminal on which Ctrl-C clears the line, as in other shells: package
// term would end the input.
type lineInput struct{ in, out *os.File }

// Read is io.Reader's.
func (l *lineInput) Read(p []byte) (int, error) {
	const interrupt, clearLine = 3, 21
	n, err := l.in.Read(p)
	for i := range p[:n] {
		if p[i] == interrupt {
			p[i] = clearLine
		}
	}
	return n, err
}

// Write is io.Writer's.
func (l *lineInput) Write(p []byte) (int, error) { return l.out.Write(p) }

// paged runs a line and shows its output with a pager.
func (s *shell) paged(line string, out *os.File, width int) error {
	words := strings.Fields(os.Getenv("PAGER"))
	if len(words) == 0 {
		words = []string{"less"}
	}
	path, err := exec.LookPath(words[0])
	if err != nil || len(s.arguments(line)) == 0 || s.arguments(line)[0] == "debug" {
		return s.line(line, out, 0)
	}
	pager := exec.CommandContext(s.cmd.Context(), path, words[1:]...)
	pager.Stdout, pager.Stderr = out, os.Stderr
	if _, set := os.LookupEnv("LESS"); !set {
		pager.Env = append(os.Environ(), "LESS=FRX") // end at once if all is on one screen
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	pager.Stdin = r
	if err := pager.Start(); err != nil {
		r.Close()
		w.Close()
		return s.line(line, out, 0)
	}
	r.Close()
	failed := s.line(line, w, width)
	w.Close()
	_ = pager.Wait() // how the user left it does not matter
	return failed
}

// line runs a line. Its output is as on a terminal of a width, if that is not 0.
func (s *shell) line(line string, out io.Writer, width int) error {
	args := s.arguments(line)
	if len(args) == 0 {
		return nil
	}
	c, err := s.child(args...)
	if err != nil {
		return err
	}
	if width > 0 {
		c.Env = append(c.Env, shellWidthVariable+"="+strconv.Itoa(width))
	}
	c.Stdout, c.Stderr = unwrapped(out), unwrapped(s.cmd.ErrOrStderr())
	if args[0] == "debug" {
		c.Stdin = s.cmd.InOrStdin()
	}
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		s.status = max(s.status, exit.ExitCode())
		return nil
	}
	return err
}

// child returns a command of this program.
func (s *shell) child(args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(s.cmd.Context(), self, args...)
	c.Args[0] = os.Args[0]
	c.Env = os.Environ()
	// A debugger opens the file itself, and what it starts must not take its own
	// descriptor for our core. Windows passes no descriptors on.
	if args[0] != "debug" && runtime.GOOS != "windows" {
		c.ExtraFiles = []*os.File{s.plain}
		c.Env = append(c.Env, shellCoreVariable+"="+s.name)
	}
	return c, nil
}

// arguments returns the command line for a line, none if there is nothing to do.
func (s *shell) arguments(line string) []string {
	args := splitLine(line)
	if len(args) == 0 {
		return nil
	}
	switch {
	case args[0] == "help" && len(args) > 1:
		return []string{args[1], "--help"}
	case args[0] == "help":
		return []string{"shell", "--help"}
	case slices.Contains(s.verbs, args[0]):
		return slices.Insert(args, 1, s.name)
	case s.isPath(line), strings.Contains(args[0], "."): // no command has a dot
		return []string{"print", s.name, strings.TrimSpace(line)}
	}
	return args // the command's own error
}

// isPath reports whether a line begins as a path does.
func (s *shell) isPath(line string) bool {
	line = strings.TrimLeft(strings.TrimSpace(line), "*&(")
	line = strings.TrimPrefix(strings.TrimPrefix(line, "len("), "cap(")
	return slices.ContainsFunc(s.names, func(name string) bool { return strings.HasPrefix(line, name) })
}

// splitLine splits a line into words. Text in brackets, parentheses and quotes is in one
// word; single and double quotes outside of brackets are removed. # begins a comment.
func splitLine(line string) []string {
	var words []string
	var word strings.Builder
	depth, quote, started := 0, byte(0), false
	end := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	removed := func(c byte) bool { return depth == 0 && (c == '\'' || c == '"') }
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if c == '\\' && quote == '"' && i+1 < len(line) {
				if depth > 0 || line[i+1] != '"' && line[i+1] != '\\' {
					word.WriteByte(c)
				}
				i++
				c = line[i]
			} else if c == quote {
				quote = 0
				if removed(c) {
					continue
				}
			}
		case c == '\'' || c == '"' || c == '`':
			quote, started = c, true
			if removed(c) {
				continue
			}
		case c == '#' && !started:
			return words
		case c == '[' || c == '(' || c == '{':
			depth++
		case c == ']' || c == ')' || c == '}':
			depth = max(depth-1, 0)
		case (c == ' ' || c == '\t') && depth == 0:
			end()
			continue
		}
		started = true
		word.WriteByte(c)
	}
	end()
	return words
}

// complete completes the word at the cursor: as far as all candidates agree, else it
// lists them.
func (s *shell) complete(list io.Writer, line string, pos int) (string, int, bool) {
	words := splitLine(line[:pos])
	last := ""
	if pos > 0 && line[pos-1] != ' ' && len(words) > 0 {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	candidates := s.candidates(words, last)
	if len(candidates) == 0 || !strings.HasSuffix(line[:pos], last) {
		return line, pos, true
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	if len(common) <= len(last) && len(candidates) > 1 {
		const most = 100
		fmt.Fprintf(list, "%s\r\n", escape([]byte(strings.Join(candidates[:min(most, len(candidates))], "  "))))
		return line, pos, true
	}
	if len(candidates) == 1 && slices.Contains(s.verbs, common) && len(words) == 0 {
		common += " "
	}
	text := line[:pos-len(last)] + common
	return text + line[pos:], len(text), true
}

// candidates returns what the last word may be, as the commands' own completion does.
func (s *shell) candidates(words []string, last string) []string {
	var all []string
	args := []string{cobra.ShellCompNoDescRequestCmd}
	switch {
	case len(words) == 0:
		all = append(append(all, s.verbs...), "help", "quit")
		args = append(args, "print", s.name, last)
	case words[0] == "help":
		all = append(all, s.verbs...)
		args = nil
	default:
		args = append(append(args, s.arguments(strings.Join(words, " "))...), last)
	}
	if args != nil {
		all = append(all, s.ask(args)...)
	}
	all = slices.DeleteFunc(all, func(c string) bool { return !strings.HasPrefix(c, last) })
	slices.Sort(all)
	return slices.Compact(all)
}

// ask returns the completions that a command prints.
func (s *shell) ask(args []string) []string {
	c, err := s.child(args...)
	if err != nil {
		return nil
	}
	out, err := c.Output()
	if err != nil {
		return nil
	}
	var all []string
	for line := range bytes.Lines(out) {
		if line[0] == ':' { // what follows is for shells
			break
		}
		all = append(all, strings.TrimSuffix(string(line), "\n"))
	}
	return all
}
