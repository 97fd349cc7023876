//go:build linux

package vm

import (
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/vm"
)

// The kernel's own ramoops. It shows the dump of a store of package pstore that is in its
// memory. Over a panic and a warm reset, `pstore show` reads from the memory what the
// kernel wrote, as the kernel shows it after the restart.
func TestPstore(t *testing.T) {
	if !matrix.Whole() {
		t.Skip(matrix.Sampled) // it boots twice
	}
	for _, s := range systems() {
		reserved, address := "memmap=1M$0x1e000000", "0x1e000000"
		if s.arch == "arm64" {
			reserved, address = "mem=1023M", "0x7ff00000" // memory starts at 1 GiB
		}
		k := s.kernel(t)
		t.Run(k.Name(), func(t *testing.T) {
			m := start(t, s, vm.Config{Memory: 1024, Reboots: true, KernelArgs: []string{reserved, "iomem=relaxed"}})
			defer m.Close()
			load := `
address=` + address + `
load() {
	insmod /modules/reed_solomon.ko
	insmod /modules/ramoops.ko mem_address=$address mem_size=0x20000 record_size=$1 ecc=0
}
`
			out := m.run(t, load+`
rm -rf /tmp/b && mkdir /tmp/b
backends /tmp/b >/tmp/b/out 2>&1 &
wait_for 60 grep -q ready /tmp/b/out
physical write $address 131072 /tmp/b/pstore
load 8192
cat /sys/fs/pstore/dmesg-ramoops-*
rm /sys/fs/pstore/*
ls /sys/fs/pstore
rmmod ramoops
# With larger records, so that the kernel's fit.
physical write $address 131072 /dev/null
insmod /modules/ramoops.ko mem_address=$address mem_size=0x20000 record_size=65536 ecc=0
`)
			if out != "asked\nall is well\n" {
				t.Errorf("the kernel shows of our store:\n%q", out)
			}
			_, err := m.Run(vm.Command{Args: []string{"sh", "-c", "echo a line of the test >/dev/kmsg; echo c >/proc/sysrq-trigger"}})
			if err == nil {
				t.Fatal("the kernel did not panic")
			}
			if !strings.Contains(m.Console(), "sysrq triggered crash") {
				t.Errorf("the console:\n%s", m.Console())
			}
			out = m.run(t, load+`
physical read $address 131072 /tmp/area
load 65536
meminspect pstore show --list /tmp/area
echo ---
meminspect pstore show /tmp/area
echo ---
cat $(one /sys/fs/pstore/dmesg-ramoops-*)
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
