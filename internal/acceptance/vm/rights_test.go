//go:build linux

package vm

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/vm"
)

// What a capture may do under each rule of the kernel.
const (
	whole  = "core"   // with all values
	record = "record" // a core without memory whose `info` has the reason
	event  = "event"  // only an event, and the line of `last`
	none   = "none"   // nothing: the kernel makes no core
)

// A right is a rule of the kernel, and what it leaves of each way to capture.
type right struct {
	name  string
	setup string // commands of root before it
	as    string // put before each command
	exe   string // program, "" = crasher-plain
	// What `run` makes of a panic and of an end by SIGKILL, which only the exit stop sees;
	// of `trigger`; `capture` of a process that it did not start; and `core-handler`, which
	// root installs, of a panic without `run`.
	panic, sigkill, trigger, capture, handler string
	// doctor is the name of the check that fails, "" = none.
	doctor string
}

const asNobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --"

// yama sets ptrace_scope.
func yama(scope int) string {
	return fmt.Sprintf("echo %d >/proc/sys/kernel/yama/ptrace_scope\n", scope)
}

// contained defines a command that runs its arguments under the seccomp profile of
// container runtimes, with the namespaces and the files of the machine but for mounts.
func contained(t *testing.T, arch string) string {
	t.Helper()
	config := ociConfig(t, arch)
	p := process(config)
	p["args"] = []string{"@ARGS@"}
	p["user"] = map[string]any{"uid": 65534, "gid": 65534}
	p["env"] = []string{"PATH=/programs:/usr/bin:/bin", "GOTRACEBACK=@TRACEBACK@"}
	config["root"] = map[string]any{"path": "rootfs", "readonly": false}
	config["mounts"] = []any{}
	delete(config, "hostname")
	linux := config["linux"].(map[string]any)
	linux["namespaces"] = []any{map[string]any{"type": "mount"}}
	for _, key := range []string{"resources", "maskedPaths", "readonlyPaths"} {
		delete(linux, key)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), `"@ARGS@"`)
	between, after, ok := strings.Cut(rest, "@TRACEBACK@") // maps are encoded in the order of their keys
	if !ok {
		t.Fatalf("the configuration %s", text)
	}
	return `
containers=0
contained() {
	containers=$((containers + 1))
	bundle=/run/rights/$$.$containers.$(date +%N)
	mkdir -p $bundle/rootfs
	mount --rbind / $bundle/rootfs
	{
		echo '` + before + `"'$1'"'
		shift
		for arg; do echo ",\"$arg\""; done
		echo '` + between + `'${GOTRACEBACK:-single}'` + after + `'
	} >$bundle/config.json
	s=0
	runc run --bundle $bundle $(basename $bundle) </dev/null || s=$?
	umount -l $bundle/rootfs
	return $s
}
`
}

var rights = []right{
	{"Yama 0", yama(0), asNobody, "", whole, whole, whole, whole, whole, ""},
	{"Yama 1", yama(1), asNobody, "", whole, whole, whole, record, whole, "Yama"},
	{"Yama 1, root", yama(1), "env", "", whole, whole, whole, whole, whole, ""},
	{"Yama 2", yama(2), asNobody, "", record, event, record, record, whole, "Yama"},
	{"Yama 2, root", yama(2), "env", "", whole, whole, whole, whole, whole, ""},
	{"no_new_privs", yama(0), "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --", "", whole, whole, whole, whole, whole, ""},
	{"no capabilities, root", yama(0), "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs --", "", whole, whole, whole, whole, whole, ""},
	{"seccomp default", yama(0) + "chmod 711 /run", "contained", "", whole, whole, whole, whole, whole, ""},
	{"seccomp without ptrace", yama(0), asNobody + " seccomp", "", whole, event, whole, whole, whole, "seccomp"},
	// setpriv has capabilities until it has started another program, env here.
	{"dumpable 0 by mode 0711", yama(0) + "install -m 0711 /programs/crasher-plain /tmp/crasher-0711", asNobody + " env", "/tmp/crasher-0711", record, event, record, record, none, "dumpable"},
	{"dumpable 0 by prctl", yama(0), asNobody + " env CRASHER_DUMPABLE=0", "", record, record, record, record, none, "dumpable"},
	{"file capabilities", yama(0) + "cp /programs/crasher-plain /tmp/crasher-caps; setcap cap_net_bind_service+ep /tmp/crasher-caps", asNobody, "/tmp/crasher-caps", event, event, record, record, none, "capabilities"},
	{"file capabilities of the tool", yama(2) + "cp /programs/meminspect /tmp/meminspect; setcap cap_sys_ptrace+ep /tmp/meminspect; PATH=/tmp:$PATH", asNobody, "", whole, whole, whole, whole, whole, ""},
	// run is in the namespace with the program; capture is in another one.
	{"user namespace", yama(0), asNobody + " unshare --user --map-root-user --", "", whole, whole, whole, record, whole, "user namespace"},
	// Until the next boot: the last ones. The handler may not read the memory either, but gets
	// the kernel's core.
	{"Yama 3", yama(3), asNobody, "", record, event, record, record, whole, "Yama"},
	{"Yama 3, root", "", "env", "", record, event, record, record, whole, "Yama"},
}

