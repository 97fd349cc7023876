//go:build linux

package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/groups"
)

// A core of a program in a container names the container, the pod and the limits
// of its control group, from the group's own name and files.
func TestContainerInInfo(t *testing.T) {
	const limit = 512 << 20
	container := fmt.Sprintf("%064x", time.Now().UnixNano())
	pod := fmt.Sprintf("01234567-89ab-cdef-0123-%012x", os.Getpid())
	// As containerd names it.
	name := "kubepods-pod" + strings.ReplaceAll(pod, "-", "_") + ".slice:cri-containerd:" + container
	inside := within(groups.Named(t, name, limit))
	program := crasher.Build(t, crasher.Plain)
	cores := supervise(t, inside, program, nil, "panic").cores(t)
	if len(cores) != 1 {
		t.Fatalf("%d cores", len(cores))
	}

	out, err := command(t, "info", "--json", cores[0])
	var info struct {
		Process struct {
			Container, PodUID string
			Limits            map[string]string `json:"cgroupLimits"`
		}
	}
	if err != nil || json.Unmarshal(out, &info) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := &info.Process
	memory := p.Limits["memory.max"] + p.Limits["memory.limit_in_bytes"] // of either version
	if p.Container != container || p.PodUID != pod || memory != fmt.Sprint(limit) {
		t.Errorf("container %q, pod %q, limits %v; want %s, %s and %d", p.Container, p.PodUID, p.Limits, container, pod, limit)
	}

	text, err := command(t, "info", cores[0])
	for name, value := range map[string]string{"container": container, "pod UID": pod, "limits": fmt.Sprint(limit)} {
		if err != nil || !hasLine(string(text), name, value) {
			t.Errorf("%v: no line %s with %s in\n%s", err, name, value, text)
		}
	}
}

// hasLine reports whether a line of info has the name and the value.
func hasLine(text, name, value string) bool {
	for line := range strings.Lines(text) {
		field, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if field == name && strings.Contains(rest, value) {
			return true
		}
	}
	return false
}
