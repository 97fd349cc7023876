//go:build linux

package vm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// values are what the annotated variables of the program crasher have.
const values = `main.counter = 4711
main.customer = "Ada Lovelace"
`

// checkDebuggers checks that Delve and gdb of the host show the values of a core of the
// program crasher.
func (m *machine) checkDebuggers(t *testing.T, core string, frame string) {
	t.Helper()
	exe := m.program(t, "crasher-plain")
	got := debuggers.MustDelve(t, exe, core, "main.counter", "main.customer", "main.orders[2].Buyer")
	if strings.Join(got, " ") != `4711 "Ada Lovelace" "buyer 2"` {
		t.Errorf("Delve prints %q", got)
	}
	if got := debuggers.MustGDB(t, exe, core, "'main.counter'", "'main.customer'"); got[0] != "4711" || !strings.HasSuffix(got[1], `"Ada Lovelace"`) {
		t.Errorf("gdb prints %q", got)
	}
	if frame == "" {
		return
	}
	if bt := debuggers.DelveSays(t, exe, core, "goroutines -t 60"); !strings.Contains(bt, frame) {
		t.Errorf("%s is in no trace of Delve:\n%s", frame, bt)
	}
}

// A living program is captured: every region, goroutine and thread. It lives on. The
// kernel's core of the same process, filtered, has the same regions at the same
// addresses, the same values and the same goroutines.
func TestCaptureOfALivingProgram(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine) {
		for program, args := range map[string]string{"crasher-plain": "wait", "kinds": ""} {
			t.Run(program, func(t *testing.T) {
				if program == "kinds" && m.kernel.Arch == "amd64" && !matrix.Whole() {
					t.Skip(matrix.Sampled)
				}
				out := m.run(t, "program='"+program+" "+args+"'"+`
rm -rf /tmp/live && mkdir -p /tmp/live && cd /tmp/live
echo /tmp/live/kernel.core >/proc/sys/kernel/core_pattern
ulimit -c unlimited
mkfifo in
GOTRACEBACK=crash $program <in >out 2>err & pid=$!
exec 3>in
wait_for 30 grep -q ready out
meminspect capture --stop --depth 100 -o capture.core $pid
kill -0 $pid
kill -ABRT $pid
wait $pid || true
echo core >/proc/sys/kernel/core_pattern
meminspect filter --depth 100 -o filter.core kernel.core
for f in capture filter; do
	meminspect print $f.core >$f.values
	meminspect regions $f.core >$f.regions
	meminspect goroutines --all $f.core | grep -o '^goroutine [0-9]*' | sort >$f.goroutines
done
for what in values regions goroutines; do
	diff capture.$what filter.$what >differences || fail "$what differ: $(head -50 differences)"
done
wc -l capture.values capture.regions capture.goroutines
`)
				t.Log(out)
				incomplete := 0
				if program == "kinds" {
					incomplete = kinds.Incomplete
				}
				all := regexp.MustCompile(`(?m)^(\d+) of (\d+) regions complete, (\d+) of (\d+) goroutines, (\d+) of (\d+) threads`).FindAllStringSubmatch(out, -1)
				for _, n := range all {
					captured, _ := strconv.Atoi(n[1])
					regions, _ := strconv.Atoi(n[2])
					if regions-captured != incomplete || n[3] != n[4] || n[5] != n[6] {
						t.Errorf("not all is captured, want %d incomplete regions: %s", incomplete, n[0])
					}
				}
				if len(all) != 2 {
					t.Errorf("%d summaries", len(all))
				}
				captured, filtered := m.fetch(t, "/tmp/live/capture.core"), m.fetch(t, "/tmp/live/filter.core")
				if program == "crasher-plain" {
					m.checkDebuggers(t, captured, "main.wait")
					m.checkDebuggers(t, filtered, "main.wait")
					return
				}
				m.checkSame(t, m.program(t, program), captured, filtered)
			})
		}
	})
}

// unresolved are the interface variables of the program kinds whose dynamic types have no
// name. Debug information lacks these types, so Delve cannot print the values. It is
// the same of a core with all memory.
var unresolved = map[string]bool{"main.vAnyArr1": true, "main.vAnyBig": true, "main.vDynStruct": true, "main.vDynMap": true}