// Each cell of the table of rights.
func TestRights(t *testing.T) {
	if !matrix.Whole() {
		m := boot(t, systems()[0])
		for _, r := range rights {
			if r.name == "Yama 2" || r.name == "file capabilities" {
				t.Run(r.name, func(t *testing.T) { m.checkRight(t, r) })
			}
		}
		m.run(t, yama(0))
		return
	}
	for _, s := range systems() {
		t.Run(s.name(), func(t *testing.T) {
			m := start(t, s, vm.Config{})
			defer m.Close()
			for _, r := range rights {
				t.Run(r.name, func(t *testing.T) { m.checkRight(t, r) })
			}
		})
	}
}

func (m *machine) checkRight(t *testing.T, r right) {
	t.Helper()
	exe := r.exe
	if exe == "" {
		exe = "crasher-plain"
	}
	functions := ""
	if r.as == "contained" {
		functions = contained(t, m.kernel.Arch)
	}
	out := m.run(t, functions+r.setup+"\nas='"+r.as+"'\nexe="+exe+"\nvalues='"+strings.TrimSuffix(values, "\n")+"'"+`
chmod 755 /programs
fresh() { rm -rf /tmp/u; mkdir -m 777 /tmp/u; cd /tmp/u; }
# kind FILE… prints what the capture left. Any other core is damaged.
kind() {
	rm -f /tmp/printed /tmp/info
	if [ ! -e "$1" ]; then
		echo event
	elif meminspect print "$1" counter customer >/tmp/printed 2>&1; then
		if [ "$(cat /tmp/printed)" = "$values" ]; then echo core; else echo wrong values; fi
	elif meminspect info "$1" >/tmp/info 2>&1 && grep -q '^left out: *all memory: capture process .*: permission denied$' /tmp/info; then
		echo record
	else
		echo damaged
	fi
}
`+handlers+`
for way in panic sigkill; do
	fresh
	cores=/tmp/u/cores
	until_core $way $as meminspect run --json --report /tmp/u/report --dir /tmp/u/cores -- $exe $way >/tmp/log 2>&1
	echo "$way: $(kind /tmp/u/cores/*.core)"
	echo "last after $way: $(meminspect last --dir /tmp/u/cores | head -n 1)"
	cat /tmp/u/report /tmp/printed /tmp/info /tmp/log 2>/dev/null || true
done
fresh
$as meminspect run --dir /tmp/u/cores -- $exe wait >/tmp/u/out 2>/tmp/log &
wait_for 60 grep -q ready /tmp/u/out
pid=$(grep -o '[0-9]*' /tmp/u/out)
$as meminspect trigger --dir /tmp/u/cores --reason "by hand" >>/tmp/log 2>&1 || true
echo "trigger: $(kind /tmp/u/cores/*.by-hand.core)"
cat /tmp/printed /tmp/info /tmp/log 2>/dev/null || true
kill -KILL $pid
wait || true
fresh
meminspect core-handler install --dir /tmp/cores --before /tmp/before >/dev/null
rm -rf /tmp/cores
GOTRACEBACK=crash $as $exe panic >/tmp/log 2>&1 && fail "it ended well"
wait_for 60 '[ -z "$(handler_pid)" ]'
meminspect core-handler uninstall --before /tmp/before >/dev/null
case $(ls /tmp/cores 2>/dev/null) in
'') rm -f /tmp/printed /tmp/info; echo "handler: none";;
*) echo "handler: $(kind /tmp/cores/*.core)";;
esac
cat /tmp/printed /tmp/info /tmp/log 2>/dev/null || true
fresh
$as $exe wait >/tmp/u/out 2>&1 &
wait_for 60 grep -q ready /tmp/u/out
pid=$(grep -o '[0-9]*' /tmp/u/out)
$as meminspect capture -o /tmp/u/c.core $pid >/tmp/log 2>&1 || true
echo "capture: $(kind /tmp/u/c.core)"
cat /tmp/printed /tmp/info /tmp/log 2>/dev/null || true
echo "doctor: status $(status $as meminspect doctor $pid)"
$as meminspect doctor $pid || true
kill -KILL $pid
wait || true
`)
	want := map[string]string{"panic": r.panic, "sigkill": r.sigkill, "trigger": r.trigger, "capture": r.capture, "handler": r.handler, "doctor": "status 0"}
	if r.doctor != "" {
		want["doctor"] = "status 1"
	}
	for what, result := range want {
		if !strings.Contains(out, "\n"+what+": "+result+"\n") && !strings.HasPrefix(out, what+": "+result+"\n") {
			t.Errorf("%s: want %s", what, result)
		}
	}
	ends := map[string]string{"panic": "panic (exit status 2)", "sigkill": "signal-sigkill (signal SIGKILL)"}
	if r.panic == event { // nothing showed that it was a panic
		ends["panic"] = "exit-2 (exit status 2)"
	}
	for way, end := range ends {
		if line := "\nlast after " + way + ": " + path.Base(exe) + ": " + end + ", "; !strings.Contains(out, line) {
			t.Errorf("want the line %q", line[1:])
		}
	}
	if r.doctor != "" && !strings.Contains(out, "FAIL  "+r.doctor) {
		t.Errorf("doctor: want a failing check %q", r.doctor)
	}
	if strings.Contains(out, "not a Go program, or") {
		t.Error("it is reported not to be a Go program")
	}
	if strings.Contains(out, "none of the known rules") {
		t.Error("the rule is not known")
	}
	if t.Failed() {
		t.Logf("it printed\n%s", out)
	}
}
