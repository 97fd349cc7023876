// Package debuginfo reads from a program's debug information (DWARF) what its
// runtime types alone do not have: which type a package-level variable has that
// nothing points at, and how the runtime's own structs are laid out.
package debuginfo

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// opAddr is the operation of a fixed address.
const opAddr = 0x03

// NoLimit as the limit of Open is for a process that needs all there is: what a
// section claims to expand to is bounded all the same.
const NoLimit = 4 << 30

// ErrNone is wrapped by the error for a program without debug information.
var ErrNone = errors.New("the program has no debug information")

// Open reads a file's debug information, but for the tables of lines. It fails if
// a section of it has more than limit bytes.
func Open(f *exe.File, limit uint64) (*dwarf.Data, error) {
	content, err := sections(f, limit)
	if err != nil {
		return nil, err
	}
	return parse(content)
}

// sections returns what Open reads of a file, by the names of the sections.
func sections(f *exe.File, limit uint64) (map[string][]byte, error) {
	all, err := f.Sections()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	content := map[string][]byte{}
	for _, s := range all {
		switch s.Name {
		case ".debug_abbrev", ".debug_info", ".debug_str", ".debug_ranges",
			".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists":
			if content[s.Name], err = f.Data(s, limit); err != nil {
				return nil, fmt.Errorf("debug information: %w", err)
			}
		}
	}
	if content[".debug_info"] == nil {
		return nil, ErrNone
	}
	return content, nil
}

func parse(content map[string][]byte) (*dwarf.Data, error) {
	data, err := dwarf.New(content[".debug_abbrev"], nil, nil, content[".debug_info"], nil, nil, content[".debug_ranges"], content[".debug_str"])
	if err != nil {
		return nil, fmt.Errorf("debug information: %w", err)
	}
	for _, name := range []string{".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists"} {
		if content[name] == nil {
			continue
		}
		if err := data.AddSection(name, content[name]); err != nil {
			return nil, fmt.Errorf("debug information: %w", err)
		}
	}
	return data, nil
}

// A Variable is a package-level variable.
type Variable struct {
	Name string         // as the linker has it: net/http.DefaultTransport
	Addr memory.Address // in the file
	typ  dwarf.Offset
}

// Variables returns the package-level variables of the packages that want
// accepts by their import path, "main" for package main; nil accepts all.
func Variables(data *dwarf.Data, want func(pkg string) bool) ([]Variable, error) {
	var all []Variable
	r := data.Reader()
	for {
		die, err := r.Next()
		if err != nil {
			return all, fmt.Errorf("debug information: %w", err)
		}
		if die == nil {
			return all, nil
		}
		if die.Tag == dwarf.TagCompileUnit {
			name, _ := die.Val(dwarf.AttrName).(string)
			if want != nil && !want(name) {
				r.SkipChildren()
			}
			continue
		}
		if die.Children {
			r.SkipChildren()
		}
		if v, ok := variable(die); ok {
			all = append(all, v)
		}
	}
}

// variable decodes a variable with a fixed address.
func variable(die *dwarf.Entry) (Variable, bool) {
	name, ok1 := die.Val(dwarf.AttrName).(string)
	location, ok2 := die.Val(dwarf.AttrLocation).([]byte)
	typ, ok3 := die.Val(dwarf.AttrType).(dwarf.Offset)
	if die.Tag != dwarf.TagVariable || !ok1 || !ok2 || !ok3 || len(location) != 1+memory.PtrSize || location[0] != opAddr {
		return Variable{}, false
	}
	return Variable{name, memory.Address(binary.LittleEndian.Uint64(location[1:])), typ}, true
}
