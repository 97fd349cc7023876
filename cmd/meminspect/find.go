package main

import (
	"fmt"
	"go/constant"
	"go/token"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

func findCommand() *cobra.Command {
	var exe string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "find CORE VALUE|ADDRESS",
		Short: "Find the paths that lead to a value or an address",
		Long: `Search the regions of a core, and everything that they lead to, for a value, and
print the paths that lead to it. meminspect print accepts these paths.

A VALUE is a number, a text in quotes, which must be equal, or a text without
quotes, which must be part of a text. Times, URLs and addresses and ports of the
network are found by their texts. Keys of maps are searched too, with what they
lead to. An ADDRESS begins with 0x: the values at the address are printed, and the
pointers, slices, maps and channels that lead there. Put -- before a negative
number.

The exit status is 3 if nothing is found.`,
		Example: `  meminspect find now.core lamp
  meminspect find now.core '"ada"'
  meminspect find --json now.core 9.5
  meminspect find now.core -- -3`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := openCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("find: %w", err)
			}
			defer core.Close()
			if err := core.NeedRegions(); err != nil {
				return fmt.Errorf("find: %s: %w", args[0], err)
			}
			prog, err := inspect.OpenProgram(core, exe)
			if err != nil {
				return fmt.Errorf("find: %w", err)
			}
			defer prog.Close()
			warn(cmd, prog)
			f := finder{query: queryOf(args[1])}
			f.found = func(h findHit) error { return printFind(cmd, h, asJSON) }
			held, _ := core.Captured()
			paths.All(prog, value.Limits{Elements: -1, Bytes: maxSearched, Values: value.ValuesIn(held)}, f.visit, func() bool { return f.err != nil })
			if f.err == nil && f.hits == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: find: %s: %q is not in what is annotated: `meminspect scan` searches all bytes\n", args[0], args[1])
				return &exitError{status: exitPartial}
			}
			return f.err
		},
	}
	cmd.Flags().StringVar(&exe, "exe", "", "the executable of the captured program")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// maxSearched bounds the searched bytes of a text.
const maxSearched = 1 << 20

// A query describes the values to find.
type query struct {
	text   string
	exact  bool           // text must be equal
	number constant.Value // nil if it is not a number
	addr   memory.Address // 0 if it is not an address
}

func queryOf(arg string) query {
	if digits, ok := strings.CutPrefix(arg, "0x"); ok {
		if addr, err := strconv.ParseUint(digits, 16, 64); err == nil {
			return query{addr: memory.Address(addr)}
		}
	}
	if text, err := strconv.Unquote(arg); err == nil {
		return query{text: text, exact: true}
	}
	return query{text: arg, number: value.Number(arg)}
}

// matches reports whether a value matches the query.
func (q *query) matches(v *value.Value) bool {
	switch {
	case v.Absent != "" || q.addr != 0:
		return false
	case v.Shape == value.Text || v.Shape == value.Bytes && v.Type != "net.IP":
		return q.isText(v.Text)
	case v.Shape == value.Literal && q.number != nil && !hasText(v):
		got := value.Number(v.Text)
		return got != nil && constant.Compare(got, token.EQL, q.number)
	}
	return q.isShown(v.Type, shownText(v))
}

func (q *query) isText(text string) bool {
	return q.text != "" && (text == q.text || !q.exact && strings.Contains(text, q.text))
}

// isShown compares the text of an address, a URL or a time. A number is that of a port or
// of the bits of a prefix: other digits are parts of a text.
func (q *query) isShown(typ, text string) bool {
	if q.number == nil {
		return text != "" && q.isText(text)
	}
	return (typ == "netip.AddrPort" || typ == "netip.Prefix") && q.text == text[strings.LastIndexAny(text, ":/")+1:]
}

// shownText returns the text of a value that has parts, as it is printed; "" for others.
func shownText(v *value.Value) string {
	switch {
	case v.Type == "net.IP":
		return v.Meaning()
	case v.Type == "url.URL" && len(v.State) > 0:
		return v.State[0]
	case hasText(v):
		return v.JSON.(string)
	}
	return ""
}

// hasText reports whether a value is a literal of a type such as time.Time or
// netip.AddrPort, which has a text.
func hasText(v *value.Value) bool {
	_, ok := v.JSON.(string)
	return ok && v.Shape == value.Literal && (strings.HasPrefix(v.Type, "netip.") || v.Type == "time.Time")
}

// inKey reports whether a key, or a value that it leads to, matches the query.
func (q *query) inKey(v *value.Value) bool {
	if q.matches(v) || q.addr != 0 && v.Addr == q.addr && v.Absent == "" && role(v) == "pointer" {
		return true
	}
	for _, f := range v.Fields {
		if q.inKey(f.Value) {
			return true
		}
	}
	for _, e := range v.Elems {
		if q.inKey(e) {
			return true
		}
	}
	for _, e := range v.Entries {
		if q.inKey(e.Key) || q.inKey(e.Value) {
			return true
		}
	}
	return v.Elem != nil && q.inKey(v.Elem)
}

// A findHit is a found value, as --json prints it.
type findHit struct {
	Path    string       `json:"path"`
	Match   string       `json:"match"` // "value", "key", "address" or "pointer"
	Type    string       `json:"type"`
	Address address      `json:"address,omitempty"`
	Value   *value.Value `json:"value"`
}

// A finder searches values.
type finder struct {
	query query
	found func(findHit) error
	hits  int
	err   error
	last  *paths.Path // the path whose key was last searched
}

// visit checks a value.
func (f *finder) visit(path *paths.Path, v *value.Value) bool {
	if key := path.Key(); key != nil && path != f.last {
		f.last = path
		if f.query.inKey(key) {
			f.report(path, "key", key)
		}
	}
	switch {
	case f.query.matches(v):
		f.report(path, "value", v)
	case f.query.addr != 0 && v.Addr == f.query.addr:
		f.report(path, role(v), v)
	}
	return f.err == nil
}

// role describes how a value relates to the address.
func role(v *value.Value) string {
	switch v.Shape {
	case value.Pointer, value.Map, value.Chan:
		return "pointer"
	case value.List, value.Bytes:
		if strings.HasPrefix(v.Type, "[]") {
			return "pointer"
		}
	}
	return "address"
}

func (f *finder) report(path *paths.Path, match string, v *value.Value) {
	f.hits++
	f.err = f.found(findHit{Path: path.String(), Match: match, Type: v.Type, Address: address(v.Addr), Value: v.Brief()})
}

func printFind(cmd *cobra.Command, h findHit, asJSON bool) error {
	w := cmd.OutOrStdout()
	if asJSON {
		return jsonLines(w).Encode(h)
	}
	text := ""
	switch h.Match {
	case "value":
		text = " = " + h.Value.Line()
	case "key":
		text = "  (key)"
	case "pointer":
		text = "  (" + h.Type + " that leads there)"
	default:
		text = "  (" + h.Type + " at the address)"
	}
	_, err := fmt.Fprintln(w, oneLine(h.Path+text))
	return err
}
