//go:build linux

package supervise

import (
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/supervise/child"
	"github.com/meminspect/meminspect/internal/supervise/live"
)

// promise describes what will be captured on this system, what will not, and
// why. It is based on checks with this very process, not on expectations.
func (s *Supervisor) promise(path string, notSeized error) string {
	var yes, no []string
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		no = append(no, "fatal errors of its own code (not a Go program: "+err.Error()+")")
	}
	view, err := openView(s.child.PID)
	s.image.Store(&image{name: s.image.Load().name, exe: exeOf(s.child.PID), view: view})
	readable := err == nil || errors.Is(err, live.ErrNoAnchor)
	switch {
	case errors.Is(err, process.ErrGone):
		no = append(no, "fatal errors (the program ended before its memory was read)")
	case !readable:
		no = append(no, "memory ("+s.obstacle(err)+"), so cores are only records")
	case errors.Is(err, live.ErrNoAnchor) && info != nil && s.stderr != nil && s.config.ExitStop && notSeized == nil:
		yes = append(yes, "the texts of fatal errors at the end of standard error")
	case errors.Is(err, live.ErrNoAnchor) && info != nil:
		no = append(no, "fatal errors ("+err.Error()+": "+howToEmbed+")")
	case info != nil:
		yes = append(yes, "fatal errors")
		no = append(no, weaknesses(path, info, s.config.Env)...)
	}
	if s.config.Children == CaptureChildren && s.who == "meminspect run" && !view.anchored {
		of := "processes that it starts"
		if info == nil {
			of = "Go libraries that it loads and of " + of
		}
		yes = append(yes, "fatal errors of "+of+" (with the runtime embedded)")
	}
	switch {
	case !s.config.ExitStop:
		no = append(no, otherEnds+" (exit stop is off)")
	case notSeized != nil:
		no = append(no, otherEnds+" (exit stop: "+s.obstacle(notSeized)+")")
	default:
		yes = append(yes, otherEnds)
	}
	text := "captured: " + cmp.Or(strings.Join(yes, ", "), "nothing")
	if len(no) > 0 {
		text += "; not captured: " + strings.Join(no, ", ")
	}
	if s.config.Place == nil {
		return text
	}
	where, err := s.config.Place()
	if where != "" {
		text = "cores go to " + where + "; " + text
	}
	if err != nil {
		text = "captures nothing for now: " + err.Error() + "; once that is mended: " + text
	}
	return text
}

// howToEmbed is what to do about a program without the runtime.
const howToEmbed = `import _ "github.com/meminspect/meminspect/runtime", or use --stderr-tail 64KiB`

// otherEnds are the ends that Go does not report.
const otherEnds = "kills and failing exits"

// weaknesses lists the ends that Go itself does not report for this program.
func weaknesses(path string, info *buildinfo.BuildInfo, env []string) []string {
	settings := map[string]string{}
	for _, kv := range info.Settings {
		settings[kv.Key] = kv.Value
	}
	var no []string
	switch {
	case settings["-race"] == "true":
		no = append(no, "deadlocks (Go finds none with the race detector)")
	case settings["CGO_ENABLED"] == "1" && linksC(path):
		no = append(no, "deadlocks (Go finds none with cgo)")
	}
	for _, kv := range env {
		if kv == "GOTRACEBACK=none" || kv == "GOTRACEBACK=0" {
			no = append(no, "runtime throws such as concurrent map writes (silent under GOTRACEBACK=none)")
		}
	}
	return no
}

// linksC reports whether C's linker linked the file: cgo may be enabled but
// unused. A file that C's linker made names a loader, or has C's start code.
func linksC(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Section(".interp") != nil || f.Section(".init") != nil
}

// obstacle explains the cause of a kernel error.
func (s *Supervisor) obstacle(err error) string {
	var killed *process.KilledError
	if errors.As(err, &killed) {
		return killed.Error()
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err.Error()
	}
	if tid := child.Tracer(s.child.PID); tid != 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", tid))
		return fmt.Sprintf("traced by %s (thread %d) already", strings.TrimSpace(string(comm)), tid)
	}
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(scope)) >= "2" {
		return "kernel.yama.ptrace_scope is " + strings.TrimSpace(string(scope)) + "; 1 allows it to a parent"
	}
	// The folder belongs to the program's user, its files to root if the kernel
	// protects the program's memory.
	if user, ok := owner(fmt.Sprintf("/proc/%d", s.child.PID)); ok {
		if user != os.Geteuid() {
			return "the program runs as another user"
		}
		if of, ok := owner(fmt.Sprintf("/proc/%d/environ", s.child.PID)); ok && of != user {
			return "its file is not readable to its user or has capabilities"
		}
	}
	if strings.Contains(status("Seccomp"), "2") {
		return "not permitted; a seccomp filter is in force"
	}
	return "not permitted"
}

func owner(path string) (uid int, ok bool) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return int(st.Uid), err == nil
}

func status(field string) string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
