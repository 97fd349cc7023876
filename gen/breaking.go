package gen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A Break is a change of an ID between two states of a repository.
type Break struct {
	Kind    string // "lost", "reused" and "type" break readers; "renamed", "retired" and "moved" do not
	ID      uint64
	Name    string // the current name, or the last one
	Package string // namespace
	File    string // relative to the folder that Breaking compared, with slashes
	Line    int    // in the current File, 0 if the ID is no longer in it
	Message string
}

// Breaks reports whether the change misleads a program or person that uses the
// ID.
func (b *Break) Breaks() bool { return b.Kind == "lost" || b.Kind == "reused" || b.Kind == "type" }

// Breaking compares the current ledgers of the packages below dir with those of
// a git revision. The packages are those that "./..." matches; outside a
// module, all below dir. IDs are global, so Breaking also compares a ledger
// that moved into or out of dir. It reads only ledgers: use [Config].Check to
// find out whether they are up to date.
func Breaking(ctx context.Context, dir, revision string) ([]Break, error) {
	g, err := openRepository(ctx, dir)
	if err != nil {
		return nil, err
	}
	commit, err := g.run("rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) { // git prints no message because of --quiet
		return nil, fmt.Errorf("%s is not a revision of this repository; fetch it first if this is a shallow clone", revision)
	}
	if err != nil {
		return nil, err
	}
	in, err := scope(ctx, dir)
	if err != nil {
		return nil, err
	}
	before, err := g.ledgersAt(strings.TrimSpace(string(commit)), in)
	if err != nil {
		return nil, err
	}
	after, err := g.ledgersNow(in)
	if err != nil {
		return nil, err
	}
	return compareLedgers(before, after), nil
}

// scope returns a function that reports whether a folder is among the packages
// below dir.
func scope(ctx context.Context, dir string) (func(folder string) bool, error) {
	tree, err := folders.Locate(ctx, folders.Query{Dir: dir, Patterns: []string{"./..."}})
	if errors.Is(err, folders.ErrNoModule) || errors.Is(err, exec.ErrNotFound) {
		tree, err = &folders.Tree{}, nil
	}
	if err != nil {
		return nil, err
	}
	return tree.Below(dir), nil
}

// A repository is the git repository of a folder.
type repository struct {
	ctx    context.Context
	dir    string   // the folder
	prefix string   // from the top of the work tree to the folder, with slashes
	env    []string // environment of git
}

// openRepository finds the repository of a folder. In a git hook the
// environment names the repository, but then git takes the working folder for
// the top of the work tree. So openRepository drops these variables, unless
// they name the work tree as well.
func openRepository(ctx context.Context, dir string) (*repository, error) {
	g := &repository{ctx: ctx, dir: dir, env: os.Environ()}
	if os.Getenv("GIT_WORK_TREE") == "" {
		g.env = slices.DeleteFunc(g.env, func(line string) bool {
			name, _, _ := strings.Cut(line, "=")
			return name == "GIT_DIR" || name == "GIT_INDEX_FILE" || name == "GIT_PREFIX"
		})
	}
	prefix, err := g.run("rev-parse", "--show-prefix")
	if err != nil && os.Getenv("GIT_DIR") != "" {
		g.env = os.Environ() // only the environment names the work tree
		prefix, err = g.run("rev-parse", "--show-prefix")
	}
	g.prefix = strings.TrimSuffix(string(prefix), "\n")
	return g, err
}

func (g *repository) run(args ...string) ([]byte, error) { return g.pipe(nil, args...) }

// pipe runs git with the given standard input.
func (g *repository) pipe(stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(g.ctx, "git", args...)
	cmd.Dir, cmd.Env = g.dir, g.env
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return stdout.Bytes(), nil
}

// A packageLedger is a ledger and its location.
type packageLedger struct {
	*ledger.Ledger
	in bool // the location is in the scope of the comparison
}

