//go:build linux

package vm

import (
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
)

// handler installs the command as the kernel's handler of cores, with the flags in
// $flags, runs the function "crashes" and restores the setting.
const handler = `
handled() {
	rm -rf /tmp/cores; mkdir -p /tmp/cores
	meminspect core-handler install --dir ${dir:-/tmp/cores} --before /tmp/before --limit=0 --limit-all=0 ${flags:-}
	crashes
	meminspect core-handler uninstall --before /tmp/before
}
die() { GOTRACEBACK=crash "$@" crasher-plain panic 2>/dev/null && fail "it ended well" || true; }
cores() { set -- /tmp/cores/*.core; [ -e "$1" ] && echo $# || echo 0; }
` + handlers + `
whole() { for c in /tmp/cores/*.core; do meminspect print $c counter customer; done; }
`

// handlers is for scripts: handler_pid prints the processes that the kernel started as
// handlers.
const handlers = `
handler_pid() { grep -lzsx 'core-handle[r]' /proc/[0-9]*/cmdline | cut -d/ -f3; }
`

// Real crashes of processes of several kinds, through the kernel's pipe.
func TestCorePattern(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"root", `crashes() { die env; wait_for 60 '[ $(cores) = 1 ]'; }
handled >/tmp/log 2>&1; whole`, values},
		{"user", `crashes() { die ` + asNobody + `; wait_for 60 '[ $(cores) = 1 ]'; }
handled >/tmp/log 2>&1; whole; stat -c '%a %U' /tmp/cores/*.core`, values + "640 root\n"},
		{"user namespace", `crashes() { die ` + asNobody + ` unshare --user --map-root-user --; wait_for 60 '[ $(cores) = 1 ]'; }
handled >/tmp/log 2>&1; whole`, values},
		{"namespaces of a container", `crashes() {
	GOTRACEBACK=crash unshare --mount --pid --net --uts --ipc --fork --kill-child --mount-proc sh -c 'crasher-plain panic; exit 3' 2>/dev/null || true
	wait_for 60 '[ $(cores) = 1 ]'
}
handled >/tmp/log 2>&1; whole`, values},
		{"full disk", `
mkdir -p /tmp/full; umount /tmp/full 2>/dev/null || true; mount -t tmpfs -o size=64k tmpfs /tmp/full
dir=/tmp/full
flags=--free=0
dmesg --clear
crashes() { die env; wait_for 60 'dmesg | grep -q "meminspect: core-handler: .*no space left on device"'; wait_for 60 '[ -z "$(handler_pid)" ]'; }
handled >/tmp/log 2>&1
# No part of a core stays, of which the name would begin with a dot.
ls -A /tmp/full | grep -vxF -e .lock -e .limits.json || true
umount /tmp/full`, ""},
		{"core_pipe_limit", `
for limit in 0 1 4; do
	echo $limit >/proc/sys/kernel/core_pipe_limit
	crashes() {
		for n in 1 2 3 4; do die env & done
		wait
		wait_for 60 '[ $(cores) -ge 1 ]'
		wait_for 60 '[ -z "$(handler_pid)" ]'
	}
	handled >/tmp/log 2>&1
	# With 0 there is no limit; with a limit the kernel drops some.
	case $limit in 0|4) [ $(cores) = 4 ] || fail "limit $limit: $(cores) cores";; esac
	for c in /tmp/cores/*.core; do meminspect print $c counter; done | sort -u
done
echo 0 >/proc/sys/kernel/core_pipe_limit`, strings.Repeat("main.counter = 4711\n", 3)},
		{"handler killed", `
crashes() {
	kills=0
	# From soon after its start to its end, which takes a tenth of a second or several.
	for later in 0 0.01 0.02 0.03 0.05 0.07 0.1 0.2 0.3 0.5 0.7 0.9 0 0.01 0.02 0.03 0.05 0.07 0.1 0.2 0.3 0.5 0.7 0.9; do
		die env & crashing=$!
		until [ -n "$(handler_pid)" ] || ! kill -0 $crashing; do :; done
		sleep $later
		for h in $(handler_pid); do kill -KILL $h && kills=$((kills + 1)) || true; done
		wait $crashing || true
	done
	wait_for 60 '[ -z "$(handler_pid)" ]'
}
handled >/tmp/log 2>&1
[ $kills -ge 5 ] || fail "$kills handlers were killed"
# Each core is whole. What was being written has no final name, and the next handlers
# remove it when it is old.
for c in /tmp/cores/*.core; do
	[ ! -e $c ] || meminspect print $c counter >/dev/null || fail "$c is not whole"
done
ls -A /tmp/cores | grep -v -e '\.core$' -e '^\.lock$' -e '^\.limits\.json$' -e '\.partial-[0-9]*$' || true`, ""},
	}
	onEach(t, func(t *testing.T, m *machine) {
		for i, c := range cases {
			if !matrix.Whole() && (i != 1 || m.kernel.Arch != "amd64") {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				if out := m.run(t, handler+c.script); out != c.want {
					t.Errorf("it printed\n%s\nwant\n%s", out, c.want)
				}
			})
		}
	})
}
