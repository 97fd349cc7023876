package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/suggest"
)

// suggestOptions are the flags of suggest.
type suggestOptions struct {
	json, write            bool
	top                    int
	tags, modfile, overlay string
}

func suggestCommand() *cobra.Command {
	o := suggestOptions{top: 10}
	cmd := &cobra.Command{
		Use:   "suggest [packages]",
		Short: "Propose what to annotate and what to exclude",
		Long: `Suggest proposes what a core of the packages should contain, by default of all
below this folder. It looks for state: package-level variables that the program
changes after its initialization, like maps, queues, counters, caches and
configuration, and values of struct types that the program creates once and
keeps. The best proposals come first. Each has its reason, and a forecast of the
bytes that a capture would contain.

A package-level variable needs an annotation. A value that a struct type's
constructor creates must be registered at run time; the proposal has the place and
the lines to add.

Suggest also lists secrets to exclude: the package-level ones, and the fields
that a proposal leads to. It recognizes them by type, name and use. It cannot
recognize all of them: review the list, and what each proposal leads to.

With --write it inserts the annotations and the exclusions into the source. It keeps
the formatting, and changes no generated files and no packages that do not compile.
It does not insert registrations. A second run inserts nothing.

The proposals are estimates. Packages must compile; uses in packages that are not
named are not counted. The exit status is 3 if some packages do not compile,
or if --write could not insert a line.`,
		Example: "  meminspect suggest\n  meminspect suggest --top 20 ./store ./server\n  meminspect suggest --json ./...\n  meminspect suggest --write --top 5 ./store",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return runSuggest(cmd, &o, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.Var(number{&o.top, 1, anyNumber}, "top", "print the best `N` proposals")
	flags.BoolVar(&o.write, "write", false, "insert the annotations and the exclusions into the source")
	addGoFlags(cmd, &o.tags, &o.modfile, &o.overlay)
	exclusive(cmd, "", "write", "overlay")
	return cmd
}

func runSuggest(cmd *cobra.Command, o *suggestOptions, patterns []string) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("suggest: %w", err)
	}
	pkgs, broken, err := suggest.Load(cmd.Context(), dir, goFlags(o.tags, o.modfile, o.overlay), patterns)
	if err != nil {
		return fmt.Errorf("suggest: %w", err)
	}
	result := suggest.Find(pkgs)
	more := result.Top(o.top)
	var changed []string
	if o.write {
		if changed, err = result.Write(); err != nil {
			return fmt.Errorf("suggest: %w", err)
		}
	}
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), suggestionsOf(dir, result, more)); err != nil {
			return err
		}
	} else {
		printSuggestions(cmd.OutOrStdout(), dir, result, more)
	}
	for _, name := range changed {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: suggest: changed %s\n", relative(dir, name))
	}
	for _, pkg := range broken {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", pkg.PkgPath, suggest.Why(pkg))
	}
	switch left := result.NotWritten(); {
	case len(broken) > 0:
		return &exitError{exitPartial, errors.New("suggest: packages that do not compile have no proposals, and what they use is not counted")}
	case left > 0:
		return &exitError{exitPartial, fmt.Errorf("suggest: --write: %s not inserted: see the reasons above", plural(left, "line"))}
	}
	return nil
}

// printSuggestions prints each proposal in a block of lines.
func printSuggestions(w io.Writer, dir string, result *suggest.Result, more int) {
	if len(result.Proposals) == 0 {
		fmt.Fprintln(w, "no state that the program changes after its initialization")
	}
	for i, p := range result.Proposals {
		fmt.Fprintf(w, "%2d  %s %s  (%s)\n", i+1, qualified(p.Package, p.Name), p.Type, forecastText(p.Forecast))
		fmt.Fprintf(w, "    %s:%d: %s\n", relative(dir, p.Pos.Filename), p.Pos.Line, p.Reason)
		for _, line := range proposalLines(p) {
			fmt.Fprintf(w, "      %s\n", line)
		}
	}
	if more > 0 {
		fmt.Fprintf(w, "%d more: --top %d prints all\n", more, more+len(result.Proposals))
	}
	if len(result.Exclusions) > 0 {
		fmt.Fprintf(w, "\nExclude with %sexclude:\n", annotate.Prefix)
	}
	for _, e := range result.Exclusions {
		fmt.Fprintf(w, "    %s\n      %s:%d: %s\n", qualified(e.Package, e.Name), relative(dir, e.Pos.Filename), e.Pos.Line, e.Reason)
		if text := writtenText(e.Written, e.NotWritten); text != "" {
			fmt.Fprintf(w, "      %s\n", text)
		}
	}
}

