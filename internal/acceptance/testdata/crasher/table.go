package main

import meminspect "github.com/meminspect/meminspect/runtime"

var table = meminspect.Table{
	Magic:     [2]uint64{meminspect.TableMagic0, meminspect.TableMagic1},
	Version:   meminspect.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/crasher",
	Namespace: "crasher",
	Entries: []meminspect.Entry{
		{ID: 1<<63 | 1, Name: "counter", Expr: "counter", Var: &counter, Flags: meminspect.Summary, Pos: "main.go:30"},
		{ID: 1<<63 | 2, Name: "customer", Expr: "customer", Var: &customer, Flags: meminspect.Summary, Pos: "main.go:31"},
		{ID: 1<<63 | 3, Name: "orders", Expr: "orders", Var: &orders, Pos: "main.go:32"},
	},
	Exclusions: []meminspect.Exclusion{
		{Kind: meminspect.ExcludeVariable, Var: &password, Size: 16, Package: "main", Pos: "main.go:33"},
	},
}

func init() { meminspect.Link(&table) }
