// Package symbols finds the variables of a program by name: in its executable, or
// in an unstripped executable of the same build.
package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Table has the symbols of a file, by name. It is empty for a stripped file.
type Table map[string]exe.Symbol

// Read returns the defined symbols of a file.
func Read(file *exe.File) (Table, error) {
	all, err := file.Symbols()
	if err != nil {
		return nil, err
	}
	t := Table{}
	for _, sym := range all {
		if sym.Section != elf.SHN_UNDEF && sym.Addr != 0 {
			t[sym.Name] = sym
		}
	}
	return t, nil
}

// OpenTwin returns the symbols of the file at path, which must be an unstripped
// executable of the same build as file.
func OpenTwin(path string, file *exe.File) (Table, error) {
	twin, err := exe.Open(path)
	if err != nil {
		return nil, fmt.Errorf("symbols: %w", err)
	}
	defer twin.Close()
	if err := sameBuild(file, twin); err != nil {
		return nil, fmt.Errorf("symbols: %s is not of the same build: %w", path, err)
	}
	t, err := Read(twin)
	if err != nil {
		return nil, fmt.Errorf("symbols: %s: %w", path, err)
	}
	return t, nil
}

var errNoSymbol = errors.New("no such symbol")

// Variable returns the symbol of a package-level variable by its import path
// and name, as spelt in the source or in the symbol table.
func (t Table) Variable(name string) (exe.Symbol, error) {
	if sym, ok := t[name]; ok {
		return sym, nil
	}
	for _, sym := range t {
		if pkg, expr, ok := sym.Variable(); ok && pkg+"."+expr == name {
			return sym, nil
		}
	}
	err := fmt.Errorf("include %s: %w", name, errNoSymbol)
	if len(t) == 0 {
		err = fmt.Errorf("%w: the executable is stripped; name its unstripped twin with --symbols", err)
	}
	return exe.Symbol{}, err
}

// pageSize is that of the text of an executable.
const pageSize = 4096

// sameBuild compares the text of two files: the go command's build ID of a
// stripped binary differs from its twin's only in the content hash.
func sameBuild(a, b *exe.File) error {
	if a.Arch != b.Arch || a.Type != b.Type || a.Entry != b.Entry {
		return errors.New("another kind of executable")
	}
	for _, seg := range a.Segments() {
		if !seg.Exec {
			continue
		}
		if err := sameCode(a, b, seg.Range); err != nil {
			return err
		}
	}
	return nil
}

func sameCode(a, b *exe.File, code memory.Range) error {
	const chunk = 1 << 20
	one, two := make([]byte, chunk), make([]byte, chunk)
	for at := code.Start; at < code.End; at = at.Add(chunk) {
		n := min(chunk, int(code.End-at))
		if _, err := a.ReadAt(one[:n], at); err != nil {
			return err
		}
		if _, err := b.ReadAt(two[:n], at); err != nil {
			return err
		}
		// Go's own linker puts the build ID into the first page of the text.
		if !slices.Equal(one[:n], two[:n]) && (at != code.Start || !slices.Equal(one[pageSize:n], two[pageSize:n])) {
			return errors.New("the code differs")
		}
	}
	return nil
}
