// Package expr evaluates paths: Go expressions that lead from the regions of a core to
// values below them.
//
//	main.sessions["ada"].Orders[3]     fields, elements, keys
//	main.sessions[*].User              * means all elements
//	main.queue.jobs[2:5]               a part of a slice, an array or a text
//	len(main.queue.jobs), cap(…)
//	*main.head, main.shape.(*main.Circle)
//
// Selectors, indexes, len and cap look through pointers, interfaces and atomic
// pointers, so that a path needs no * and no assertion on its way.
package expr

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/nearest"
)

// An Error is an error in a path.
type Error struct {
	Path   string
	Offset int // of the byte in Path at which the part begins that is wrong
	Msg    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("path %q: column %d: %s", e.Path, e.Offset+1, e.Msg)
}

// ErrRegion is wrapped by the error about a path that begins with no region.
var ErrRegion = errors.New("no region is called")

// A Path is a parsed path.
type Path struct {
	text  string
	file  *token.File
	root  ast.Expr
	roots map[int]string    // names of regions, by their offsets in text
	keys  map[int]hiddenKey // by their offsets in text
	every bool              // it has a [*]
}

// Every reports whether a path may lead to any number of values: it has a [*].
func (x *Path) Every() bool { return x.every }

// maxText is how long a path may be. It bounds the depth of its tree.
const maxText = 4096

// all is the index that means every element: the parser knows no [*].
const all = "_"

// Parse parses a path. names are those of the regions with which it may begin.
func Parse(text string, names []string) (*Path, error) {
	if len(text) > maxText {
		return nil, &Error{text[:32] + "…", 0, fmt.Sprintf("it is longer than %d bytes", maxText)}
	}
	x := &Path{text: text, roots: map[int]string{}, keys: map[int]hiddenKey{}}
	source := x.prepare(names)
	files := token.NewFileSet()
	root, err := parser.ParseExprFrom(files, "", source, 0)
	files.Iterate(func(f *token.File) bool { x.file = f; return false })
	if err != nil {
		if len(x.roots) == 0 {
			return nil, x.noRegion(0, names)
		}
		return nil, x.syntaxError(err)
	}
	x.root = root
	return x, nil
}

func (x *Path) syntaxError(err error) error {
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return &Error{x.text, min(max(list[0].Pos.Offset, 0), len(x.text)), list[0].Msg}
	}
	return &Error{x.text, 0, err.Error()}
}

// noRegion is the error about a path that begins with no region at an offset.
func (x *Path) noRegion(offset int, names []string) error {
	word := x.text[offset:]
	if end := strings.IndexAny(word, "[(){},: \t\n"); end >= 0 {
		word = word[:end]
	}
	hint := "`meminspect regions` lists them"
	for w := word; w != ""; w = w[:max(strings.LastIndexByte(w, '.'), 0)] {
		if name, ok := nearest.Word(w, names); ok {
			hint = "did you mean " + name + "?"
			break
		}
	}
	return fmt.Errorf("%w %q: %s", ErrRegion, word, hint)
}

// offset returns where a node begins in the text.
func (x *Path) offset(n ast.Node) int {
	return min(max(x.file.Offset(n.Pos()), 0), len(x.text))
}

// source returns the text of a node.
func (x *Path) source(n ast.Node) string {
	return x.text[x.offset(n):min(max(x.file.Offset(n.End()), 0), len(x.text))]
}

// prepare returns the text as the parser accepts it, with all bytes at the same
// offsets: names of regions, which may have slashes, are identifiers, and [*] is [_].
func (x *Path) prepare(names []string) []byte {
	src := []byte(x.text)
	operand := true // here an operand may begin
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '"' || c == '`' || c == '\'':
			i, operand = closing(x.text, i)+1, false
		case c == '[':
			star := i + 1 + len(x.text[i+1:]) - len(strings.TrimLeft(x.text[i+1:], " \t"))
			if rest, ok := strings.CutPrefix(x.text[star:], "*"); ok && strings.HasPrefix(strings.TrimLeft(rest, " \t"), "]") {
				src[star], x.every = all[0], true
			}
			i, operand = i+1, false
			i += x.hide(src, i)
		case c == '(':
			operand = !strings.HasSuffix(strings.TrimRight(x.text[:i], " \t"), ".") // of an assertion
			i++
		case c == ' ' || c == '\t' || c == '*':
			i++
		case operand:
			name := longestPrefix(x.text[i:], names)
			if name != "" {
				x.roots[i] = name
				copy(src[i:], "R"+strings.Repeat("_", len(name)-1))
			}
			i, operand = i+max(len(name), 1), false
		default:
			i++
		}
		if operand && i > 0 && i < len(src) && isWord(x.text[i-1:]) {
			operand = false
		}
	}
	return src
}

// hide replaces the key in brackets that begin before an offset if the parser does not
// accept it. It returns the length of the key, 0 if it is not replaced.
func (x *Path) hide(src []byte, at int) int {
	end := bracket(x.text, at)
	if end <= at {
		return 0
	}
	key, ok := hiddenKeyOf(x.text[at:end])
	if !ok {
		return 0
	}
	x.keys[at] = key
	copy(src[at:end], "K"+strings.Repeat("_", end-at-1))
	return end - at
}

// bracket returns the offset of the bracket that closes the one before an offset, -1 if
// there is none.
func bracket(text string, at int) int {
	depth := 0
	for i := at; i < len(text); i++ {
		switch text[i] {
		case '"', '`', '\'':
			i = closing(text, i)
		case '[', '{', '(':
			depth++
		case ']', '}', ')':
			if depth == 0 {
				return i
			}
			depth--
		case '/':
			if strings.HasPrefix(text[i:], "/*") {
				if n := strings.Index(text[i:], "*/"); n > 0 {
					i += n + 1
				}
			}
		}
	}
	return -1
}

// closing returns the offset of the quote that closes the literal at an offset, or
// of the last byte.
func closing(text string, at int) int {
	quote := text[at]
	for i := at + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote != '`':
			i++
		case text[i] == quote:
			return i
		}
	}
	return len(text) - 1
}

// longestPrefix returns the longest name with which a text begins, as a whole word.
func longestPrefix(text string, names []string) (longest string) {
	for _, name := range names {
		if len(name) > len(longest) && strings.HasPrefix(text, name) && !isWord(text[len(name):]) {
			longest = name
		}
	}
	return longest
}

// isWord reports whether a text begins with a letter or a digit.
func isWord(text string) bool {
	c, _ := utf8.DecodeRuneInString(text)
	return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c)
}

// compact returns source text without the spaces between its tokens.
func compact(text string) string { return strings.Join(tokens(text), "") }

// tokens returns the tokens of source text, without comments.
func tokens(text string) (parts []string) {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", -1, len(text)), []byte(text), func(token.Position, string) {}, 0)
	for range len(text) + 1 {
		_, tok, lit := s.Scan()
		switch {
		case tok == token.EOF || tok == token.SEMICOLON:
			return parts
		case lit != "":
			parts = append(parts, lit)
		default:
			parts = append(parts, tok.String())
		}
	}
	return parts
}
