//go:build linux

package vm

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/matrix"
)

// A shortage is a way to run out of memory in a control group of version 2. Its script
// starts "run" in the group $g with the directory /tmp/cores, and ends what does not
// end by itself.
type shortage struct {
	name, script string
	// detail is in the record of a core that was captured before a kill.
	detail string
	// first, if not "", may be there instead, but not in all of many rounds.
	first string
	// alone: the kernel kills nothing, so only the core before it counts.
	alone bool
	// must: a core with values is in the directory after the next start, whatever the
	// kernel kills.
	must bool
}

// inside starts a command in a group.
const inside = `
in_group() { group=$1; shift; sh -c 'echo 0 >'$group'/cgroup.procs; exec "$@"' sh "$@"; }
supervise() { in_group $g meminspect run ${flags:-} --json --report /tmp/report --dir /tmp/cores -- crasher-plain "$@"; }
program() { grep -o '"pid":"*[0-9]*' /tmp/report | head -n 1 | grep -o '[0-9]*'; }
end_after_core() {
	wait_for 150 'ls /tmp/cores/*.core'
	kill -KILL $(program) || true
}
`

// usedUp is in the record of a core that was captured because the limit was near.
const usedUp = "bytes used (cgroup"

var shortages = []shortage{
	{name: "memory.max", script: `echo 64M >$g/memory.max; supervise grow`, detail: usedUp},
	{name: "sibling", script: `
echo 64M >$g/memory.max
echo +memory >$g/cgroup.subtree_control
parent=$g
mkdir $parent/ours $parent/others
g=$parent/ours
supervise wait & supervisor=$!
wait_for 60 'grep -q started /tmp/report'
in_group $parent/others crasher-plain grow || true
# A core is published after the capture.
wait_for 90 'ls /tmp/cores/*.core || ! kill -0 $supervisor'
kill -KILL $(program) || true
wait $supervisor || true
g=$parent
`, detail: usedUp},
	{name: "memory.high", script: `echo 64M >$g/memory.high; supervise grow & end_after_core; wait || true`, detail: "for want of memory", alone: true},
	{name: "oom.group", script: `echo 64M >$g/memory.max; echo 1 >$g/memory.oom.group; supervise grow`, detail: usedUp},
	{name: "oom.group with --snapshot-file", script: `echo 64M >$g/memory.max; echo 1 >$g/memory.oom.group; flags="--snapshot=500ms --snapshot-file" supervise grow`, detail: usedUp, must: true},
	{name: "PSI", script: `echo 64M >$g/memory.max; supervise thrash /dev/vda & end_after_core; wait || true`, detail: "for want of memory", first: usedUp, alone: true}, // pages of the file in use count
	{name: "GOMEMLIMIT", script: `GOMEMLIMIT=48MiB supervise grow & end_after_core; wait || true`, detail: "(GOMEMLIMIT)", alone: true},
}

// A program that runs out of memory leaves a core from before the kill, or a record
// that names the OOM killer, and never another cause. If the OOM killer ends the supervisor
// too, before it has published a core, only the next start reports an end, of which it does
// not know the cause: "lost". With memory.oom.group the kernel always ends both, and only
// --snapshot-file leaves a core each time. A round takes 6 to 30 seconds on an emulated
// processor: one system has many, the others one each.
func TestMemory(t *testing.T) {
	all := map[string]int{}
	onEach(t, func(t *testing.T, m *machine) {
		rounds := 1
		if m == running[systems()[0]] {
			rounds = matrix.Choose(1, 20)
		}
		for _, swap := range []bool{false, true} {
			for i, s := range shortages {
				if !matrix.Whole() && (i > 0 || swap || m.kernel.Arch != "amd64") {
					continue
				}
				name := s.name
				if swap {
					name += " with swap"
				}
				t.Run(name, func(t *testing.T) {
					if swap {
						m.run(t, "{ mkswap /dev/vdb; swapon /dev/vdb; } >/tmp/log 2>&1")
						defer m.run(t, "swapoff /dev/vdb")
					}
					outcomes, detailed := map[string]int{}, 0
					for range rounds {
						outcome, detail := checkShortage(t, m, s)
						outcomes[outcome]++
						all[outcome]++
						if detail {
							detailed++
						}
					}
					if t.Logf("%v", outcomes); s.first != "" && rounds > 1 && detailed == 0 {
						t.Errorf("no core has %q", s.detail)
					}
				})
			}
		}
	})
	t.Logf("%v", all)
}

