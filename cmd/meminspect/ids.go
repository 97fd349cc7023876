package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/gen"
)

// An idRecord is one ID in the output of "ids --json".
type idRecord struct {
	ID        string `json:"id"` // 16 hexadecimal digits
	Name      string `json:"name"`
	State     string `json:"state"` // entry, id or gone
	Was       string `json:"was,omitempty"`
	Type      string `json:"type,omitempty"`
	Package   string `json:"package"`
	Namespace string `json:"namespace"`
	File      string `json:"file"`
	Line      int    `json:"line"`
}

func idsCommand() *cobra.Command {
	var asJSON bool
	var tags, modfile, overlay string
	cmd := &cobra.Command{
		Use:   "ids [packages]",
		Short: "List the IDs in the ledgers of packages",
		Long: `Ids lists every ID that was ever issued in the packages, retired ones included,
from their ledgers (meminspect.ids). Packages are named as for generate; without
an argument they are all packages below this folder.`,
		Example: `  meminspect ids
  meminspect ids --json ./store`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"./..."}
			}
			ids, findings, err := gen.IDs(cmd.Context(), gen.Config{Dir: dir, Patterns: args, GoFlags: goFlags(tags, modfile, overlay)})
			if err != nil {
				return fmt.Errorf("ids: %w", err)
			}
			printFindings(cmd.ErrOrStderr(), dir, findings)
			if err := printIDs(cmd, idRecords(dir, ids), asJSON); err != nil {
				return err
			}
			if len(findings) > 0 {
				return &exitError{exitFindings, fmt.Errorf("ids: a ledger could not be read: correct the lines above")}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	addGoFlags(cmd, &tags, &modfile, &overlay)
	return cmd
}

func idRecords(dir string, ids []gen.ID) []idRecord {
	records := []idRecord{}
	for _, id := range ids {
		records = append(records, idRecord{
			ID: fmt.Sprintf("%016x", id.Value), Name: id.Name, State: id.State, Was: id.Was, Type: id.Type,
			Package: id.Package, Namespace: id.Namespace,
			File: filepath.ToSlash(relative(dir, id.File)), Line: id.Line,
		})
	}
	return records
}

func printIDs(cmd *cobra.Command, records []idRecord, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), records)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	for _, r := range records {
		state := r.State
		if r.Was != "" {
			state += " was=" + r.Was
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Package, r.Name, state, r.Type)
	}
	return w.Flush()
}
