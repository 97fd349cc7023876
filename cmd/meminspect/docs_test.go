package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
)

// repository is the root of the checkout.
const repository = "../.."

// Every command line that the README, docs/ and the help texts show is run by
// a scenario, word for word, or is listed in testdata/docs/elsewhere.txt with
// the place that runs it.
func TestDocumentedCommandsAreRun(t *testing.T) {
	run := scenarioCommands(t)
	for command := range elsewhere(t) {
		run[command] = true
	}
	for _, doc := range documents(t) {
		for line, command := range documentedCommands(t, doc) {
			if !run[command] {
				t.Errorf("%s:%d: no scenario runs %q", doc, line, command)
			}
		}
	}
	for _, cmd := range allCommands(rootCommand()) {
		for line := range strings.Lines(cmd.Example) {
			if command := strings.TrimSpace(line); command != "" && !strings.HasPrefix(command, "#") && !run[command] {
				t.Errorf("help of %s: no scenario runs %q", cmd.CommandPath(), command)
			}
		}
	}
}

// A reader follows the first steps from top to bottom: a scenario runs them in that
// order, in a module that has nothing yet.
func TestFirstStepsAreInOrder(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(repository, "testdata/script/readme.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for doc, steps := range map[string]int{"README.md": 5, "docs/get-started.md": 4} {
		rest := string(archive.Comment)
		commands := documentedCommands(t, filepath.Join(repository, doc))
		for _, line := range slices.Sorted(maps.Keys(commands))[:steps] {
			_, after, found := strings.Cut(rest, "\nexec "+commands[line]+"\n")
			if !found {
				t.Errorf("%s:%d: readme.txtar does not run %q after the lines above it", doc, line, commands[line])
				continue
			}
			rest = after
		}
	}
}

func TestEverySubcommandHasAnExample(t *testing.T) {
	for _, cmd := range allCommands(rootCommand()) {
		if cmd.Example == "" && cmd.Runnable() && !cmd.HasSubCommands() {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		if cmd.Short == "" {
			t.Errorf("%s has no short help", cmd.CommandPath())
		}
	}
}

// allCommands returns cmd and those below it, without hidden ones and cobra's own.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" && !sub.Hidden {
			list = append(list, allCommands(sub)...)
		}
	}
	return list
}

// scenarioCommands returns what the scenarios execute, and what tests of the
// documents' own archives do.
func scenarioCommands(t *testing.T) map[string]bool {
	t.Helper()
	commands := make(map[string]bool)
	scripts, err := filepath.Glob(filepath.Join(repository, "testdata/script/*.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(archive.Comment)) {
			line = strings.TrimSpace(line)
			for strings.HasPrefix(line, "[") {
				_, line, _ = strings.Cut(line, "] ")
			}
			line = strings.TrimPrefix(strings.TrimPrefix(line, "! "), "? ")
			if command, ok := strings.CutPrefix(line, "exec "); ok {
				// A background command ends in & or &name&.
				command, _, _ = strings.Cut(command, " &")
				commands[strings.TrimSpace(command)] = true
			}
		}
	}
	return commands
}

// elsewhere reads the list of commands that something other than a scenario
// runs. Each line has a command, " <- ", and the place.
func elsewhere(t *testing.T) map[string]string {
	t.Helper()
	list := make(map[string]string)
	data, err := os.ReadFile(filepath.Join(repository, "testdata/docs/elsewhere.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		command, place, found := strings.Cut(line, " <- ")
		if !found || place == "" {
			t.Errorf("testdata/docs/elsewhere.txt: %q does not say what runs it", line)
		}
		list[command] = place
	}
	return list
}

func documents(t *testing.T) []string {
	t.Helper()
	list := []string{filepath.Join(repository, "README.md")}
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// documentedCommands returns the lines that begin with "$ " in fenced blocks,
// by line number; a backslash at the end continues a line.
func documentedCommands(t *testing.T, doc string) map[int]string {
	t.Helper()
	data, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	commands := make(map[int]string)
	lines := bufio.NewScanner(bytes.NewReader(data))
	fenced, number, open := false, 0, 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "```"):
			fenced, open = !fenced, 0
			continue
		case !fenced:
			continue
		case open != 0:
			commands[open] += " " + line
		case strings.HasPrefix(line, "$ "):
			open = number
			commands[open] = strings.TrimPrefix(line, "$ ")
		default:
			continue
		}
		if more, continued := strings.CutSuffix(commands[open], "\\"); continued {
			commands[open] = strings.TrimSpace(more)
		} else {
			open = 0
		}
	}
	return commands
}
