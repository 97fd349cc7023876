package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

const tests = `package p

import "testing"

func TestGood(t *testing.T)    { t.Log("nobody reads this") }
func TestBad(t *testing.T)     { t.Run("inside", func(t *testing.T) { t.Error("it is broken") }) }
func TestAbsent(t *testing.T)  { t.Skip("no such tool") }
func TestPanics(t *testing.T)  { println("on its way"); panic("overboard") }
`

// What go test really prints for each kind of end.
func TestShow(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module p\n\ngo 1.26\n", "p_test.go": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	events, err := cmd.Output()
	if err == nil {
		t.Fatal("the tests passed")
	}
	var out bytes.Buffer
	if err := show(bytes.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"it is broken", "--- FAIL: TestBad/inside", "panic: overboard", "FAIL\tp\t", "skipped 1: no such tool: p.TestAbsent\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "nobody reads this") {
		t.Errorf("what a passed test printed is shown:\n%s", text)
	}
}

// The slowest tests come first, and a subtest is in its parent's time.
func TestShowSlowest(t *testing.T) {
	const events = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.5}
{"Action":"pass","Package":"p","Test":"TestB/x","Elapsed":3}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":4}
{"Action":"pass","Package":"p","Test":"TestC","Elapsed":0.2}
{"Action":"pass","Package":"p","Elapsed":6}
`
	var out bytes.Buffer
	if err := show(strings.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	if want := "slow    4.0 s p.TestB\nslow    1.5 s p.TestA\n"; out.String() != want {
		t.Errorf("shown is\n%swant\n%s", out.String(), want)
	}
}

func TestNotJSON(t *testing.T) {
	var out bytes.Buffer
	if err := show(strings.NewReader("go: no module\n"), &out); err != nil || out.String() != "go: no module\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// An input that cannot be read to its end is an error, since a test that failed
// may be in the rest.
func TestShowReadError(t *testing.T) {
	if err := show(iotest.ErrReader(os.ErrDeadlineExceeded), io.Discard); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("show returned %v", err)
	}
}