// ledgersAt reads the repository's ledgers at a commit, keyed by file name
// relative to the folder.
func (g *repository) ledgersAt(commit string, in func(string) bool) (map[string]packageLedger, error) {
	out, err := g.run("ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	var names, objects []string
	for line := range strings.SplitSeq(string(out), "\x00") {
		about, name, _ := strings.Cut(line, "\t") // mode, type, object
		fields := strings.Fields(about)
		if path.Base(name) == ledger.FileName && len(fields) == 3 && fields[1] == "blob" {
			names, objects = append(names, g.relative(name)), append(objects, fields[2])
		}
	}
	contents, err := g.objects(objects)
	if err != nil {
		return nil, err
	}
	ledgers := map[string]packageLedger{}
	for i, name := range names {
		if err := g.parse(ledgers, name, contents[i], in); err != nil {
			return nil, fmt.Errorf("%s at %.12s: %w", name, commit, err)
		}
	}
	return ledgers, nil
}

// objects reads git objects by name.
func (g *repository) objects(names []string) ([][]byte, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, err := g.pipe(strings.NewReader(strings.Join(names, "\n")+"\n"), "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(bytes.NewReader(out))
	var contents [][]byte
	for range names {
		var name, kind string
		var size int
		if _, err := fmt.Fscanf(r, "%s %s %d\n", &name, &kind, &size); err != nil || size < 0 || size > len(out) {
			return nil, fmt.Errorf("git cat-file: unexpected output: %w", err)
		}
		data := make([]byte, size+1) // plus a newline
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, fmt.Errorf("git cat-file: %w", err)
		}
		contents = append(contents, data[:size])
	}
	return contents, nil
}

// ledgersNow reads the ledgers of the work tree, including untracked ones.
func (g *repository) ledgersNow(in func(string) bool) (map[string]packageLedger, error) {
	out, err := g.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", ":/")
	if err != nil {
		return nil, err
	}
	ledgers := map[string]packageLedger{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		if path.Base(name) != ledger.FileName {
			continue
		}
		name = g.relative(name)
		data, err := os.ReadFile(filepath.Join(g.dir, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = g.parse(ledgers, name, data, in)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return ledgers, nil
}

// relative converts a path relative to the top of the work tree into one
// relative to the folder.
func (g *repository) relative(name string) string {
	rel, err := filepath.Rel("/"+g.prefix, "/"+name)
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}

// parse adds a ledger. A ledger out of scope may be malformed.
func (g *repository) parse(ledgers map[string]packageLedger, name string, data []byte, in func(string) bool) error {
	inScope := in(filepath.Join(g.dir, filepath.FromSlash(path.Dir(name))))
	l, err := ledger.Parse(data)
	switch {
	case err == nil:
		ledgers[name] = packageLedger{l, inScope}
	case inScope:
		return err
	}
	return nil
}

// compareLedgers finds what happened to each ID of the ledgers in scope, and of
// those that moved into the scope.
func compareLedgers(before, after map[string]packageLedger) []Break {
	var list []Break
	for _, name := range slices.Sorted(maps.Keys(before)) {
		for _, old := range before[name].Rows {
			at, row := findNow(after, before, name, old)
			if before[name].in || row != nil && at != name && after[at].in {
				list = append(list, compareRow(name, old, at, row)...)
			}
		}
	}
	return list
}

// findNow finds an ID in its ledger, or else in a ledger that did not exist
// before: a folder may have moved. A fork of a package has the same IDs in
// another folder both before and after, so it is not the new place of a moved
// one.
func findNow(after, before map[string]packageLedger, name string, old *ledger.Row) (string, *ledger.Row) {
	if l, ok := after[name]; ok {
		return name, l.ByID(old.ID)
	}
	for _, other := range slices.Sorted(maps.Keys(after)) {
		if _, existed := before[other]; existed {
			continue
		}
		if row := after[other].ByID(old.ID); row != nil {
			return other, row
		}
	}
	return name, nil
}

// compareRow returns what happened to one ID.
func compareRow(name string, old *ledger.Row, at string, row *ledger.Row) []Break {
	b := Break{ID: old.ID, Name: old.Name, Package: old.Namespace, File: at}
	if row == nil {
		b.Kind = "lost"
		b.Message = fmt.Sprintf("the ID %016x of %s is no longer in a ledger: a reader that knows it finds nothing, or later something else. "+
			"Restore the line %q and retire it with: meminspect generate --retire %s", old.ID, old.Name, old, old.Name)
		if old.State == ledger.Gone {
			b.Message = fmt.Sprintf("the tombstone of %s (ID %016x) is gone, so the ID may be issued again: restore the line %q", old.Name, old.ID, old)
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
		add("reused", "the ID %016x was retired and is now that of %s: a reader that knows it as %s reads the wrong variable", old.ID, row.Name, old.Name)
		return list
	case old.State != ledger.Gone && row.State == ledger.Gone:
		add("retired", "the ID %016x of %s was retired", old.ID, old.Name)
		return list
	case at != name:
		add("moved", "the ID %016x of %s moved here from %s", old.ID, old.Name, name)
	}
	if old.Name != row.Name {
		add("renamed", "the ID %016x of %s is now that of %s", old.ID, old.Name, row.Name)
	}
	switch {
	case old.State != row.State:
		add("type", "%s was %s and is %s: a reader of its ID %016x expects the former", row.Name, stateText(old.State), stateText(row.State), old.ID)
	case old.Type != row.Type && old.Type != ledger.UnknownType && row.Type != ledger.UnknownType:
		add("type", "the type of %s was %s and is %s: a reader of its ID %016x decodes it wrongly. Give the new variable another ID with name=, and retire the old one", row.Name, old.Type, row.Type, old.ID)
	}
	return list
}

func stateText(s ledger.State) string {
	if s == ledger.Declared {
		return "registered at run time"
	}
	return "a variable"
}
