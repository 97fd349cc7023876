//go:build exclusions

package main

import (
	"unsafe"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

const (
	tokenOffset = unsafe.Offsetof(account{}.Token)
	tokenSize   = unsafe.Sizeof(account{}.Token)
)

var exclusions = []meminspectimpl.Exclusion{
	{Kind: meminspectimpl.ExcludeType, Var: (*pin)(nil), Package: path, Type: "pin"},
	{Kind: meminspectimpl.ExcludeVariable, Var: &password, Package: path},
	{Kind: meminspectimpl.ExcludeField, Var: (*account)(nil), Offset: uint64(tokenOffset), Size: uint64(tokenSize), Package: path, Type: "account", Field: "Token"},
}
