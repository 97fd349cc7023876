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
		Long: `Generate writes files into the folder of each package that has //meminspect:
lines: the ledger meminspect.ids, and generated files with the ID constants and
the static tables. It reads only syntax: the packages need not compile, and the
result depends neither on the operating system, nor on build tags, nor on the C
compiler. It prints one line about what it did.

Packages are named as for the go command, within the main modules; without an
argument it is the package in this folder. "meminspect help annotations" explains
the lines.`,
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
			switch {
			case files:
				cfg.Files = args
				if len(args) == 0 {
					return fmt.Errorf("generate: --files: no file is named: add the .go files of one package")
				}
			case cmd.Flags().Changed("importpath") || cmd.Flags().Changed("out"):
				return fmt.Errorf("generate: --importpath and --out need --files")
			default:
				cfg.Patterns = args
			}
			for _, rename := range renames {
				before, after, ok := strings.Cut(rename, "=")
				if !ok || before == "" || after == "" {
					return fmt.Errorf("generate: --rename %s: not of the form OLD=NEW", rename)
				}
				cfg.Renames = append(cfg.Renames, gen.Rename{Old: before, New: after})
			}
			if cfg.Check && len(cfg.Renames)+len(cfg.Retire) > 0 {
				return fmt.Errorf("generate: --check does not change IDs: use --rename and --retire without it")
			}
			cfg.GoFlags = goFlags(tags, modfile, overlay)
			result, err := gen.Run(cmd.Context(), cfg)
			if result != nil {
				printGenerated(cmd, &cfg, result, verbose)
			}
			if err != nil {
				return fmt.Errorf("generate: %w", err)
			}
			return generateStatus(&cfg, result)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&cfg.Check, "check", false, "write nothing; print a diff of stale files and exit with status 1 if there are any")
	flags.StringArrayVar(&renames, "rename", nil, "keep the ID of the annotation OLD for NEW (`OLD=NEW`)")
	flags.StringArrayVar(&cfg.Retire, "retire", nil, "retire the ID of `NAME`, whose annotation was removed: it is never used again")
	flags.BoolVarP(&verbose, "verbose", "v", false, "print the files that were written and removed")
	addGoFlags(cmd, &tags, &modfile, &overlay)
	flags.BoolVar(&files, "files", false, "the arguments are the .go files of one package; do not run the go command")
	flags.StringVar(&cfg.ImportPath, "importpath", "", "with --files: the import path of the package")
	flags.StringVar(&cfg.OutDir, "out", "", "with --files: the folder to write to (default: that of the files)")
	return cmd
}

// addGoFlags adds the go command's flags that affect the set of packages.
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

// printGenerated prints findings, under --check a diff for each stale file, and else one
// line about what was done.
func printGenerated(cmd *cobra.Command, cfg *gen.Config, result *gen.Result, verbose bool) {
	printFindings(cmd.ErrOrStderr(), cfg.Dir, result.Findings)
	for _, change := range result.Changes {
		path := relative(cfg.Dir, change.Path)
		switch {
		case cfg.Check:
			fmt.Fprintf(cmd.OutOrStdout(), "%s", diff.Diff(path, change.Old, path+" (generated)", change.New))
		case verbose && change.New == nil:
			fmt.Fprintln(cmd.OutOrStdout(), "removed", path)
		case verbose:
			fmt.Fprintln(cmd.OutOrStdout(), "wrote", path)
		}
	}
	if !cfg.Check && !result.Failed() {
		fmt.Fprintln(cmd.OutOrStdout(), summary(result))
	}
}

// summary returns one line about what a run did.
func summary(r *gen.Result) string {
	text := fmt.Sprintf("%s in %s: ", plural(r.Annotations, "annotation"), plural(r.Packages, "package"))
	removed := 0
	for _, change := range r.Changes {
		if change.New == nil {
			removed++
		}
	}
	switch wrote := len(r.Changes) - removed; {
	case len(r.Changes) == 0 && r.Annotations == 0:
		return text + "put //meminspect:entry above a package-level variable, or run meminspect suggest"
	case len(r.Changes) == 0:
		return text + "up to date"
	case removed == 0:
		return text + "wrote " + plural(wrote, "file")
	case wrote == 0:
		return text + "removed " + plural(removed, "file")
	default:
		return text + fmt.Sprintf("wrote %s, removed %s", plural(wrote, "file"), plural(removed, "file"))
	}
}

// plural returns a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// generateStatus returns the error for a result.
func generateStatus(cfg *gen.Config, result *gen.Result) error {
	switch n := failures(result.Findings); {
	case n > 0:
		return &exitError{exitFindings, fmt.Errorf("generate: %s: nothing was written into these packages", plural(n, "finding"))}
	case cfg.Check && len(result.Changes) > 0:
		return &exitError{exitFindings, fmt.Errorf("generate: generated files are stale: run meminspect generate")}
	}
	return nil
}

// printFindings prints each finding in one line, with paths relative to dir.
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

// relative returns path relative to dir, if that is shorter.
func relative(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, ".."+string(filepath.Separator)+"..") {
		return rel
	}
	return path
}
