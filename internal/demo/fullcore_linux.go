package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/debuggers"
)

// raiseCoreLimit allows children a core, as far as this process may.
func raiseCoreLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = limit.Max
		// Where it fails there is no kernel core, and the last line states that.
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}

// fullCores measures what others make of the same process: gdb while it
// lives, then the kernel when it is aborted.
func fullCores(ctx context.Context, s *shop, dir string) (string, error) {
	gdb, err := debuggers.Find("gdb")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gcore")
	cmd := exec.CommandContext(ctx, gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
		"-p", fmt.Sprint(s.pid()), "-ex", "generate-core-file "+path)
	out, err := cmd.CombinedOutput()
	full, statErr := os.Stat(path)
	if statErr != nil {
		return "", fmt.Errorf("gcore of process %d: %w\n%s", s.pid(), errors.Join(err, statErr), out)
	}
	os.Remove(path)
	kernel, err := kernelCore(s, dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("gcore %d bytes, %s", full.Size(), kernel), nil
}

// kernelCore aborts the process and measures the core that the kernel wrote
// into its directory, or reports why it has no core.
func kernelCore(s *shop, dir string) (string, error) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		return "kernel core not to be had: " + err.Error(), s.abort()
	}
	name := strings.TrimSpace(string(pattern))
	if err := s.abort(); err != nil {
		return "", err
	}
	if strings.HasPrefix(name, "|") || strings.Contains(name, "/") {
		return fmt.Sprintf("kernel core not to be had: core_pattern is %q", name), nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		var info unix.Stat_t
		if !isCore(file) || unix.Stat(file, &info) != nil {
			continue
		}
		return fmt.Sprintf("kernel core %d bytes (%d on disk)", info.Size, info.Blocks*512), nil
	}
	return fmt.Sprintf("kernel core not to be had: none was written under core_pattern %q", name), nil
}

// isCore reports whether a file that the demo did not write is an ELF core.
func isCore(path string) bool {
	if base := filepath.Base(path); base == "shop" || base == "shop.core" {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 18)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	const typeCore = 4
	return string(head[:4]) == "\x7fELF" && head[16] == typeCore
}
