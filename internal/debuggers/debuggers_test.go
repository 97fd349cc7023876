package debuggers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package main

import "syscall"

type pair struct{ a, b int32 }

var (
	number = 41
	both   = pair{7, -9}
)

func main() {
	number++
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	println(number, both.a, both.b)
}
`

// A full core that gdb wrote has what both debuggers print.
func TestPrint(t *testing.T) {
	gdb := Need(t, "gdb")
	Need(t, "dlv")
	dir := t.TempDir()
	src, exe, core := filepath.Join(dir, "main.go"), filepath.Join(dir, "program"), filepath.Join(dir, "core")
	if err := os.WriteFile(src, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", exe, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off",
		"-ex", "handle SIGURG nostop noprint", "-ex", "run", "-ex", "generate-core-file "+core, exe).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, values := range map[string][]string{
		"gdb": MustGDB(t, exe, core, "'main.number'", "'main.both'.b", "'main.absent'"),
		"dlv": MustDelve(t, exe, core, "main.number", "main.both.b", "main.absent"),
	} {
		if values[0] != "42" || values[1] != "-9" {
			t.Errorf("%s printed %q", name, values)
		}
		if !strings.Contains(values[2], "absent") {
			t.Errorf("%s printed of an unknown name: %q", name, values[2])
		}
	}
}
