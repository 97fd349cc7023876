package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exclusiveSets is the annotation of a command that holds which of its flags
// contradict each other: a set a line.
const exclusiveSets = "exclusive"

// exclusive allows at most one of the flags.
func exclusive(cmd *cobra.Command, flags ...string) {
	cmd.MarkFlagsMutuallyExclusive(flags...) // for shell completion
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[exclusiveSets] += strings.Join(flags, " ") + "\n"
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

// contradiction returns an error if flags were given that exclude each other.
// It quotes what each of them does.
func contradiction(cmd *cobra.Command) error {
	for set := range strings.Lines(cmd.Annotations[exclusiveSets]) {
		var given []string
		for _, name := range strings.Fields(set) {
			if flag := cmd.Flags().Lookup(name); flag.Changed {
				_, usage := pflag.UnquoteUsage(flag)
				given = append(given, fmt.Sprintf("--%s (%s)", name, usage))
			}
		}
		if len(given) > 1 {
			return fmt.Errorf("%s: %s exclude each other: use only one of them", verbOf(cmd), strings.Join(given, " and "))
		}
	}
	return nil
}

// verbOf is the command's name without the program's.
func verbOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