var ended = regexp.MustCompile(`(?m)^hold:      ended by its limit before the capture did.*\n(oom-kill: .*\n)?memory:    0 bytes captured(.*\n)*?left out:  all memory: .*(it has ended, and its memory is gone|context deadline exceeded)`)

// checkShortage returns what came of one program, and whether a core has the detail.
func checkShortage(t *testing.T, m *machine, s shortage) (outcome string, detail bool) {
	t.Helper()
	out, status := m.tryWithin(t, 4*time.Minute, inside+fmt.Sprintf(`
rm -rf /tmp/cores /tmp/report
touch /tmp/report
top=/sys/fs/cgroup/shortage
remove() {
	[ ! -e $top ] || { echo 1 >$top/cgroup.kill; for d in $top/*/ $top; do [ ! -d $d ] || wait_for 30 rmdir $d; done; }
}
remove
mkdir $top
g=$top
{
%s
} >/tmp/log 2>&1 || true
echo kills $(grep -w oom_kill $top/memory.events)
grep -q '"ended"' /tmp/report || echo supervisor killed
meminspect last --dir /tmp/cores crasher-plain || true
remove
echo the next start: $(meminspect run --dir /tmp/cores -- crasher-plain last 2>>/tmp/log)
for core in /tmp/cores/*.core; do
	[ -e $core ] || continue
	echo core $core
	meminspect info $core
	meminspect print $core counter customer 2>&1 || true
done
`, s.script))
	before := strings.Contains(out, ".memory.core\n")
	// The kernel may take the memory back during the capture. A core of what is left would
	// have the initial values of variables.
	overtaken := before && strings.Contains(out, "the kernel has taken the memory of the program back")
	snapshot := strings.Contains(out, ".lost.core\n")
	recorded := strings.Contains(out, "\ncrasher-plain: oom-kill")
	byOther := strings.Contains(out, "\ncrasher-plain: signal-sigkill")
	supervisorKilled := strings.Contains(out, "supervisor killed\n")
	kills := !strings.Contains(out, "kills oom_kill 0\n")
	// The next start reports an end without its cause exactly if no supervisor recorded one.
	lost := strings.Contains(out, "the next start: {lost")
	// Each core with memory has the values.
	cores := strings.Count(out, "\ncore /tmp/cores/")
	if overtaken {
		cores--
	}
	// On a busy machine the hold at the end may not last until the capture. The record
	// states it.
	cores -= len(ended.FindAllString(out, -1))
	if got := strings.Count(out, values); got != cores {
		t.Errorf("%d of %d cores have the values", got, cores)
	}
	core := before && !overtaken
	detail = strings.Contains(out, s.detail)
	if core && !detail && (s.first == "" || !strings.Contains(out, s.first)) {
		t.Errorf("the core before the kill does not have %q", s.detail)
	}
	switch {
	case status != 0:
		t.Errorf("exit status %d", status)
	case s.alone && (!core || kills || supervisorKilled || !byOther):
		t.Error("want a core before a kill that is not the kernel's")
	case s.must && !core && !snapshot:
		t.Error("neither a core before the kill nor one of a snapshot")
	case !s.alone && !kills:
		t.Error("the kernel counts no kill")
	case supervisorKilled != lost:
		t.Errorf("the supervisor was killed: %v; the next start reports an unknown end: %v", supervisorKilled, lost)
	case !core && !snapshot && !recorded && !lost:
		t.Error("neither a core before the kill nor a record")
	case strings.Contains(out, ".oom-kill.core\n") && !recorded && !lost:
		t.Error("a core of the kill without a record of it")
	case (byOther || strings.Contains(out, ".signal-sigkill.core\n")) && !s.alone && s.name != "sibling": // whose script sends it
		t.Error("the record of a kill does not name the OOM killer")
	}
	if t.Failed() {
		t.Fatalf("it printed:\n%s", out)
	}
	switch {
	case core:
		return coreBefore, detail
	case snapshot:
		return coreOfSnapshot, detail
	case recorded:
		return recordOfKill, detail
	default:
		return lostEnd, detail
	}
}

// What comes of a program, in the order of what it is worth.
const (
	coreBefore     = "core before the kill"
	coreOfSnapshot = "core of a snapshot"
	recordOfKill   = "record of the kill"
	lostEnd        = "lost"
)
