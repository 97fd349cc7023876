//go:build cgo

package main

import _ "net" // with the resolver of C
