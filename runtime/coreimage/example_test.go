//go:build linux && (amd64 || arm64) && !meminspect_off

package coreimage_test

import (
	"fmt"
	"os"
	"path/filepath"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
)

// Write a core of this process with the currently registered regions.
func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	queue := []int64{3, 1, 2}
	id, err := meminspect.RegisterSlice(meminspect.IDDynamic, queue, meminspect.Name("queue"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer meminspect.Unregister(id)

	path := filepath.Join(dir, "queue.core")
	fmt.Println(coreimage.WriteFile(path, coreimage.Strict(), coreimage.Why("queue is stuck")))
	info, err := os.Stat(path)
	fmt.Println(info.Mode(), err)
	// Output:
	// <nil>
	// -rw------- <nil>
}