// checkSame checks that Delve prints the same of all variables of the program kinds, each
// whole, that their statuses are those of a whole capture, and that `print` shows the
// values of the source.
func (m *machine) checkSame(t *testing.T, exe, one, other string) {
	t.Helper()
	core, err := inspect.Open(one)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	printed := map[string]string{}
	all := m.run(t, "meminspect print --depth 200 /tmp/live/capture.core 2>&1")
	starts := regexp.MustCompile(`(?m)^main\.(\w+) = `).FindAllStringSubmatchIndex(all, -1)
	for i, at := range starts {
		end := len(all)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		printed[all[at[2]:at[3]]] = kinds.OneLine(strings.TrimSuffix(all[at[1]:end], "\n"))
	}
	var exprs []string
	for i := range core.Regions {
		r := &core.Regions[i]
		if r.Package != "kinds" {
			continue
		}
		exprs = append(exprs, "main."+r.Expr)
		if want := kinds.Status(r.Expr, true); r.Status != want {
			t.Errorf("%s: %v, want %v", r.Expr, r.Status, want)
		}
	}
	for name, text := range kinds.Truths {
		if printed[name] != text {
			t.Errorf("%s = %s\nwant %s", name, printed[name], text)
		}
	}
	if len(exprs) < 200 {
		t.Errorf("%d variables", len(exprs))
	}
	a, b := debuggers.MustDelve(t, exe, one, exprs...), debuggers.MustDelve(t, exe, other, exprs...)
	for i := range exprs {
		if a[i] != b[i] {
			t.Errorf("%s:\n%.500s\n%.500s", exprs[i], a[i], b[i])
		}
		if got := strings.Contains(a[i], "unreadable") || strings.Contains(a[i], "could not"); got != unresolved[exprs[i]] {
			t.Errorf("%s: Delve prints %.500s", exprs[i], a[i])
		}
	}
}

// The system calls that goroutines are in are those that the program has, stopped or not.
func TestSystemCalls(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine) {
		out := m.run(t, `
rm -rf /tmp/calls && mkdir -p /tmp/calls && cd /tmp/calls
mkdir -p /dev/shm
system() { set -- $(findmnt -n -o FSTYPE,TARGET -T $1 | tail -n 1); echo "$1, mounted at $2"; }
systemcalls /tmp/calls/table "$(system /tmp/calls)" "$(system /dev/shm)" >out 2>err & pid=$!
wait_for 60 grep -q ready out
for how in no-stop stop; do
	meminspect capture --$how -q -o $how.core $pid
	meminspect waits ./$how.core >waits
	cut -d' ' -f3- table | while read -r call; do
		grep -qxF "$call" waits || fail "$how: no line '$call' in: $(cat waits)"
		echo "$how: $call"
	done
done
kill $pid
`)
		if n := strings.Count(out, "stop: system call "); n != 16 {
			t.Errorf("%d of 16 calls in\n%s", n, out)
		}
	})
}

// Each cause of death leaves one core, with its reason and the values.
func TestCauses(t *testing.T) {
	causes := []struct{ way, reason, frame string }{
		{"panic", "panic", "runtime.gopanic"},
		{"sigkill", "signal-sigkill", "main.suicide"}, // seen by the exit stop alone
		{"nil", "nil-dereference", "runtime.sigpanic"},
		{"throw", "fatal-error", "main."},
		{"map", "concurrent-map", "main.concurrentMapWrites"},
		{"stack", "stack-overflow", "main.recurse"},
		{"oom", "out-of-memory", "main.outOfMemory"},
		{"deadlock", "deadlock", "runtime."},
		{"sigquit", "signal-sigquit", "main.suicide"},
		{"sigterm", "signal-sigterm", "main.suicide"},
		{"exit3", "exit-3", "os.Exit"},
	}
	onEach(t, func(t *testing.T, m *machine) {
		for i, c := range causes {
			if i >= 2 && !matrix.Whole() {
				break
			}
			t.Run(c.way, func(t *testing.T) {
				out := m.run(t, fmt.Sprintf(`
rm -rf /tmp/cores
cores=/tmp/cores
until_core %[1]s meminspect run --on=sigterm --dir /tmp/cores -- crasher-plain %[1]s >/tmp/log 2>&1
core=$(one /tmp/cores/*.core)
echo $core
meminspect print $core counter customer
cp $core /tmp/core
`, c.way))
				if !strings.Contains(out, "."+c.reason+".core\n"+values) {
					t.Errorf("want the reason %s and the values; got\n%s", c.reason, out)
				}
				m.checkDebuggers(t, m.fetch(t, "/tmp/core"), c.frame)
			})
		}
	})
}

