//go:build linux

package acceptance

import (
	"bytes"
	"os"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// Arguments and labels are in a core when they were asked for and not
// otherwise, values of the environment never.
func TestPrivate(t *testing.T) {
	needAMD64(t)
	t.Setenv("PRIVATE_TOKEN", "tnemnorivne-0123456789")
	label := []byte("lebal-")
	for i := range 12 {
		label = append(label, byte('a'+i*i%26))
	}
	for _, env := range []string{"CGO_ENABLED=0", "CGO_ENABLED=1"} {
		g := goal{"1.26.8", way{env, []string{env}, nil}}
		exe := compile(t, g, sources(t, "private"), "private")
		p := start(t, exe, "tnemugra-0123456789")
		holds := func(data []byte) (args, environment, labels bool) {
			return bytes.Contains(data, []byte("tnemugra-0123456789")),
				bytes.Contains(data, []byte("tnemnorivne-0123456789")), bytes.Contains(data, label)
		}
		whole := mapped(t, fullCore(t, p.Process.Pid))
		if a, e, l := holds(whole); !a || !e || !l {
			t.Fatalf("the process itself holds: arguments %v, environment %v, labels %v", a, e, l)
		}
		for _, c := range []struct {
			name         string
			opts         capture.Options
			args, labels bool
		}{
			{"default", capture.Options{}, false, false},
			{"full stacks", capture.Options{Stacks: capture.StacksFull, Stop: capture.StopAlways}, false, false},
			{"args", capture.Options{Args: true}, true, false},
			{"labels", capture.Options{Labels: true}, false, true},
			{"strict", capture.Options{Mode: capture.Strict}, false, false},
		} {
			core, _ := takeCore(t, p.Process.Pid, c.opts)
			data, err := os.ReadFile(core)
			if err != nil {
				t.Fatal(err)
			}
			if a, e, l := holds(data); a != c.args || l != c.labels || e {
				t.Errorf("%s, %s: arguments %v, environment %v, labels %v", env, c.name, a, e, l)
			}
			if c.labels {
				printed := debuggers.DelveSays(t, exe, core, "goroutines -l")
				if !bytes.Contains([]byte(printed), label) {
					t.Errorf("Delve shows no label:\n%s", printed)
				}
			}
		}
	}
}
