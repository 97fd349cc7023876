// Package vmcoreinfo writes and reads the text of the VMCOREINFO note, as the
// kernel writes it and crash, drgn and makedumpfile parse it: one KEY=value a
// line, ended by a newline.
//
//	OSRELEASE=6.1.0            text
//	SYMBOL(name)=ffff0000      hexadecimal, no 0x
//	SIZE(type)=128             decimal
//	OFFSET(type.field)=16      decimal
//	LENGTH(array)=32           decimal
//	NUMBER(const)=-1           decimal, may be negative
//
// Source: Linux Documentation/admin-guide/kdump/vmcoreinfo.rst and
// include/linux/vmcore_info.h.
package vmcoreinfo

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// A Text is built line by line. The zero Text is empty and ready to use.
type Text struct {
	b   []byte
	bad error
}

// Field appends key=value, for keys without a kind: OSRELEASE, BUILD-ID,
// PAGESIZE.
func (t *Text) Field(key, value string) { t.line("", key, value) }

// Symbol appends an address.
func (t *Text) Symbol(name string, addr uint64) {
	t.line("SYMBOL", name, strconv.FormatUint(addr, 16))
}

// Size appends the size of a type in bytes.
func (t *Text) Size(name string, size uint64) { t.line("SIZE", name, strconv.FormatUint(size, 10)) }

// Offset appends the offset of a type's field in bytes.
func (t *Text) Offset(typ, field string, offset uint64) {
	t.line("OFFSET", typ+"."+field, strconv.FormatUint(offset, 10))
}

// Length appends the number of elements of an array.
func (t *Text) Length(name string, n uint64) { t.line("LENGTH", name, strconv.FormatUint(n, 10)) }

// Number appends the value of a constant.
func (t *Text) Number(name string, v int64) { t.line("NUMBER", name, strconv.FormatInt(v, 10)) }

// line rejects names and values that would become two lines or another key. The
// format has no quoting, so it cannot express them.
func (t *Text) line(kind, name, value string) {
	if name == "" || strings.ContainsAny(name, "\n\x00=") || strings.ContainsAny(value, "\n\x00") || kind == "" && strings.ContainsRune(name, '(') {
		if t.bad == nil {
			t.bad = fmt.Errorf("vmcoreinfo cannot say %s(%q)=%q", kind, name, value)
		}
		return
	}
	if kind != "" {
		t.b = append(t.b, kind...)
		t.b = append(t.b, '(')
		t.b = append(t.b, name...)
		t.b = append(t.b, ')')
	} else {
		t.b = append(t.b, name...)
	}
	t.b = append(t.b, '=')
	t.b = append(t.b, value...)
	t.b = append(t.b, '\n')
}

// Bytes returns the lines so far.
func (t *Text) Bytes() []byte { return t.b }

// Err returns an error that names the first line that was omitted because the
// format cannot express it.
func (t *Text) Err() error { return t.bad }

// Info is a parsed Text.
type Info struct {
	Fields  map[string]string
	Symbols map[string]uint64
	Sizes   map[string]uint64
	Offsets map[string]uint64 // by type.field
	Lengths map[string]uint64
	Numbers map[string]int64
}

// ErrMalformed reports a line that is not vmcoreinfo.
var ErrMalformed = errors.New("malformed vmcoreinfo")

// Parse reads a text. Zeros after its end are padding; a later line replaces an
// earlier one of the same key, as in makedumpfile.
func Parse(b []byte) (*Info, error) {
	info := &Info{
		Fields:  map[string]string{},
		Symbols: map[string]uint64{},
		Sizes:   map[string]uint64{},
		Offsets: map[string]uint64{},
		Lengths: map[string]uint64{},
		Numbers: map[string]int64{},
	}
	text, _, _ := strings.Cut(string(b), "\x00")
	for i, line := range strings.Split(text, "\n") {
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%w: line %d: %q", ErrMalformed, i+1, line)
		}
		if err := info.set(key, value); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrMalformed, i+1, err)
		}
	}
	return info, nil
}

func (info *Info) set(key, value string) (err error) {
	kind, name, ok := strings.Cut(key, "(")
	if !ok || !strings.HasSuffix(name, ")") {
		info.Fields[key] = value
		return nil
	}
	name = name[:len(name)-1]
	switch kind {
	case "SYMBOL":
		info.Symbols[name], err = strconv.ParseUint(value, 16, 64)
	case "SIZE":
		info.Sizes[name], err = strconv.ParseUint(value, 10, 64)
	case "OFFSET":
		info.Offsets[name], err = strconv.ParseUint(value, 10, 64)
	case "LENGTH":
		info.Lengths[name], err = strconv.ParseUint(value, 10, 64)
	case "NUMBER":
		info.Numbers[name], err = strconv.ParseInt(value, 10, 64)
	default:
		info.Fields[key] = value // KERNELOFFSET(…) and future kinds
	}
	return err
}

// Names returns m's keys, sorted.
func Names[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
