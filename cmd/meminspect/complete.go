package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A completer returns the values that complete a text.
type completer = func(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective)

// A worded flag takes one of a few words.
type worded interface{ completions() []string }

// flagCompleters complete flags that are no [worded] ones, by their names.
var flagCompleters = map[string]completer{
	"on":     fixed("exit", "sigterm", "sigint", "sighup"),
	"except": fixed("exit", "sigkill"),
	"signal": fixed("USR1", "USR2"),
	"level":  fixed("DEBUG", "INFO", "WARN", "ERROR"),
	"state":  completeGoroutines(func(g *stacks.Goroutine) []string { return []string{g.State} }),
	"label": completeGoroutines(func(g *stacks.Goroutine) (all []string) {
		for _, l := range g.Labels {
			all = append(all, l.Key+"="+l.Value)
		}
		return all
	}),
}

// argCompleters complete arguments, by the first argument in a command's usage.
var argCompleters = map[string]completer{
	"CORE":        completeCores,
	"CORE...":     completeCores,
	"[CORE]":      completeCores,
	"[CORE…|DIR]": completeCores,
	"[PROGRAM]":   completePrograms,
	"PID":         completeProcesses,
	"[PID]":       completeProcesses,
	"PID|CORE":    completeProcesses,
}

// addCompletions lets the shell complete the flags and arguments of all commands.
func addCompletions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		complete := flagCompleters[flag.Name]
		if w, ok := flag.Value.(worded); ok {
			complete = fixed(w.completions()...)
		}
		if complete != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag.Name, complete) // it fails for a flag that has one
		}
	})
	use := strings.Fields(strings.Replace(cmd.Use, " [flags]", "", 1))
	if len(use) > 1 && cmd.ValidArgsFunction == nil && argCompleters[use[1]] != nil {
		cmd.ValidArgsFunction = argCompleters[use[1]]
	}
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
}

func fixed(all ...string) completer {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// completeCores completes a core: the selectors of the directory, and files.
func completeCores(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if cmd.Args != nil && cmd.Args(cmd, append(slices.Clone(args), text)) != nil && len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	counts := map[string]int{}
	for i, c := range coresIn(cmd) {
		counts[c.Program]++
		about := fmt.Sprintf("%s %s, %s", c.Program, c.Reason, c.When.Format("2006-01-02 15:04:05"))
		all = append(all, cobra.CompletionWithDesc(corefile.Selector{N: i + 1}.String(), about),
			cobra.CompletionWithDesc(corefile.Selector{Program: c.Program, N: counts[c.Program]}.String(), about))
	}
	return matchingText(all, text), cobra.ShellCompDirectiveDefault
}

// completePrograms completes the name of a program that has a core in the directory.
func completePrograms(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, c := range coresIn(cmd) {
		all = append(all, c.Program)
	}
	slices.Sort(all)
	return matchingText(slices.Compact(all), text), cobra.ShellCompDirectiveNoFileComp
}

func coresIn(cmd *cobra.Command) []corefile.Listed {
	cores, err := corefile.ListAll(dirOf(cmd))
	if err != nil {
		return nil
	}
	const most = 100
	return cores[:min(len(cores), most)]
}

// completeProcesses completes a process ID: of the Go programs that may be read.
func completeProcesses(_ *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	paths, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	isGo := map[string]bool{} // by path
	var all []cobra.Completion
	for _, path := range paths {
		exe, err := os.Readlink(path)
		if err != nil {
			continue // of another user, or ended
		}
		known, ok := isGo[exe]
		if !ok {
			_, err := buildinfo.ReadFile(path)
			known = err == nil
			isGo[exe] = known
		}
		if pid := filepath.Base(filepath.Dir(path)); known && pid != strconv.Itoa(os.Getpid()) {
			all = append(all, cobra.CompletionWithDesc(pid, filepath.Base(strings.TrimSuffix(exe, " (deleted)"))))
		}
	}
	return matchingText(all, text), cobra.ShellCompDirectiveDefault
}

// completeFrom completes with what a function returns of the program of a core.
func completeFrom(cmd *cobra.Command, core string, of func(*inspect.Program) ([]cobra.Completion, cobra.ShellCompDirective)) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := readCore(cmd, core)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer c.Close()
	prog, err := inspect.OpenProgram(c, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer prog.Close()
	return of(prog)
}

// completeGoroutines completes a flag by what the goroutines of the core have.
func completeGoroutines(of func(*stacks.Goroutine) []string) completer {
	return func(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeFrom(cmd, args[0], func(prog *inspect.Program) ([]cobra.Completion, cobra.ShellCompDirective) {
			list, _, err := stacks.Read(prog)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var all []cobra.Completion
			for i := range list {
				all = append(all, of(&list[i])...)
			}
			slices.Sort(all)
			return matchingText(slices.Compact(all), text), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// matchingText returns the completions that begin with a text.
func matchingText(all []cobra.Completion, text string) []cobra.Completion {
	return slices.DeleteFunc(all, func(c cobra.Completion) bool { return !strings.HasPrefix(c, text) })
}

// completePaths completes the arguments of a command that takes a core and paths.
func completePaths(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeCores(cmd, args, text)
	}
	return completeFrom(cmd, args[0], func(prog *inspect.Program) ([]cobra.Completion, cobra.ShellCompDirective) {
		return expr.NewScope(prog).Complete(text), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}
