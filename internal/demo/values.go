package main

import (
	"path"
	"strconv"
	"strings"
)

// A variable is an annotated variable as the live program sees it.
type variable struct {
	Package  string `json:"package"`
	Variable string `json:"variable"`
	Leaves   []struct {
		Path  string `json:"path"`
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"leaves"`
}

func (v variable) short() string { return path.Base(v.Package) + "." + v.Variable }

// expressions returns one for each leaf of each variable, in order.
func expressions(live []variable, name func(pkg, variable string) string) []string {
	var list []string
	for _, v := range live {
		for _, leaf := range v.Leaves {
			list = append(list, name(v.Package, v.Variable)+leaf.Path)
		}
	}
	return list
}

// gdbName quotes the symbol: queue.head is the member head of 'pkg.queue'.
func gdbName(pkg, variable string) string {
	root, member, found := strings.Cut(variable, ".")
	name := "'" + pkg + "." + root + "'"
	if found {
		name += "." + member
	}
	return name
}

// delveName quotes a path with slashes.
func delveName(pkg, variable string) string {
	if strings.Contains(pkg, "/") {
		pkg = strconv.Quote(pkg)
	}
	return pkg + "." + variable
}

// normal brings what a debugger prints for a number or a truth value into the
// form in which the program prints it: gdb adds characters to bytes (65 'A')
// and digits to floats, Delve names to constants (Packed (1)). What it cannot
// understand it returns as it is, so that it differs.
func normal(kind, printed string) string {
	text := strings.TrimSpace(printed)
	if inside, found := strings.CutSuffix(text, ")"); found {
		if _, number, found := strings.Cut(inside, "("); found {
			text = number
		}
	}
	first, rest, _ := strings.Cut(text, " ")
	if rest != "" && !strings.HasPrefix(rest, "'") {
		return printed
	}
	switch {
	case strings.HasPrefix(kind, "float"):
		bits, err := strconv.Atoi(strings.TrimPrefix(kind, "float"))
		if err != nil {
			return printed
		}
		f, err := strconv.ParseFloat(first, bits)
		if err != nil {
			return printed
		}
		return strconv.FormatFloat(f, 'g', -1, bits)
	default:
		return first
	}
}
