// Command meminspect-vet checks //meminspect: annotations and registrations
// under go vet:
//
//	go vet -vettool=$(which meminspect-vet) ./...
package main

import (
	"os"

	"github.com/meminspect/meminspect/internal/vettool"
)

func main() { vettool.Main(os.Args[1:]) }
