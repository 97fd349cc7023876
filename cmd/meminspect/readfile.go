package main

import (
	"fmt"
	"io"
	"os"
)

// Sizes of reads: of a file, which is as long as it claims, and of a pipe or a
// device, which may have no end.
const (
	longestFile   = 2 << 30
	longestStream = 64 << 20
)

// readFile reads a log ring, a store or a block. None is longer than a program
// may make it, so readFile reads no more.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	most := int64(longestStream)
	if info.Mode().IsRegular() {
		most = longestFile
	}
	long := info.Size() > most
	var b []byte
	if !long {
		b, err = io.ReadAll(io.LimitReader(f, most+1))
		long = int64(len(b)) > most
	}
	if long {
		return nil, fmt.Errorf("read %s: it has more than %d bytes", path, most)
	}
	return b, err
}
