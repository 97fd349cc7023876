package main

import (
	"encoding"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// The JSON of all commands follows one convention, that of Protocol Buffers:
// names in lowerCamelCase; numbers of 64 bits (the tag ",string"), addresses and
// durations as strings; times as RFC 3339. docs/reference/json.md documents it,
// and the scenarios validate each output against its schema.

// schemaName is the annotation of a command whose JSON schema has another name
// than the command.
const schemaName = "schema"

// schemaOf returns the name of the schema of a command's JSON, "" if it has none:
// a file in docs/reference/schema.
func schemaOf(cmd *cobra.Command) string {
	switch {
	case cmd.Flags().Lookup("json") == nil:
		return ""
	case cmd.Annotations[schemaName] != "":
		return cmd.Annotations[schemaName]
	}
	return strings.ReplaceAll(verbOf(cmd), " ", "-")
}

// printJSON writes one value, indented for people.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// jsonLines returns an encoder that writes each value on a line.
func jsonLines(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// printJSONLines writes each of the values on a line.
func printJSONLines[T any](w io.Writer, values []T) error {
	e := jsonLines(w)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// An address is an address in JSON.
type address uint64

var _ encoding.TextMarshaler = address(0)

// MarshalText implements encoding.TextMarshaler.
func (a address) MarshalText() ([]byte, error) {
	return strconv.AppendUint([]byte("0x"), uint64(a), 16), nil
}
