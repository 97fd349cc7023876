package annotate

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// Tool is the word before the colon of a directive.
const Tool = "meminspect"

// Prefix begins every directive.
const Prefix = "//" + Tool + ":"

// A Kind is a directive's word.
type Kind uint8

// The directives.
const (
	Entry   Kind = iota + 1 // capture a variable, or a member of one
	Area                    // capture its first bytes
	Exclude                 // never capture a variable, type or field
	ID                      // declare an ID for something registered at run time
	Layout                  // write a type's size and offsets to vmcoreinfo
	Number                  // write a constant's value to vmcoreinfo
)

// String returns the directive's word.
func (k Kind) String() string {
	for _, d := range directives {
		if d.kind == k {
			return d.word
		}
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A Line is one parsed directive. Arguments that are not written have their
// zero value.
type Line struct {
	Kind     Kind
	Pos, End token.Pos // the whole comment
	Name     string    // name=, or the name that an id line declares
	Member   *Path     // member=
	Size     *Size     // size=
	Depth    int       // depth=, valid only if HasDepth
	HasDepth bool
	Budget   uint64 // budget=, bytes
	Note     string // note=
	Summary  bool   // summary

	args map[string]argument
}

// Arg returns the source range of the named argument, or of the whole line if
// the argument is not written.
func (l *Line) Arg(name string) (pos, end token.Pos) {
	if a, ok := l.args[name]; ok {
		return a.pos, a.end
	}
	return l.Pos, l.End
}

// directives is the grammar of a line: the arguments that each word accepts.
var directives = []struct {
	kind     Kind
	word     string
	args     []string
	required string // an argument that must be present
}{
	{Entry, "entry", []string{"name", "member", "depth", "budget", "note", "summary"}, ""},
	{Area, "area", []string{"size", "name", "member", "depth", "budget", "note", "summary"}, "size"},
	{Exclude, "exclude", nil, ""},
	{ID, "id", nil, "NAME"},
	{Layout, "layout", nil, ""},
	{Number, "number", nil, ""},
}

// An argument is one written argument with its position in the source.
type argument struct {
	key, value string
	hasValue   bool
	pos, end   token.Pos
}

// ParseLine parses one comment. text is the text of an [ast.Comment], pos its
// position. ParseLine returns a line or diagnostics, never both. It returns
// neither for a comment that is not a directive and does not look like one.
func ParseLine(pos token.Pos, text string) (*Line, []Diagnostic) {
	if strings.HasPrefix(text, "//") {
		text, _, _ = strings.Cut(text, "\n")
		text = strings.TrimRight(text, "\r")
	}
	directive, ok := ast.ParseDirective(pos, text)
	if !ok || directive.Tool != Tool {
		return nil, nearMisses(pos, text)
	}
	p := &lineParser{text: text, line: &Line{
		Pos: pos, End: pos + token.Pos(len(text)), args: map[string]argument{},
	}}
	p.parse(directive)
	if len(p.diagnostics) > 0 {
		return nil, p.diagnostics
	}
	return p.line, nil
}

// A lineParser parses one directive.
type lineParser struct {
	text        string
	line        *Line
	diagnostics []Diagnostic
}

func (p *lineParser) errorf(pos, end token.Pos, code Code, format string, args ...any) {
	p.diagnostics = append(p.diagnostics, Diagnostic{Pos: pos, End: end, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (p *lineParser) parse(directive ast.Directive) {
	namePos := directive.Slash + token.Pos(len(Prefix))
	nameEnd := namePos + token.Pos(len(directive.Name))
	for _, d := range directives {
		if d.word != directive.Name {
			continue
		}
		p.line.Kind = d.kind
		args, err := directive.ParseArgs()
		if err != nil {
			p.errorf(directive.ArgsPos, directive.End(), BadQuoting,
				"a quoted argument of %s%s does not end, or something follows its end: quote the whole argument, like \"note=two words\"", Prefix, d.word)
			return
		}
		for _, arg := range args {
			located := p.locate(arg)
			if first := p.text[located.pos-p.line.Pos]; first != '"' && first != '`' && strings.ContainsAny(arg.Arg, "\"`") {
				p.errorf(located.pos, located.end, BadQuoting,
					"quotes inside an argument: quote the whole argument, like \"note=two words\"")
				return
			}
			p.argument(d.word, d.args, located)
		}
		if d.required != "" {
			if _, ok := p.line.args[d.required]; !ok && len(p.diagnostics) == 0 {
				p.errorf(namePos, nameEnd, MissingArgument, "%s%s needs %s", Prefix, d.word, required(d.required))
			}
		}
		return
	}
	message := fmt.Sprintf("unknown directive %s%s: there are %s", Prefix, directive.Name, words())
	diagnostic := Diagnostic{Pos: namePos, End: nameEnd, Code: UnknownDirective, Message: message}
	if near, ok := nearestWord(strings.ToLower(directive.Name)); ok {
		diagnostic.Message += fmt.Sprintf("; did you mean %s?", near)
		diagnostic.Fix = &Fix{Message: "write " + near, Pos: namePos, End: nameEnd, NewText: near}
	}
	p.diagnostics = append(p.diagnostics, diagnostic)
}

func required(name string) string {
	if name == "NAME" {
		return "a name: //meminspect:id Config"
	}
	return name + "="
}

// locate splits an argument and finds its end, which go/ast does not report.
func (p *lineParser) locate(arg ast.DirectiveArg) argument {
	raw := p.text[arg.Pos-p.line.Pos:]
	length := len(arg.Arg)
	if raw[0] == '"' || raw[0] == '`' {
		if quoted, err := strconv.QuotedPrefix(raw); err == nil {
			length = len(quoted)
		}
	}
	key, value, hasValue := strings.Cut(arg.Arg, "=")
	return argument{key, value, hasValue, arg.Pos, arg.Pos + token.Pos(length)}
}

// argument parses one argument of the directive word, which accepts the
// arguments in known.
func (p *lineParser) argument(word string, known []string, arg argument) {
	if p.line.Kind == ID {
		p.idName(arg)
		return
	}
	found := false
	for _, name := range known {
		found = found || name == arg.key
	}
	if !found {
		what := "takes no arguments"
		if len(known) > 0 {
			what = "has " + signature(known)
		}
		p.errorf(arg.pos, arg.end, UnknownArgument, "unknown argument %q: %s%s %s", arg.key, Prefix, word, what)
		return
	}
	if _, again := p.line.args[arg.key]; again {
		p.errorf(arg.pos, arg.end, RepeatedArgument, "%s is written twice", arg.key)
		return
	}
	p.line.args[arg.key] = arg
	p.value(arg)
}

// signature formats a list of arguments as they are written in source.
func signature(names []string) string {
	var list []string
	for _, name := range names {
		if name != "summary" {
			name += "="
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// idName parses the name of an id line.
func (p *lineParser) idName(arg argument) {
	whole := arg.key
	if arg.hasValue {
		whole += "=" + arg.value
	}
	switch _, again := p.line.args["NAME"]; {
	case again:
		p.errorf(arg.pos, arg.end, UnknownArgument, "%sid takes one name; %q is too much", Prefix, whole)
	case !isName(whole):
		p.errorf(arg.pos, arg.end, BadName, "%q is not a name: it must be a Go identifier", whole)
	default:
		p.line.Name = whole
	}
	p.line.args["NAME"] = arg
}

// value parses the value of a known argument.
func (p *lineParser) value(arg argument) {
	bad := func(code Code, format string, args ...any) { p.errorf(arg.pos, arg.end, code, format, args...) }
	if arg.key == "summary" {
		if arg.hasValue {
			bad(UnknownArgument, "summary takes no value")
		}
		p.line.Summary = true
		return
	}
	if arg.value == "" && arg.key != "note" {
		bad(MissingArgument, "%s= has no value", arg.key)
		return
	}
	switch arg.key {
	case "name":
		if !isName(arg.value) {
			bad(BadName, "name=%s: %q is not a name: it must be a Go identifier", arg.value, arg.value)
		}
		p.line.Name = arg.value
	case "member":
		path, err := ParsePath(arg.value)
		if err != nil {
			bad(BadMember, "member=%s: %v", arg.value, err)
		}
		p.line.Member = path
	case "size":
		size, err := ParseSize(arg.value)
		if err != nil {
			bad(BadSize, "size=%s: %v", arg.value, err)
		}
		p.line.Size = size
	case "budget":
		size, err := parseBytes(arg.value)
		if err != nil {
			bad(BadSize, "budget=%s: %v", arg.value, err)
		}
		p.line.Budget = size
	case "depth":
		depth, err := strconv.ParseUint(arg.value, 10, 31)
		if err != nil || depth > maxDepth {
			bad(BadNumber, "depth=%s: want a number of pointers to follow, 0 to %d", arg.value, maxDepth)
		}
		p.line.Depth, p.line.HasDepth = int(depth), true
	case "note":
		if strings.ContainsAny(arg.value, "\n\r") || !arg.hasValue {
			bad(MissingArgument, "note= needs text in one line")
		}
		p.line.Note = arg.value
	}
}

// maxDepth bounds depth=. Budgets bound deeper graphs, so a larger number is a
// typing error.
const maxDepth = 1000

// isName reports whether s can name an entry: it becomes part of a constant's
// name.
func isName(s string) bool { return token.IsIdentifier(s) && s != "_" || token.IsKeyword(s) }

func words() string {
	var list []string
	for _, d := range directives {
		list = append(list, d.word)
	}
	return strings.Join(list, ", ")
}
