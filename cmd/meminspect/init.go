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
line in go.mod is used instead of tools.mod. Init prints what it did.`,
		Example: `  meminspect init
  meminspect init --checkout ../meminspect ./shop`,
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
			fmt.Fprintf(cmd.OutOrStdout(), `
Next: put //meminspect:entry above a package-level variable, then run
  %s generate ./...
`, m.Tool())
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Version, "version", "", "`version` of the runtime and the tool, as for go get (default the latest)")
	flags.StringVar(&opts.Checkout, "checkout", "", "use the checkout of this project in this `directory` instead of a published version")
	flags.BoolVar(&opts.GitHub, "github", false, "add the workflow even if the repository has none")
	exclusive(cmd, "version", "checkout")
	return cmd
}
