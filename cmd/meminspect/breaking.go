package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/gen"
)

// A breakRecord is what "breaking --json" says of one ID.
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
		Short: "Tell whether IDs were lost, reused or changed their types since a revision",
		Long: `Breaking compares the ledgers below this folder with those of a git revision. It
exits with status 1 when an ID was lost or reused or its variable has another
type: then somebody who knows the ID, or reads an older core, is misled. Renamed,
retired and moved IDs are named but break nothing.

It reads ledgers alone; "meminspect generate --check ./..." tells whether they
are up to date.`,
		Example: `  meminspect breaking --against origin/main
  meminspect breaking --against v1.4.0 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if against == "" {
				return fmt.Errorf("breaking: --against wants a git revision")
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
				err = &exitError{exitFindings, fmt.Errorf("breaking: %d of the changes since %s mislead who knows the IDs", n, against)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "the git revision (`GITREV`) to compare with")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return cmd
}

// printBreaks prints all changes and counts those that break.
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
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "\t")
		return n, encoder.Encode(records)
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
