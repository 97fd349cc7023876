//go:build linux

package crash

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// A program under run notifies systemd and feeds its watchdog, and if it misses that,
// it is captured before the SIGABRT ends it.
func TestSystemdWatchdog(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	cmd := exec.Command("sh", "-c", `WATCHDOG_PID=$$ exec "$@"`, "sh", tool(t), "run", "--quiet", "--dir", dir+"/cores", "--", crasher.Build(t, crasher.Plain), "notify")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket.LocalAddr().String(), "WATCHDOG_USEC=1000000")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	check(t, socket.SetReadDeadline(time.Now().Add(await.Limit)))
	for _, want := range []string{"READY=1", "WATCHDOG=1"} {
		message := make([]byte, 100)
		n, err := socket.Read(message)
		if got := string(message[:n]); err != nil || got != want {
			t.Fatalf("notified of %q, want %q: %v", got, want, err)
		}
	}
	check(t, cmd.Process.Signal(syscall.SIGABRT)) // as systemd does when the time is over
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGABRT && status.ExitStatus() != 2 {
		t.Errorf("%v: %s", cmd.ProcessState, stderr.String())
	}
	cores, _ := filepath.Glob(dir + "/cores/*.signal-sigabrt.core")
	if len(cores) != 1 {
		entries, _ := os.ReadDir(dir + "/cores")
		t.Fatalf("cores: %v: %s", entries, stderr.String())
	}
	checkValues(t, crasher.Build(t, crasher.Plain), crasher.Plain, cores[0])
}

// A program under run gets the sockets that systemd opens for it, with and without the exit stop
// that writes its ID: without it, the program learns that the sockets are of another process.
func TestSystemdSockets(t *testing.T) {
	activate := debuggers.Need(t, "systemd-socket-activate")
	for name, c := range map[string]struct{ flag, answer, message string }{
		"exit stop":    {"--exit-stop=auto", "hello", "panic: it went wrong"},
		"no exit stop": {"--exit-stop=off", "", "panic: no socket for process "},
		"script":       {"--exit-stop=auto", "hello", "panic: it went wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			socket := filepath.Join(dir, "socket")
			program := crasher.Build(t, crasher.Plain)
			if name == "script" { // without an interpreter
				script := filepath.Join(dir, "start")
				check(t, os.WriteFile(script, []byte("exec "+program+" \"$@\"\n"), 0o755))
				program = script
			}
			ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, activate, "--listen="+socket, "--", tool(t), "run", c.flag, "--dir", dir+"/cores", "--", program, "activated")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			check(t, cmd.Start())
			var conn net.Conn
			if !await.Poll(func() bool {
				var err error
				conn, err = net.Dial("unix", socket)
				return err == nil
			}) {
				t.Fatalf("no socket: %s", stderr.String())
			}
			check(t, conn.SetReadDeadline(time.Now().Add(await.Limit)))
			answer, err := io.ReadAll(conn)
			if string(answer) != c.answer || err != nil && c.answer != "" {
				t.Errorf("answer %q, %v", answer, err)
			}
			conn.Close()
			cmd.Wait()
			if !strings.Contains(stderr.String(), c.message) {
				t.Errorf("no %q in\n%s", c.message, stderr.String())
			}
			if strings.Contains(stderr.String(), "cannot use the sockets") != (c.answer == "") {
				t.Errorf("standard error: %s", stderr.String())
			}
			if cores, _ := filepath.Glob(dir + "/cores/*.panic.core"); len(cores) != 1 {
				t.Errorf("cores: %v\n%s", cores, stderr.String())
			}
		})
	}
}

// systemd accepts the unit, and the unit with its drop-in. The command knows the flags in
// both.
func TestSystemdUnits(t *testing.T) {
	shownFlags(t, example(t, "shop.service"))
	shownFlags(t, example(t, "shop.service.d/meminspect.conf"))
	analyze := debuggers.Need(t, "systemd-analyze")
	deploy := "../../../examples/deploy"
	root := t.TempDir()
	copyTo := func(from, to string, mode os.FileMode) {
		t.Helper()
		data, err := os.ReadFile(from)
		check(t, err)
		check(t, os.MkdirAll(filepath.Dir(root+to), 0o755))
		check(t, os.WriteFile(root+to, data, mode))
	}
	for _, program := range []string{"/usr/bin/meminspect", "/usr/bin/shop"} {
		copyTo("/bin/true", program, 0o755)
	}
	units, err := filepath.Glob("/usr/lib/systemd/system/*.target")
	check(t, err)
	if len(units) == 0 {
		units, err = filepath.Glob("/lib/systemd/system/*.target")
		check(t, err)
	}
	for _, unit := range units {
		copyTo(unit, "/usr/lib/systemd/system/"+filepath.Base(unit), 0o644)
	}
	const service = "/etc/systemd/system/shop.service"
	verify := func() string {
		out, _ := exec.Command(analyze, "verify", "--man=no", "--root="+root, service).CombinedOutput()
		var about []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "shop") || strings.Contains(line, "meminspect.conf") {
				about = append(about, line)
			}
		}
		return strings.Join(about, "")
	}
	copyTo(deploy+"/shop.service", service, 0o644)
	if out := verify(); out != "" {
		t.Errorf("the unit: %s", out)
	}
	copyTo(deploy+"/shop.service.d/meminspect.conf", service+".d/meminspect.conf", 0o644)
	if out := verify(); out != "" {
		t.Errorf("the drop-in: %s", out)
	}
	check(t, os.WriteFile(root+service+".d/wrong.conf", []byte("[Service]\nNotifyAccess=perhaps\nExecStart=/usr/bin/none\n"), 0o644))
	if out := verify(); out == "" {
		t.Error("a wrong drop-in is accepted")
	}
}
