package main

import "github.com/meminspect/meminspect/runtime/meminspectimpl"

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/crasher",
	Namespace: "crasher",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "counter", Expr: "counter", Var: &counter, Flags: meminspectimpl.Summary, Pos: "main.go:30"},
		{ID: 1<<63 | 2, Name: "customer", Expr: "customer", Var: &customer, Flags: meminspectimpl.Summary, Pos: "main.go:31"},
		{ID: 1<<63 | 3, Name: "orders", Expr: "orders", Var: &orders, Pos: "main.go:32"},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeVariable, Var: &password, Size: 16, Package: "main", Pos: "main.go:33"},
	},
}

func init() { meminspectimpl.Link(&table) }
