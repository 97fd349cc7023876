//go:build linux

package vm

import (
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/vm"
)

// The kernel's own ramoops, over a panic and a warm reset: `pstore show` reads from the
// memory what the kernel wrote, and shows it as the kernel does after the restart.
func TestPstore(t *testing.T) {
	for i, s := range systems() {
		if i > 0 && !matrix.Whole() {
			break
		}
		reserved, address, megabyte := "memmap=1M$0x1e000000", "0x1e000000", "480"
		if s.arch == "arm64" {
			reserved, address, megabyte = "mem=1023M", "0x7ff00000", "2047" // memory starts at 1 GiB
		}
		k := vm.Need(t, s.arch, s.line)
		t.Run(k.Name(), func(t *testing.T) {
			m := start(t, s, vm.Config{
				Memory: 1024, Reboots: true,
				KernelArgs: []string{reserved, "iomem=relaxed"},
				Modules:    []string{"reed_solomon", "ramoops,mem_address=" + address + ",mem_size=0x100000,record_size=0x20000,ecc=0"},
			})
			defer m.Close()
			if out := m.run(t, "ls /sys/fs/pstore"); out != "" {
				t.Fatalf("before the panic: %s", out)
			}
			_, err := m.Run(vm.Command{Args: []string{"sh", "-c", "echo a line of the test >/dev/kmsg; echo c >/proc/sysrq-trigger"}})
			if err == nil {
				t.Fatal("the kernel did not panic")
			}
			if !strings.Contains(m.Console(), "sysrq triggered crash") {
				t.Errorf("the console:\n%s", m.Console())
			}
			out := m.run(t, `
kernel=$(one /sys/fs/pstore/dmesg-ramoops-0)
dd if=/dev/mem of=/tmp/area bs=1M skip=`+megabyte+` count=1 2>/dev/null
meminspect pstore show --list /tmp/area
echo ---
meminspect pstore show /tmp/area
echo ---
cat $kernel
`)
			parts := strings.Split(out, "---\n")
			if len(parts) < 3 {
				t.Fatalf("it printed\n%s", out)
			}
			for _, line := range []string{"a line of the test", "sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash"} {
				if !strings.Contains(parts[1], line) || !strings.Contains(parts[2], line) {
					t.Errorf("%q: in pstore show %v, in the kernel's file %v", line, strings.Contains(parts[1], line), strings.Contains(parts[2], line))
				}
			}
			if !regexp.MustCompile(`(?m)^Panic#1 Part1$`).MatchString(parts[2]) {
				t.Errorf("the kernel's file:\n%.300s", parts[2])
			}
			if t.Failed() {
				t.Logf("%.3000s", out)
			}
		})
	}
}
