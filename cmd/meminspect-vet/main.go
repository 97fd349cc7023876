// Command meminspect-vet checks //meminspect: annotations and registrations
// under go vet:
//
//	go vet -vettool=$(which meminspect-vet) ./...
package main

import (
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/meminspect/meminspect/lint"
)

func main() { unitchecker.Main(lint.Analyzers(lint.Nolint)...) }
