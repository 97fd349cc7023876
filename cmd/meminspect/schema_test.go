package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"
)

// schemaDir returns the directory of the schemas. Scenarios run this file's
// program in other directories.
func schemaDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), repository, "docs/reference/schema")
}

// runValidated is run for the scenarios. It validates the --json output of a
// command against the command's schema, so that no output is unchecked.
func runValidated(args []string) int {
	name, stream := jsonOf(args)
	if name == "" {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	}
	schema, err := compileSchema(name)
	if err != nil {
		invalid(name, err)
	}
	if name == "events" {
		// The supervisor exits like its program, so each event is validated as it is
		// written.
		return run(context.Background(), args, os.Stdin, os.Stdout, &eventCheck{schema: schema})
	}
	var printed bytes.Buffer
	stdout, stderr := io.Writer(os.Stdout), io.Writer(os.Stderr)
	if stream == os.Stdout {
		stdout = io.MultiWriter(&printed, stdout)
	} else {
		stderr = io.MultiWriter(&printed, stderr)
	}
	status := run(context.Background(), args, os.Stdin, stdout, stderr)
	if status == exitUsage {
		return status // its output may be incomplete
	}
	if err := validate(schema, &printed); err != nil {
		invalid(name, err)
	}
	return status
}

// invalid ends the process with a status that no scenario expects.
func invalid(name string, err error) {
	fmt.Fprintf(os.Stderr, "--json does not match docs/reference/schema/%s.json: %v\n", name, err)
	panic("invalid JSON")
}

// jsonOf returns the schema of a command line's output, "" if that is not JSON,
// and the stream that has it.
func jsonOf(args []string) (schema string, stream *os.File) {
	if asVetTool(args) {
		return "", nil
	}
	cmd, rest, err := rootCommand().Find(args)
	if err != nil || cmd.ParseFlags(rest) != nil {
		return "", nil
	}
	if flag := cmd.Flags().Lookup("json"); flag == nil || flag.Value.String() != "true" {
		return "", nil
	}
	if output := cmd.Flags().Lookup("output"); output != nil && output.Value.String() == "-" {
		return schemaOf(cmd), os.Stderr // standard output has the core
	}
	return schemaOf(cmd), os.Stdout
}

func compileSchema(name string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile(filepath.Join(schemaDir(), name+".json"))
}

// validate reads JSON values to the end of r.
func validate(schema *jsonschema.Schema, r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for len(bytes.TrimSpace(text)) > 0 {
		value, rest, err := nextJSON(text)
		if err != nil {
			return err
		}
		if err := schema.Validate(value); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

// An eventCheck is standard error of a command that reports events there.
type eventCheck struct{ schema *jsonschema.Schema }

func (e *eventCheck) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("{")) {
		if err := validate(e.schema, bytes.NewReader(p)); err != nil {
			invalid("events", err)
		}
	}
	return os.Stderr.Write(p)
}

// Each command with --json has a schema, a scenario that validates it, and a
// link in json.md. No schema is left over.
func TestEveryJSONHasASchema(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(schemaDir(), "../json.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"defs": true}
	shown := map[string]bool{}
	for line := range scenarioCommands(t) {
		args := strings.Fields(strings.ReplaceAll(line, "'", ""))
		if at := strings.LastIndex(line, "meminspect "); at >= 0 {
			args = strings.Fields(strings.ReplaceAll(line[at:], "'", ""))[1:]
		}
		if name, _ := jsonOf(args); name != "" {
			shown[name] = true
		}
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if name := schemaOf(cmd); name != "" && cmd.Runnable() {
			used[name] = true
			if _, err := compileSchema(name); err != nil {
				t.Errorf("%s: %v", cmd.CommandPath(), err)
			}
			if !bytes.Contains(page, []byte("(schema/"+name+".json)")) {
				t.Errorf("json.md does not link schema/%s.json", name)
			}
			if !shown[name] {
				t.Errorf("no scenario runs %s --json", cmd.CommandPath())
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand())
	files, err := filepath.Glob(filepath.Join(schemaDir(), "*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d schemas, %v", len(files), err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); !used[name] {
			t.Errorf("no command has the schema %s", name)
		}
	}
}

// The schemas follow the convention: names in lowerCamelCase, no undescribed
// properties, numbers of at most 32 bits, and each list of words in one place.
func TestSchemaConvention(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(schemaDir(), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	enums := map[string]string{} // where the schemas have them
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, rest, err := nextJSON(text)
		if err != nil || len(bytes.TrimSpace(rest)) > 0 {
			t.Fatalf("%s: %v", file, err)
		}
		var visit func(string, any)
		visit = func(path string, node any) {
			switch node := node.(type) {
			case []any:
				for i, n := range node {
					visit(fmt.Sprintf("%s[%d]", path, i), n)
				}
			case map[string]any:
				if node["$comment"] == "The names are those of go vet." {
					return
				}
				if kind := node["type"]; (kind == "integer" || kind == "number") && !strings.HasSuffix(path, "$defs.count") {
					t.Errorf("%s: a bare number: use a definition of defs.json", path)
				}
				if words, ok := node["enum"].([]any); ok {
					key := fmt.Sprint(words)
					if at, ok := enums[key]; ok {
						t.Errorf("%s: the words of %s: use one definition of defs.json", path, at)
					}
					enums[key] = path
				}
				properties, _ := node["properties"].(map[string]any)
				if node["type"] == "object" && node["additionalProperties"] == nil && node["description"] == nil {
					t.Errorf("%s: the object may have any property", path)
				}
				for key := range properties {
					if !name.MatchString(key) {
						t.Errorf("%s: name %q is not lowerCamelCase", path, key)
					}
				}
				for key, n := range node {
					visit(path+"."+key, n)
				}
			}
		}
		visit(filepath.Base(file), root)
	}
}

// nextJSON returns the first JSON value in text and what follows it.
func nextJSON(text []byte) (value any, rest []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		return nil, nil, errors.Join(errors.New("not JSON"), err)
	}
	return value, text[dec.InputOffset():], nil
}
