package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/ledger"
)

// A Break is a change between two states of a repository that concerns who
// knows its IDs.
type Break struct {
	Kind    string // "lost", "reused", "type" break; "renamed", "retired", "moved" do not
	ID      uint64
	Name    string // now, or the last one
	Package string // namespace
	File    string // relative to the folder asked about, slashes
	Line    int    // in File as it is now, 0 when it is not there
	Message string
}

// Breaks tells whether somebody who knows the ID is misled.
func (b *Break) Breaks() bool { return b.Kind == "lost" || b.Kind == "reused" || b.Kind == "type" }

// Breaking compares all ledgers below dir, as they are now, with those of a git
// revision. It reads ledgers alone: "generate --check" tells whether they are
// true.
func Breaking(ctx context.Context, dir, revision string) ([]Break, error) {
	g := git{ctx, dir}
	commit, err := g.run("rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) { // and not a word, as --quiet asks for
		return nil, fmt.Errorf("%s is no revision of this repository; one that a shallow clone lacks must be fetched first", revision)
	}
	if err != nil {
		return nil, err
	}
	before, err := g.ledgersAt(strings.TrimSpace(string(commit)))
	if err != nil {
		return nil, err
	}
	after, err := g.ledgersNow()
	if err != nil {
		return nil, err
	}
	return compareLedgers(before, after), nil
}

// git runs git in a folder.
type git struct {
	ctx context.Context
	dir string
}

func (g git) run(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(g.ctx, "git", args...)
	cmd.Dir = g.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return stdout.Bytes(), nil
}

// ledgersAt reads the ledgers below the folder at a commit.
func (g git) ledgersAt(commit string) (map[string]*ledger.Ledger, error) {
	out, err := g.run("ls-tree", "-r", "-z", "--name-only", commit)
	if err != nil {
		return nil, err
	}
	ledgers := map[string]*ledger.Ledger{}
	for _, name := range ledgerNames(out) {
		data, err := g.run("show", commit+":./"+name)
		if err != nil {
			return nil, err
		}
		if ledgers[name], err = ledger.Parse(data); err != nil {
			return nil, fmt.Errorf("%s at %.12s: %w", name, commit, err)
		}
	}
	return ledgers, nil
}

// ledgersNow reads the ledgers of the work tree, checked in or not yet.
func (g git) ledgersNow() (map[string]*ledger.Ledger, error) {
	out, err := g.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	ledgers := map[string]*ledger.Ledger{}
	for _, name := range ledgerNames(out) {
		data, err := os.ReadFile(filepath.Join(g.dir, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ledgers[name], err = ledger.Parse(data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return ledgers, nil
}

// ledgerNames picks the ledgers from a list of files, each ended by a zero.
func ledgerNames(list []byte) []string {
	var names []string
	for name := range strings.SplitSeq(string(list), "\x00") {
		if path.Base(name) == ledger.FileName {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// compareLedgers finds what became of each ID.
func compareLedgers(before, after map[string]*ledger.Ledger) []Break {
	var list []Break
	for _, name := range sortedNames(before) {
		for _, old := range before[name].Rows {
			at, row := findNow(after, before, name, old)
			list = append(list, compareRow(name, old, at, row)...)
		}
	}
	return list
}

// findNow finds an ID where it was, else in a ledger that was not there before:
// a folder may have moved. A fork of a package has the same IDs in another
// folder all along; those are not what became of this one.
func findNow(after, before map[string]*ledger.Ledger, name string, old *ledger.Row) (string, *ledger.Row) {
	if l := after[name]; l != nil {
		return name, l.ByID(old.ID)
	}
	for _, other := range sortedNames(after) {
		if before[other] != nil {
			continue
		}
		if row := after[other].ByID(old.ID); row != nil {
			return other, row
		}
	}
	return name, nil
}

// compareRow tells what became of one ID.
func compareRow(name string, old *ledger.Row, at string, row *ledger.Row) []Break {
	b := Break{ID: old.ID, Name: old.Name, Package: old.Namespace, File: at}
	if row == nil {
		b.Kind = "lost"
		b.Message = fmt.Sprintf("the ID %016x of %s is in no ledger any more: what knows it finds nothing, or one day something else. "+
			"Restore the line %q and retire it with: meminspect generate --retire %s", old.ID, old.Name, old, old.Name)
		if old.State == ledger.Gone {
			b.Message = fmt.Sprintf("the tombstone of %s (ID %016x) is gone, so that the ID may be issued again: restore the line %q", old.Name, old.ID, old)
		}
		return []Break{b}
	}
	b.Name, b.Line = row.Name, row.Line
	var list []Break
	add := func(kind, format string, args ...any) {
		b.Kind, b.Message = kind, fmt.Sprintf(format, args...)
		list = append(list, b)
	}
	switch {
	case old.State == ledger.Gone && row.State != ledger.Gone:
		add("reused", "the ID %016x was retired and now stands for %s: what knew it as %s takes the one for the other", old.ID, row.Name, old.Name)
		return list
	case old.State != ledger.Gone && row.State == ledger.Gone:
		add("retired", "the ID %016x of %s was retired", old.ID, old.Name)
		return list
	case at != name:
		add("moved", "the ID %016x of %s moved here from %s", old.ID, old.Name, name)
	}
	if old.Name != row.Name {
		add("renamed", "the ID %016x of %s now stands for %s", old.ID, old.Name, row.Name)
	}
	switch {
	case old.State != row.State:
		add("type", "%s was %s and is %s: what reads it by its ID %016x expects the other", row.Name, stateText(old.State), stateText(row.State), old.ID)
	case old.Type != row.Type && old.Type != ledger.UnknownType && row.Type != ledger.UnknownType:
		add("type", "%s was a %s and is a %s: what reads it by its ID %016x misreads it. Give the new variable an ID of its own with name=, and retire the old", row.Name, old.Type, row.Type, old.ID)
	}
	return list
}

func stateText(s ledger.State) string {
	if s == ledger.Declared {
		return "registered at run time"
	}
	return "a variable"
}

func sortedNames(m map[string]*ledger.Ledger) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
