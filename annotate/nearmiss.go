package annotate

import (
	"fmt"
	"go/token"
	"strings"

	"github.com/meminspect/meminspect/internal/nearest"
)

// nearMisses reports a comment that is certainly meant as a directive. It
// ignores prose about the tool, in which ordinary words, not arguments, follow
// the tool's name.
func nearMisses(pos token.Pos, text string) []Diagnostic {
	if strings.HasPrefix(text, "/*") {
		return blockMisses(pos, text)
	}
	if !strings.HasPrefix(text, "//") {
		return nil
	}
	end := pos + token.Pos(len(text))
	miss := look(text[len("//"):])
	if strings.HasPrefix(text, Prefix) && (miss == nil || miss.fix == "") {
		return []Diagnostic{{Pos: pos, End: end, Code: Malformed,
			Message: fmt.Sprintf("%s must be followed at once by one of %s", Prefix, words())}}
	}
	if miss == nil {
		return nil
	}
	diagnostic := Diagnostic{Pos: pos, End: end, Code: NearMiss, Message: miss.message(text)}
	if miss.fix != "" {
		diagnostic.Fix = &Fix{Message: "write " + miss.fix, Pos: pos, End: end, NewText: miss.fix}
	}
	return []Diagnostic{diagnostic}
}

// blockMisses checks each line of a block comment. It offers no fix, because
// the rest of the comment would have to move.
func blockMisses(pos token.Pos, text string) []Diagnostic {
	var list []Diagnostic
	body := strings.TrimSuffix(text[len("/*"):], "*/")
	offset := len("/*")
	for line := range strings.SplitAfterSeq(body, "\n") {
		content := strings.TrimRight(line, " \t\r\n")
		if miss := look(strings.TrimLeft(content, " \t*")); miss != nil && miss.known && miss.exact && miss.colon {
			list = append(list, Diagnostic{
				Pos: pos + token.Pos(offset), End: pos + token.Pos(offset+len(content)), Code: NearMiss,
				Message: fmt.Sprintf("a directive in a block comment has no effect: write %s on a separate line", miss.fix),
			})
		}
		offset += len(line)
	}
	return list
}

// A miss is a comment that looks like a directive.
type miss struct {
	exact bool   // the tool's name is right except for case and punctuation
	known bool   // the directive's word is right except for case
	colon bool   // there is a colon between them
	fix   string // the intended directive, "" if uncertain
}

func (m *miss) message(text string) string {
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	if m.fix == "" {
		return fmt.Sprintf("%q is not a directive: it must begin with %s, in lower case and without a space", text, Prefix)
	}
	return fmt.Sprintf("%q is not a directive and would be ignored: write %s", text, m.fix)
}

// look splits a comment's text, without its slashes, into junk, tool, separator,
// word and rest.
func look(body string) *miss {
	trimmed := strings.TrimLeft(body, " \t+@")
	flush := trimmed == body
	tool := run(trimmed, isWordByte)
	rest := trimmed[len(tool):]
	separator := run(rest, func(b byte) bool { return strings.IndexByte(" \t:.=", b) >= 0 })
	rest = rest[len(separator):]
	word := run(rest, isWordByte)
	rest = strings.TrimSpace(rest[len(word):])

	normal := normalize(tool)
	m := &miss{exact: normal == Tool, colon: strings.Contains(separator, ":")}
	if joined, ok := strings.CutPrefix(normal, Tool); ok && flush && separator == "" || ok && isDirective(joined) {
		// "//meminspect-entry": tool and word are joined.
		rest, word, m.exact = strings.TrimSpace(strings.TrimPrefix(trimmed, tool)), joined, true
	}
	lower := strings.ToLower(word)
	m.known = isDirective(lower)
	if near, ok := nearestWord(lower); ok && !m.known && m.exact && m.colon {
		lower, m.known = near, true
	}
	closeTool := m.exact || m.colon && len(normal) > 4 && nearest.Distance(normal, Tool) <= 2
	switch {
	case m.known && closeTool && looksLikeArguments(lower, rest) && (m.colon || flush):
		m.fix = strings.TrimSpace(Prefix + lower + " " + rest)
		return m
	case m.exact && flush && strings.HasPrefix(separator, ":"):
		return m // our prefix except for case or punctuation: always reported
	}
	return nil
}

// looksLikeArguments distinguishes arguments from prose.
func looksLikeArguments(word, rest string) bool {
	first, more, _ := strings.Cut(rest, " ")
	switch {
	case first == "", strings.HasPrefix(first, "//"), strings.HasPrefix(first, `"`), strings.HasPrefix(first, "`"):
		return true
	case word == ID.String():
		return isName(first) && strings.TrimSpace(more) == ""
	}
	return strings.Contains(first, "=") || first == "summary"
}

// normalize removes case and punctuation.
func normalize(tool string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, strings.ToLower(tool))
}

func isWordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_'
}

// run returns the longest prefix of s whose bytes all satisfy fit.
func run(s string, fit func(byte) bool) string {
	for i := range len(s) {
		if !fit(s[i]) {
			return s[:i]
		}
	}
	return s
}

func isDirective(word string) bool {
	for _, d := range directives {
		if d.word == word {
			return true
		}
	}
	return false
}

// nearestWord returns the directive that a misspelt word must mean.
func nearestWord(word string) (string, bool) {
	words := make([]string, len(directives))
	for i, d := range directives {
		words[i] = d.word
	}
	return nearest.Word(word, words)
}