// proposalLines returns the lines to add, or what has been done already.
func proposalLines(p *suggest.Proposal) []string {
	switch {
	case p.Done && p.Action == suggest.Entry:
		return []string{"annotated already"}
	case p.Done:
		return []string{"registered already"}
	}
	lines := codeOf(p)
	if text := writtenText(p.Written, p.NotWritten); text != "" {
		lines = append(lines, text)
	}
	return lines
}

// codeOf returns the lines to add to the source.
func codeOf(p *suggest.Proposal) []string {
	if p.Action == suggest.Entry {
		return []string{annotate.Prefix + "entry"}
	}
	return p.Code
}

// writtenText reports what --write did, "" if it was not asked.
func writtenText(written bool, why string) string {
	switch {
	case written:
		return "inserted"
	case why != "":
		return "not inserted: " + why
	}
	return ""
}

// qualified returns a name with the last element of its package's import path.
func qualified(importPath, name string) string { return path.Base(importPath) + "." + name }

func forecastText(f suggest.Forecast) string {
	text := bytesize.Short(uint64(f.Bytes))
	switch {
	case f.Element > 0:
		text += fmt.Sprintf(", grows by %s an element", bytesize.Short(uint64(f.Element)))
	case f.Grows:
		text += ", grows"
	}
	return text
}

// suggestionsJSON is the result as --json prints it.
type suggestionsJSON struct {
	Proposals  []proposalJSON  `json:"proposals"`
	More       int             `json:"more,omitempty"`
	Exclusions []exclusionJSON `json:"exclusions"`
}

type proposalJSON struct {
	Action       string   `json:"action"`
	Package      string   `json:"package"`
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	File         string   `json:"file"`
	Line         int      `json:"line"`
	Reason       string   `json:"reason"`
	Bytes        int64    `json:"bytes,string"`
	Grows        bool     `json:"grows,omitempty"`
	ElementBytes int64    `json:"elementBytes,omitempty,string"`
	Lines        []string `json:"lines"` // to add
	Done         bool     `json:"done,omitempty"`
	Written      bool     `json:"written,omitempty"`
	NotWritten   string   `json:"notWritten,omitempty"`
}

type exclusionJSON struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Reason  string `json:"reason"`

	Written    bool   `json:"written,omitempty"`
	NotWritten string `json:"notWritten,omitempty"`
}

func suggestionsOf(dir string, result *suggest.Result, more int) suggestionsJSON {
	out := suggestionsJSON{Proposals: []proposalJSON{}, Exclusions: []exclusionJSON{}, More: more}
	for _, p := range result.Proposals {
		out.Proposals = append(out.Proposals, proposalJSON{
			Action: string(p.Action), Package: p.Package, Name: p.Name, Type: p.Type,
			File: relative(dir, p.Pos.Filename), Line: p.Pos.Line, Reason: p.Reason,
			Bytes: p.Bytes, Grows: p.Grows, ElementBytes: p.Element, Lines: codeOf(p), Done: p.Done,
			Written: p.Written, NotWritten: p.NotWritten,
		})
	}
	for _, e := range result.Exclusions {
		out.Exclusions = append(out.Exclusions, exclusionJSON{
			Package: e.Package, Name: e.Name, File: relative(dir, e.Pos.Filename), Line: e.Pos.Line, Reason: e.Reason,
			Written: e.Written, NotWritten: e.NotWritten,
		})
	}
	return out
}
