package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/gen"
)

func generateCommand() *cobra.Command {
	var cfg gen.Config
	var tags, modfile, overlay string
	var files, verbose bool
	var renames []string
	cmd := &cobra.Command{
		Use:   "generate [packages]",
		Short: "Generate tables and IDs from the //meminspect: lines of packages",
		Long: `Generate writes, beside each package with //meminspect: lines, the ledger
meminspect.ids and generated files with the ID constants and the static tables.
It works from syntax alone: the tree need not compile, and the result is the
same whatever the system, the tags and the C compiler of this machine.

Packages are named as for the go command, within the main modules; none means
the package in this folder. See "meminspect help annotations" for the lines.`,
		Example: `  meminspect generate ./...
  meminspect generate --check ./...
  meminspect generate --rename sessions=liveSessions ./store
  meminspect generate --retire oldCounter ./...
  meminspect generate --files --importpath example.com/shop/store --out gen store/store.go`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			cfg.Dir = dir
			if files {
				cfg.Files = args
				if len(args) == 0 {
					return fmt.Errorf("generate: --files wants the names of files")
				}
			} else if cmd.Flags().Changed("importpath") || cmd.Flags().Changed("out") {
				return fmt.Errorf("generate: --importpath and --out are for --files")
			} else {
				cfg.Patterns = args
			}
			for _, rename := range renames {
				before, after, ok := strings.Cut(rename, "=")
				if !ok || before == "" || after == "" {
					return fmt.Errorf("generate: --rename %s: want OLD=NEW", rename)
				}
				cfg.Renames = append(cfg.Renames, gen.Rename{Old: before, New: after})
			}
			if cfg.Check && len(cfg.Renames)+len(cfg.Retire) > 0 {
				return fmt.Errorf("generate: --check writes nothing: run --rename and --retire without it")
			}
			cfg.GoFlags = goFlags(tags, modfile, overlay)
			result, err := gen.Run(cmd.Context(), cfg)
			if result != nil {
				report(cmd, &cfg, result, verbose)
			}
			if err != nil {
				return fmt.Errorf("generate: %w", err)
			}
			return generateStatus(&cfg, result)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&cfg.Check, "check", false, "write nothing; show what is stale as a diff and exit with status 1")
	flags.StringArrayVar(&renames, "rename", nil, "let the ID of OLD stand for NEW from now on (`OLD=NEW`)")
	flags.StringArrayVar(&cfg.Retire, "retire", nil, "turn the ID of `NAME`, which has no annotation any more, into a tombstone")
	flags.BoolVarP(&verbose, "verbose", "v", false, "say which files were written and removed")
	addGoFlags(cmd, &tags, &modfile, &overlay)
	flags.BoolVar(&files, "files", false, "the arguments are the .go files of one package; the go command is not run")
	flags.StringVar(&cfg.ImportPath, "importpath", "", "with --files: their import path")
	flags.StringVar(&cfg.OutDir, "out", "", "with --files: the folder to write to (theirs if not given)")
	return cmd
}

// addGoFlags adds the go command's flags that change what packages there are.
func addGoFlags(cmd *cobra.Command, tags, modfile, overlay *string) {
	cmd.Flags().StringVar(tags, "tags", "", "build tags, for the go command (the result does not depend on them)")
	cmd.Flags().StringVar(modfile, "modfile", "", "alternative go.mod, for the go command")
	cmd.Flags().StringVar(overlay, "overlay", "", "overlay `FILE` in JSON, as for the go command")
}

// goFlags passes on the go command's flags that were given.
func goFlags(tags, modfile, overlay string) []string {
	var list []string
	for _, flag := range []struct{ name, value string }{{"tags", tags}, {"modfile", modfile}, {"overlay", overlay}} {
		if flag.value != "" {
			list = append(list, "-"+flag.name+"="+flag.value)
		}
	}
	return list
}

// report prints findings, and under --check a diff for each stale file.
func report(cmd *cobra.Command, cfg *gen.Config, result *gen.Result, verbose bool) {
	printFindings(cmd.ErrOrStderr(), cfg.Dir, result.Findings)
	for _, change := range result.Changes {
		path := relative(cfg.Dir, change.Path)
		switch {
		case cfg.Check:
			cmd.OutOrStdout().Write(diff.Diff(path, change.Old, path+" (generated)", change.New))
		case verbose && change.New == nil:
			fmt.Fprintln(cmd.OutOrStdout(), "removed", path)
		case verbose:
			fmt.Fprintln(cmd.OutOrStdout(), "wrote", path)
		}
	}
}

// generateStatus turns a result into the command's end.
func generateStatus(cfg *gen.Config, result *gen.Result) error {
	switch n := failures(result.Findings); {
	case n == 1:
		return &exitError{exitFindings, fmt.Errorf("generate: 1 finding; its folder was left as it was")}
	case n > 1:
		return &exitError{exitFindings, fmt.Errorf("generate: %d findings; their folders were left as they were", n)}
	case cfg.Check && len(result.Changes) > 0:
		return &exitError{exitFindings, fmt.Errorf("generate: stale: run meminspect generate")}
	}
	return nil
}

// printFindings prints a line each, with paths relative to dir.
func printFindings(w io.Writer, dir string, findings []gen.Finding) {
	for _, f := range findings {
		f.Pos.Filename = relative(dir, f.Pos.Filename)
		fmt.Fprintln(w, f)
	}
}

func failures(findings []gen.Finding) int {
	n := 0
	for _, f := range findings {
		if !f.Warning {
			n++
		}
	}
	return n
}

// relative is path as seen from dir, where that is shorter.
func relative(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, ".."+string(filepath.Separator)+"..") {
		return rel
	}
	return path
}
