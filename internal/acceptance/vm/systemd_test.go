//go:build linux

package vm

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
)

// systemd-coredump of the system's packages takes the kernel's core and stores it, as it
// does when systemd starts it. `filter` and `print` read the file of its store.
func TestSystemdCoredump(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine) {
		if !matrix.Whole() && m.kernel.Arch != "amd64" {
			t.Skip(matrix.Sampled)
		}
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
		// systemd-coredump writes the signal into an attribute of the file. The machine's
		// root is a tmpfs, which has attributes of users from Linux 6.6 on.
		var major, minor int
		if _, err := fmt.Sscanf(m.Release, "%d.%d", &major, &minor); err != nil {
			t.Fatalf("%s: %v", m.Release, err)
		}
		reason := "signal"
		if major > 6 || major == 6 && minor >= 6 {
			reason = "signal-sigabrt"
		}
		if want := values + values + `"selector":"@1"` + "\n" + `"program":"crasher-plain"` + "\n" + `"reason":"` + reason + `"` + "\nmain.counter = 4711\n"; out != want {
			t.Errorf("it printed\n%s\nwant\n%s", out, want)
		}
	})
}

// systemd itself runs the units of the examples: a unit that exists with the drop-in, whose
// program notifies, misses its watchdog and is captured before it ends; the unit of a new
// service, whose program panics as a user of systemd's choice; a service with a socket.
func TestSystemd(t *testing.T) {
	if !matrix.Whole() {
		t.Skip(matrix.Sampled)
	}
	const deploy = root + "/examples/deploy/"
	unit := func(name, way string) string {
		text, err := os.ReadFile(deploy + name)
		if err != nil {
			t.Fatal(err)
		}
		const listen = "--listen :8080"
		if !strings.Contains(string(text), listen) {
			t.Fatalf("%s does not start the shop", name)
		}
		return strings.ReplaceAll(string(text), listen, way)
	}
	onEach(t, func(t *testing.T, m *machine) {
		out := m.run(t, `
cp /programs/meminspect /usr/bin/meminspect
cp /programs/crasher-plain /usr/bin/shop
units=/etc/systemd/system
mkdir -p $units /tmp/systemd
for target in test sysinit basic sockets shutdown; do # nothing but the units of this test
	printf '[Unit]\nDefaultDependencies=no\n' >$units/$target.target
done
cat >$units/existing.service <<EOF
[Service]
Type=notify
WatchdogSec=3
ExecStart=/usr/bin/shop notify
EOF
cat >$units/shop.service <<'EOF'
`+unit("shop.service", "panic")+`
EOF
cat >$units/sockets.socket <<EOF
[Socket]
ListenStream=/run/sockets
EOF
cat >$units/sockets.service <<EOF
[Service]
ExecStart=/usr/bin/meminspect run --dir /var/lib/sockets -- /usr/bin/shop activated
EOF
cat >/tmp/systemd/meminspect.conf <<'EOF'
`+unit("shop.service.d/meminspect.conf", "notify")+`
EOF
cat >/tmp/systemd/init <<'EOF'
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
exec env container=test /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
EOF
unshare --fork --pid --mount --cgroup --uts --ipc --kill-child sh -e /tmp/systemd/init >/tmp/log 2>&1 & outer=$!
wait_for 30 'grep -q . /proc/$outer/task/$outer/children'
inside() { nsenter -t $(cat /proc/$outer/task/$outer/children) -a "$@"; }
wait_for 60 inside systemctl is-active test.target

inside install -D -m 644 /tmp/systemd/meminspect.conf /etc/systemd/system/existing.service.d/meminspect.conf
inside systemctl daemon-reload
inside systemctl restart existing.service
inside systemctl is-active existing.service
wait_for 60 'ls /var/lib/existing/cores/*.signal-sigabrt.core'
wait_for 60 'inside systemctl show --value -p Result existing.service | grep watchdog'
meminspect print $(one /var/lib/existing/cores/*.signal-sigabrt.core) counter

inside systemctl start sockets.socket sockets.service
program() { inside sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline | grep -q "^/usr/bin/shop activated" && echo ${p#/proc/}; done'; }
wait_for 30 'test -n "$(program)"'
inside sh -c "tr '\0' '\n' </proc/$(program)/environ | grep -x LISTEN_PID=$(program) >/dev/null && echo the socket is for the program"
inside systemctl is-active sockets.service

inside systemctl start shop.service || true
wait_for 60 'ls /var/lib/private/shop/cores/*.panic.core'
inside systemctl stop shop.service
meminspect print $(ls /var/lib/private/shop/cores/*.panic.core | head -n 1) counter
init=$(cat /proc/$outer/task/$outer/children)
kill -KILL $outer # unshare blocks SIGTERM
wait_for 60 '! test -e /proc/'${init% }'/exe' # before it, all processes in it have ended
`)
		if want := "active\nmain.counter = 4711\nthe socket is for the program\nactive\nmain.counter = 4711\n"; out != want {
			t.Errorf("it printed\n%s", out)
		}
	})
}
