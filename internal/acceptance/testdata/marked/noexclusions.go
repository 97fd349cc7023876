//go:build !exclusions

package main

import "github.com/meminspect/meminspect/runtime/meminspectimpl"

var exclusions []meminspectimpl.Exclusion
