// Physical copies physical memory to a file, or a file to physical memory, for tests in
// virtual machines.
//
//	physical read|write ADDRESS SIZE FILE
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

func main() {
	if err := copyMemory(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "physical:", err)
		os.Exit(1)
	}
}

func copyMemory(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("want four arguments, got %q", args)
	}
	address, err := strconv.ParseInt(args[1], 0, 64)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	f, err := os.OpenFile("/dev/mem", os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	mem, err := syscall.Mmap(int(f.Fd()), address, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %#x: %w", address, err)
	}
	// The memory may be mapped as that of a device, which allows aligned access only.
	words := unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), size/8)
	data := make([]byte, size)
	if args[0] == "read" {
		for i := range words {
			binary.NativeEndian.PutUint64(data[i*8:], words[i])
		}
		return os.WriteFile(args[3], data, 0o600)
	}
	text, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	copy(data, text)
	for i := range words {
		words[i] = binary.NativeEndian.Uint64(data[i*8:])
	}
	return nil
}