// The other triggers: a missed heartbeat, a request from outside and from inside,
// snapshots, the kernel's handler of cores.
func TestTriggers(t *testing.T) {
	triggers := []struct{ name, script, reason, frame string }{
		{"core-handler", `
meminspect core-handler install --dir /tmp/cores --before /tmp/before
GOTRACEBACK=crash crasher-plain panic 2>/dev/null && fail "it ended well"
wait_for 30 'ls /tmp/cores/*.core'
meminspect core-handler uninstall --before /tmp/before`, "signal-sigabrt", "runtime.gopanic"},
		{"hang", `meminspect run --on-hang=kill --dir /tmp/cores -- crasher-plain hang && fail "it ended well"`, "hang", "main.hang"},
		{"trigger", `
meminspect run --except=exit-5 --dir /tmp/cores -- crasher-plain signals >/tmp/out & supervisor=$!
wait_for 30 grep -q ready /tmp/out
meminspect trigger --dir /tmp/cores --reason "by hand"
kill $supervisor
wait $supervisor && fail "it ended well"`, "by-hand", "main.signals"},
		{"asked by the program", `meminspect run --dir /tmp/cores -- crasher-plain snapshot`, "order-lost", "main.snapshot"},
		{"last snapshot", `
meminspect run --exit-stop=off --snapshot=500ms --json --report /tmp/report --dir /tmp/cores -- crasher-plain obey >/tmp/out & supervisor=$!
wait_for 30 "grep -q kept /tmp/report"
wait_for 30 grep -q ready /tmp/out
sleep 2 # more than the interval: the next snapshot is of the program that is ready
kill -KILL $(grep -o 'ready [0-9]*' /tmp/out | cut -d' ' -f2)
wait $supervisor && fail "it ended well"`, "signal-sigkill", "main.obey"},
	}
	onEach(t, func(t *testing.T, m *machine) {
		for i, c := range triggers {
			if i >= 1 && !matrix.Whole() {
				break
			}
			t.Run(c.name, func(t *testing.T) {
				out := m.run(t, "rm -rf /tmp/cores /tmp/report /tmp/out\n{\n"+c.script+`
} >/tmp/log 2>&1
core=$(one /tmp/cores/*.core)
echo $core
meminspect print $core counter customer
cp $core /tmp/core
`)
				if !strings.Contains(out, "."+c.reason+".core\n"+values) {
					t.Errorf("want the reason %s and the values; got\n%s", c.reason, out)
				}
				m.checkDebuggers(t, m.fetch(t, "/tmp/core"), c.frame)
			})
		}
	})
}

// A program writes a core of itself, and another keeps a minidump table, of which the
// files are exported while it lives. Both debuggers of the host find the values that
// the programs printed.
func TestOwnCores(t *testing.T) {
	onEach(t, func(t *testing.T, m *machine) {
		t.Run("self-written", func(t *testing.T) {
			printed := m.run(t, `rm -f /tmp/own; selfcore /tmp/own strict`)
			m.checkPrinted(t, "selfcore", "/tmp/own", printed, 10)
		})
		t.Run("minidump", func(t *testing.T) {
			printed := m.run(t, `
rm -rf /tmp/mini && mkdir -p /tmp/mini/files
backends /tmp/mini >/tmp/mini/out 2>/dev/null & pid=$!
wait_for 60 grep -q ready /tmp/mini/out
grep -v ready /tmp/mini/out
{
	meminspect minidump export --toc /tmp/mini/minidump /tmp/mini/files
	meminspect minidump assemble /tmp/mini/files -o /tmp/mini/core
	kill $pid
} >/tmp/log 2>&1
`)
			m.checkPrinted(t, "backends", "/tmp/mini/core", printed, 4)
		})
	})
}

// checkPrinted checks that both debuggers show the values that a program printed, each
// on a line with its expression.
func (m *machine) checkPrinted(t *testing.T, name, file, printed string, least int) {
	t.Helper()
	core := m.fetch(t, file)
	var exprs, quoted, want []string
	for line := range strings.Lines(printed) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if f[0] == "--" { // what follows is in no core
			break
		}
		if len(f) < 2 {
			t.Fatalf("the program printed %q", printed)
		}
		// gdb takes a package's dot for a member unless the name is quoted.
		variable, rest := f[0], ""
		if cut := strings.IndexAny(f[0][len("main."):], ".["); cut >= 0 {
			variable, rest = f[0][:len("main.")+cut], f[0][len("main.")+cut:]
		}
		exprs, quoted, want = append(exprs, f[0]), append(quoted, "'"+variable+"'"+rest), append(want, f[1])
	}
	if len(exprs) < least {
		t.Fatalf("the program printed %q", printed)
	}
	exe := m.program(t, name)
	delve, gdb := debuggers.MustDelve(t, exe, core, exprs...), debuggers.MustGDB(t, exe, core, quoted...)
	for i, expr := range exprs {
		// gdb shows a byte as a character too.
		if shown, _, _ := strings.Cut(gdb[i], " "); delve[i] != want[i] || shown != want[i] {
			t.Errorf("%s is %s in Delve and %s in gdb, want %s", expr, delve[i], gdb[i], want[i])
		}
	}
}
