//go:build linux

package vm

import (
	"regexp"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
)

// systemd-coredump of the system's packages takes the kernel's core and stores it, as it
// does when systemd starts it. `filter` and `print` read the file of its store.
func TestSystemdCoredump(t *testing.T) {
	if !matrix.Whole() {
		t.Skip(matrix.Sampled)
	}
	onEach(t, func(t *testing.T, m *machine) {
		out := m.run(t, `
store=/var/lib/systemd/coredump
mkdir -p /run/systemd $store
rm -f $store/* /run/systemd/coredump
systemd-socket-activate --seqpacket --accept -l /run/systemd/coredump /lib/systemd/systemd-coredump >/tmp/log 2>&1 & listener=$!
wait_for 30 test -S /run/systemd/coredump
# As systemd's sysctl.d/50-coredump.conf has it.
echo '|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h' >/proc/sys/kernel/core_pattern
GOTRACEBACK=crash crasher-plain panic 2>/dev/null && fail "it ended well"
echo core >/proc/sys/kernel/core_pattern
# The final name appears when the file is whole.
wait_for 60 'ls $store/core.crasher-plain.0.*.zst'
kill $listener
core=$(one $store/core.crasher-plain.0.*.zst)
meminspect filter -o /tmp/small.core $core >>/tmp/log 2>&1
meminspect print /tmp/small.core counter customer
meminspect print $core counter customer
meminspect list --json --dir $store | grep -o '"selector":"@1"\|"program":"[^"]*"\|"reason":"[^"]*"'
meminspect print --dir $store crasher-plain@1 counter
`)
		// The machine's root is a tmpfs, which has attributes of users from Linux 6.6 on.
		listed := regexp.MustCompile(`\A` + regexp.QuoteMeta(values+values) + `"selector":"@1"\n"program":"crasher-plain"\n"reason":"signal(-sigabrt)?"\nmain.counter = 4711\n\z`)
		if !listed.MatchString(out) {
			t.Errorf("it printed\n%s", out)
		}
	})
}
