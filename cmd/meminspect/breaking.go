package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/gen"
)

// A breakRecord is one change in the output of "breaking --json".
type breakRecord struct {
	Kind      string `json:"kind"` // lost, reused, type; renamed, retired, moved
	Breaks    bool   `json:"breaks"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Message   string `json:"message"`
}

func breakingCommand() *cobra.Command {
	var against string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "breaking --against GITREV",
		Short: "Report IDs that were lost, reused, or changed type since a revision",
		Long: `Breaking compares the ledgers of the packages below this folder with those of a
git revision. It exits with status 1 if an ID was lost or reused, or if its
variable has another type: a reader that knows the ID, or reads an older core,
then gets a wrong value. Renamed, retired and moved IDs are printed, but do not
change the exit status.

The packages are those that "meminspect generate ./..." finds. Outside of a
module, they are all packages below this folder. Breaking reads only ledgers:
"meminspect generate --check ./..." reports whether they are up to date.`,
		Example: `  meminspect breaking --against origin/main
  meminspect breaking --against v1.4.0 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if against == "" {
				return fmt.Errorf("breaking: the revision is missing: add --against GITREV")
			}
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			breaks, err := gen.Breaking(cmd.Context(), dir, against)
			if err != nil {
				return fmt.Errorf("breaking: %w", err)
			}
			n, err := printBreaks(cmd, breaks, asJSON)
			if err == nil && n > 0 {
				err = &exitError{exitFindings, fmt.Errorf("breaking: %d of the changes since %s break readers of the IDs", n, against)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "compare with the git revision `GITREV`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return cmd
}

// printBreaks prints all changes and counts the breaking ones.
func printBreaks(cmd *cobra.Command, breaks []gen.Break, asJSON bool) (int, error) {
	n := 0
	records := []breakRecord{}
	for _, b := range breaks {
		records = append(records, breakRecord{
			Kind: b.Kind, Breaks: b.Breaks(), ID: fmt.Sprintf("%016x", b.ID), Name: b.Name,
			Namespace: b.Package, File: b.File, Line: b.Line, Message: b.Message,
		})
		if b.Breaks() {
			n++
		}
	}
	if asJSON {
		return n, printJSON(cmd.OutOrStdout(), records)
	}
	for _, r := range records {
		at := r.File
		if r.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, r.Line)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s: %s\n", at, r.Kind, r.Message)
	}
	return n, nil
}
