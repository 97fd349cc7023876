package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/setup"
)

func initCommand() *cobra.Command {
	var opts setup.Options
	cmd := &cobra.Command{
		Use:   "init [directory]",
		Short: "Prepare a module for annotations",
		Long: `Init prepares the module of a directory, or of the working directory:

  go.mod                    requires the runtime, and nothing else
  tools.mod                 has the tool, so that go.mod keeps its go line and its
                            other requirements
  generate_meminspect.go    has the line for go generate
  .gitattributes            lets git merge ledgers, and fold generated files
  .github/workflows         gets a workflow that checks generated files and
                            annotations, if the repository has workflows

What the module has already stays as it is: a second run changes nothing. A tool
line in go.mod is used instead of tools.mod. Init prints what it did.

In a workspace, init also writes meminspect_tool.go: the go command takes no
other mod file there, and this program runs the tool all the same. A vendored
module needs go mod vendor after init. Each module of a repository gets a
workflow.

With --checkout, the mod files name a directory of this machine: a trial, not
to be committed. Init with --version removes that again.`,
		Example: `  meminspect init
  meminspect init --checkout ../meminspect ./shop
  meminspect init --version latest`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Dir = "."
			if len(args) > 0 {
				opts.Dir = args[0]
			}
			m, err := setup.Find(opts)
			if err != nil {
				return fmt.Errorf("init: %w", err)
			}
			steps, err := m.Prepare(cmd.Context())
			for _, s := range steps {
				verb := "unchanged"
				if s.Changed {
					verb = "changed"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-10s %s: %s\n", verb, s.File, s.What)
			}
			if err != nil {
				return fmt.Errorf("init: %w", err)
			}
			out := cmd.OutOrStdout()
			for i, note := range m.Notes {
				if i == 0 {
					fmt.Fprintln(out)
				}
				fmt.Fprintln(out, note)
			}
			fmt.Fprintf(out, `
Next: put //meminspect:entry above a package-level variable, or run
  %[1]s suggest
Then run go generate ./..., or
  %[1]s generate ./...
`, m.Tool())
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Version, "version", "", "`version` of the runtime and the tool, as for go get (default the latest)")
	flags.StringVar(&opts.Checkout, "checkout", "", "use the checkout of this project in this `directory` instead of a published version")
	flags.BoolVar(&opts.GitHub, "github", false, "add the workflow even if the repository has none")
	exclusive(cmd, "", "version", "checkout")
	return cmd
}
