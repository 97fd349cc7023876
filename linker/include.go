package linker

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/nameid"
)

// An IncludeList names variables of packages whose source cannot be changed. It
// is a text with one variable per line:
//
//	# what the transport has open
//	net/http.DefaultTransport depth=2 budget=64KiB
//	runtime.printBacklog
//	example.com/shop/*.cache*
//	!example.com/shop/auth.*
//
// A name is an import path, a dot and a variable of the package; package main
// goes by main or by its import path. Names may be shell patterns, in which *
// and ? do not match a slash. A line with ! forbids what it matches: no line
// includes the variable, and Check reports it if it is annotated.
type IncludeList struct {
	Path  string
	Lines []IncludeLine
}

// An IncludeLine is one line of a list.
type IncludeLine struct {
	Number   int
	Pattern  string
	Forbid   bool
	Depth    int32 // valid only if HasDepth
	HasDepth bool
	Budget   uint64
}

// ParseIncludeList reads a list; name is for messages.
func ParseIncludeList(name string, r io.Reader) (*IncludeList, error) {
	list := &IncludeList{Path: name}
	var errs []error
	scanner := bufio.NewScanner(r)
	for number := 1; scanner.Scan(); number++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		line, err := parseIncludeLine(words)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, number, err))
			continue
		}
		line.Number = number
		list.Lines = append(list.Lines, line)
	}
	if err := scanner.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return list, errors.Join(errs...)
}

func parseIncludeLine(words []string) (IncludeLine, error) {
	var line IncludeLine
	line.Pattern, line.Forbid = strings.CutPrefix(words[0], "!")
	if _, err := path.Match(line.Pattern, ""); err != nil || line.Pattern == "" {
		return line, fmt.Errorf("%q: not a name or a pattern", words[0])
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case line.Forbid:
			return line, fmt.Errorf("%q: what is forbidden has no options", word)
		case key == "depth":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return line, fmt.Errorf("%q: want a number of pointers to follow", word)
			}
			line.Depth, line.HasDepth = int32(n), true
		case key == "budget":
			n, err := bytesize.Parse(value)
			if err != nil {
				return line, fmt.Errorf("%q: %w", word, err)
			}
			line.Budget = n
		default:
			return line, fmt.Errorf("%q: want depth=N or budget=BYTES", word)
		}
	}
	return line, nil
}

// Include adds the variables that lists name to the program's entries, and
// returns a finding for each annotated variable that a list forbids. It returns
// an error and adds nothing if a line matches no variable of the program, or if
// the program has no symbols.
func (p *Program) Include(lists ...*IncludeList) ([]Finding, error) {
	variables, err := p.variables()
	if err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	in := includer{p: p, variables: variables, chosen: map[int]*entry{}, forbidden: map[int]string{}}
	var errs []error
	for _, forbid := range []bool{true, false} {
		for _, list := range lists {
			for _, line := range list.Lines {
				if line.Forbid != forbid {
					continue
				}
				if err := in.line(list.Path, line); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	findings := in.forbiddenEntries()
	if err := in.types(); err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	for _, i := range in.order() {
		p.entries = append(p.entries, in.chosen[i])
	}
	sortEntries(p.entries)
	return findings, nil
}

// A variable is a package-level variable from the symbol table.
type variable struct {
	symbol exe.Symbol
	pkg    string // import path; for package main its own, if known
	name   string
	alias  string // main.name
}

// variables lists the program's package-level variables by address.
func (p *Program) variables() ([]variable, error) {
	all, err := p.file.Symbols()
	if err != nil {
		return nil, err
	}
	segments := p.file.Segments()
	main := p.mainPath()
	tables := map[memory.Address]bool{} // the tables of annotations are not variables of the program
	for _, t := range p.found.Tables {
		tables[t.Addr-p.image.Bias] = true
	}
	var found []variable
	for _, sym := range all {
		if sym.Type != elf.STT_OBJECT || sym.Section == elf.SHN_UNDEF || tables[sym.Addr] {
			continue
		}
		pkg, name, ok := sym.Variable()
		at, _ := slices.BinarySearchFunc(segments, sym.Addr, func(s memory.Segment, a memory.Address) int {
			if s.End <= a {
				return -1
			}
			return 1
		})
		if !ok || at == len(segments) || !segments[at].Contains(sym.Addr) || !segments[at].Write {
			continue
		}
		v := variable{symbol: sym, pkg: pkg, name: name}
		if pkg == "main" {
			v.alias = "main." + name
			v.pkg = cmp.Or(main, pkg)
		}
		found = append(found, v)
	}
	slices.SortFunc(found, func(a, b variable) int {
		return cmp.Or(a.symbol.Addr.Compare(b.symbol.Addr), strings.Compare(a.symbol.Name, b.symbol.Name))
	})
	return found, nil
}

// matches reports whether a line's pattern matches v.
func (v variable) matches(pattern string) bool {
	full := v.pkg + "." + v.name
	for _, name := range []string{full, v.alias} {
		if ok, _ := path.Match(pattern, name); name != "" && (ok || name == pattern) {
			return true
		}
	}
	return false
}

type includer struct {
	p         *Program
	variables []variable
	chosen    map[int]*entry // by index of the variable
	forbidden map[int]string // by index of the variable: the forbidding line
}

// line applies one line.
func (in *includer) line(file string, line IncludeLine) error {
	where := fmt.Sprintf("%s:%d", file, line.Number)
	met := false
	for i, v := range in.variables {
		if !v.matches(line.Pattern) {
			continue
		}
		met = true
		if line.Forbid {
			in.forbidden[i] = where
			continue
		}
		if in.forbidden[i] != "" || in.chosen[i] != nil {
			continue // forbidden, or chosen by an earlier line
		}
		e := &entry{
			Package:   v.pkg,
			Name:      v.name,
			Expr:      v.name,
			ID:        nameid.Of(v.pkg, v.name),
			Addr:      v.symbol.Addr + in.p.image.Bias,
			Size:      v.symbol.Size,
			SizeKnown: true,
			Depth:     line.Depth,
			HasDepth:  line.HasDepth,
			Budget:    line.Budget,
			Included:  where,
		}
		if line.HasDepth {
			e.Flags |= anchor.EntryHasDepth
		}
		in.chosen[i] = e
	}
	if !met {
		return fmt.Errorf("%s: %s: the program has no such variable", where, line.Pattern)
	}
	return nil
}

// forbiddenEntries reports annotated variables that a list forbids.
func (in *includer) forbiddenEntries() []Finding {
	c := checker{p: in.p}
	for i, where := range in.forbidden {
		sym := in.variables[i].symbol
		r := memory.RangeOf(sym.Addr+in.p.image.Bias, max(sym.Size, 1))
		for _, e := range in.p.entries {
			if r.Contains(e.Addr) {
				c.onEntry(Forbidden, e, "%s is annotated, and %s forbids %s", e.Name, where, in.variables[i].pkg+"."+in.variables[i].name)
			}
		}
	}
	slices.SortFunc(c.findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return c.findings
}

// order returns the chosen variables by address.
func (in *includer) order() []int {
	all := make([]int, 0, len(in.chosen))
	for i := range in.chosen {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}
