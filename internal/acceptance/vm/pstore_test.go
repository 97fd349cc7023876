//go:build linux

package vm

import (
	"encoding/json"
	"errors"
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
	for _, s := range systems()[:matrix.Choose(1, len(systems()))] { // it boots twice
		reserved, address := "memmap=1M$0x1e000000", "0x1e000000"
		if s.arch == "arm64" {
			reserved, address = "mem=1023M", "0x7ff00000" // memory starts at 1 GiB
		}
		t.Run(s.name(), func(t *testing.T) {
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
backends /tmp/b >/tmp/b/out 2>&1 9>&- &
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
			if !errors.Is(err, vm.ErrPanic) || !strings.Contains(err.Error(), "sysrq triggered crash") {
				t.Fatalf("the kernel did not panic: %v", err)
			}
			out = m.run(t, load+`
physical read $address 131072 /tmp/area
load 65536
meminspect pstore show --list /tmp/area
echo ---
meminspect pstore show --json /tmp/area
echo ---
ls /sys/fs/pstore
echo ---
cat $(one /sys/fs/pstore/dmesg-ramoops-*)
`)
			parts := strings.SplitN(out, "---\n", 4)
			if len(parts) < 4 {
				t.Fatalf("it printed\n%s", out)
			}
			list, shown, files, kernels := parts[0], parts[1], parts[2], parts[3]
			if dumps := regexp.MustCompile(`(?m)^zone \d+ at \d+: dump of \S+ \S+ UTC, compressed, `).FindAllString(list, -1); len(dumps) != 1 || strings.Count(list, ": empty, ") != strings.Count(list, "\n")-1 {
				t.Errorf("the list does not have one dump:\n%s", list)
			}
			if files != "dmesg-ramoops-0\n" {
				t.Errorf("the kernel's files:\n%s", files)
			}
			var dumps []string
			for line := range strings.Lines(shown) {
				var zone struct{ Kind, Text string }
				if err := json.Unmarshal([]byte(line), &zone); err != nil {
					t.Fatalf("%v: %.300s", err, line)
				}
				if zone.Kind == "dump" {
					dumps = append(dumps, zone.Text)
				}
			}
			if len(dumps) != 1 || dumps[0] != kernels {
				t.Errorf("%d dumps; the texts of pstore show and of the kernel's file differ:\n%s\n---\n%s", len(dumps), strings.Join(dumps, "---\n"), kernels)
			}
			for _, line := range []string{`\APanic#1 Part1$`, `a line of the test$`, `sysrq: Trigger a crash$`, `Kernel panic - not syncing: sysrq triggered crash$`} {
				if !regexp.MustCompile(`(?m)` + line).MatchString(kernels) {
					t.Errorf("the kernel's file has no line %q", line)
				}
			}
		})
	}
}
