package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Annotations of a command about its flags, with a line for each set of them.
const (
	exclusiveSets = "exclusive" // WHY, a tab, and flags that contradict each other
	flagNeeds     = "needs"     // a flag, the one that it needs, and the variable that replaces that, if any
)

// exclusive allows at most one of the flags. why is the reason, "" if it is obvious.
func exclusive(cmd *cobra.Command, why string, flags ...string) {
	cmd.MarkFlagsMutuallyExclusive(flags...) // for shell completion
	if why == "" {
		why = "use only one of them"
	}
	addLine(cmd, exclusiveSets, why+"\t"+strings.Join(flags, " "))
}

// needs rejects flags that have no effect without the flag other, or without the
// variable that replaces other, if any.
func needs(cmd *cobra.Command, other, variable string, flags ...string) {
	for _, flag := range flags {
		addLine(cmd, flagNeeds, flag+" "+other+" "+variable)
	}
}

func addLine(cmd *cobra.Command, name, line string) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[name] += line + "\n"
}

// explain reports wrong command lines in one form: of which command, and how
// it is called. It is for the whole tree.
func explain(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		hint := ""
		if digit := (*pflag.NotExistError)(nil); errors.As(err, &digit) && strings.Trim(digit.GetSpecifiedName(), "0123456789") == "" {
			hint = ": put -- before a negative number"
		}
		return fmt.Errorf("%s: %w%s; see %s --help", verbOf(cmd), err, hint, cmd.CommandPath())
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) != nil {
				return fmt.Errorf("%s: wrong number of arguments (%d); usage: %s", verbOf(cmd), len(args), cmd.UseLine())
			}
			return contradiction(cmd)
		}
	}
	if cmd.HasParent() && cmd.HasSubCommands() && !cmd.Runnable() {
		// cobra prints its help for any word, and is content.
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s: unknown command %q; see %s --help", verbOf(cmd), args[0], cmd.CommandPath())
			}
			return cmd.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		explain(sub)
	}
}

// strictHelp has "help" refuse a topic that there is not: cobra prints the page of
// what it found on the way, and is content.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(err) // it was just added
	}
	show := help.Run
	help.Run = nil
	help.RunE = func(cmd *cobra.Command, args []string) error {
		if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
			return fmt.Errorf("help: no topic %q; see %s help", strings.Join(args, " "), root.Name())
		}
		show(cmd, args)
		return nil
	}
}

// contradiction returns an error if flags were given that exclude each other, or one
// that has no effect without another.
func contradiction(cmd *cobra.Command) error {
	for line := range strings.Lines(cmd.Annotations[exclusiveSets]) {
		why, set, _ := strings.Cut(strings.TrimSpace(line), "\t")
		var given []string
		for _, name := range strings.Fields(set) {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return fmt.Errorf("%s: %s cannot be used together: %s", verbOf(cmd), strings.Join(given, " and "), why)
		}
	}
	if cmd.Flags().Changed("policy") {
		return nil // a rule may set what a flag needs
	}
	for line := range strings.Lines(cmd.Annotations[flagNeeds]) {
		words := append(strings.Fields(line), "")
		if !cmd.Flags().Changed(words[0]) || cmd.Flags().Changed(words[1]) {
			continue
		}
		if words[2] == "" {
			return fmt.Errorf("%s: --%s has no effect without --%s", verbOf(cmd), words[0], words[1])
		}
		if os.Getenv(words[2]) == "" {
			return fmt.Errorf("%s: --%s has no effect without --%s or $%s", verbOf(cmd), words[0], words[1], words[2])
		}
	}
	return nil
}

// verbOf is the command's name without the program's.
func verbOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
