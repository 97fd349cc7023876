//go:build linux

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine boots, runs commands, reports how they end, sends files, and kills what
// reaches its limit. Its kernel's panic is a named error.
func TestMachine(t *testing.T) {
	k := Need(t, "amd64", Stable)
	image := NewImage(k.Arch)
	image.Package(NeedPackages(t, k.Arch, "dash", "coreutils")...)
	file := filepath.Join(t.TempDir(), "image")
	if err := image.Write(file, k); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	m, err := Start(Config{Kernel: k, Image: file})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	t.Logf("%s booted in %v", m.Release, time.Since(begin))
	if !strings.Contains(k.Package, m.Release) {
		t.Errorf("the kernel %s of %s", m.Release, k.Package)
	}
	r, err := m.Run(Command{Args: []string{"sh", "-c", `echo "$A"; echo err >&2; seq 20000 >/tmp/file; exit 3`}, Env: []string{"A=b"}})
	if err != nil || r.Output != "b\nerr\n" || r.Status.ExitStatus() != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	data, err := m.ReadFile("/tmp/file")
	if err != nil || strings.Count(string(data), "\n") != 20000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := m.ReadFile("/tmp/none"); err == nil {
		t.Error("a file was read that does not exist")
	}
	if r, err := m.Run(Command{Args: []string{"/no/such"}}); err == nil {
		t.Errorf("%+v", r)
	}
	r, err = m.Run(Command{Args: []string{"sh", "-c", "echo begin; sleep 1000 & wait"}, Limit: time.Second})
	if !errors.Is(err, ErrTimeout) || r.Output != "begin\n" || r.Status.Signal() != syscall.SIGKILL {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = m.Run(Command{Args: []string{"sh", "-c", "echo c >/proc/sysrq-trigger"}})
	if !errors.Is(err, ErrPanic) || !strings.Contains(err.Error(), "sysrq") {
		t.Errorf("%v", err)
	}
	if _, err := m.Run(Command{Args: []string{"true"}}); !errors.Is(err, ErrPanic) {
		t.Errorf("%v", err)
	}
}

// What a machine does wrong is a named error. A script takes the place of QEMU.
func TestFailures(t *testing.T) {
	up := `{"kind":"up","text":"1.0"}`
	for _, c := range []struct {
		name, script string
		start, run   error
	}{
		{"no emulator", "", ErrMissing, nil},
		{"ends at once", `echo "bad option" >&2`, ErrEnded, nil},
		{"panics in the boot", `echo "Kernel panic - not syncing: no init" >"$CONSOLE"`, ErrPanic, nil},
		{"ends in a command", `echo '` + up + `'; read line`, nil, ErrEnded},
		{"panics in a command", `echo '` + up + `'; read line; echo "Kernel panic - not syncing: BUG" >"$CONSOLE"`, nil, ErrPanic},
		{"restarts in a command", `echo '` + up + `'; read line; echo '` + up + `'; read line`, nil, ErrEnded},
		{"does not boot", `read line`, ErrNoBoot, nil},
		{"does not answer", `echo '` + up + `'; read line; read line`, nil, ErrHung},
		{"limit", `echo '` + up + `'; read line; echo '{"kind":"end","timedOut":true}'; read line`, nil, ErrTimeout},
		{"noise", `printf '\377garbage'; echo '` + up + `'; read line; echo '{"kind":"end"}'; read line`, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "qemu")
			if c.script != "" {
				// The console's file is named in QEMU's arguments.
				text := "#!/bin/sh\nfor a; do case $a in file,id=console,path=*) CONSOLE=${a##*path=};; esac; done\n" + c.script
				if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			was, boot, late := emulators["amd64"], bootLimit, grace
			t.Cleanup(func() { emulators["amd64"], bootLimit, grace = was, boot, late })
			emulators["amd64"] = program
			if errors.Is(c.start, ErrNoBoot) {
				bootLimit = time.Millisecond
			}
			if errors.Is(c.run, ErrHung) {
				grace = time.Millisecond
			}
			m, err := Start(Config{Kernel: Kernel{Arch: "amd64"}})
			if !errors.Is(err, c.start) || (err == nil) != (c.start == nil) {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			defer m.Close()
			if _, err := m.Run(Command{Args: []string{"true"}, Limit: time.Millisecond}); !errors.Is(err, c.run) || (err == nil) != (c.run == nil) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A test takes the next series of kernels if the packages do not have the first one, but
// not if they are not available.
func TestNextSeries(t *testing.T) {
	t.Setenv(CacheVariable, t.TempDir())
	p, done, err := openPackages("arm64")
	if err != nil {
		t.Fatal(err)
	}
	want := Kernel{Arch: "arm64", Package: "linux-image-1.0", modules: filepath.Join(p.dir, "linux-image-1.0")}
	want.Image = filepath.Join(want.modules, "vmlinuz")
	tools := t.TempDir()
	script := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("apt-get", "")
	script("apt-cache", "echo 'E: No packages found'; exit 100")
	t.Setenv("PATH", tools)
	// The stable series is in the cache.
	_, err = p.fetch(t.Context(), string(Stable)+"arm64", func() ([]string, error) {
		deb := filepath.Join(p.dir, want.Package+"_1_arm64.deb")
		return []string{deb}, errors.Join(os.WriteFile(deb, nil, 0o644), os.Mkdir(want.modules, 0o755), os.WriteFile(want.stamp(), fmt.Append(nil, moduleNames), 0o644))
	})
	done()
	if err != nil {
		t.Fatal(err)
	}
	if k, err := fetchFirst(t.Context(), "arm64", []Line{Backports, Stable}); err != nil || k != want {
		t.Errorf("%+v, %v, want %+v", k, err, want)
	}
	if _, err := fetchFirst(t.Context(), "arm64", []Line{Backports}); !errors.Is(err, ErrNoSeries) || !errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
	script("apt-get", "echo 'E: no network'; exit 100")
	if k, err := fetchFirst(t.Context(), "arm64", []Line{Backports, Stable}); !errors.Is(err, ErrMissing) || errors.Is(err, ErrNoSeries) {
		t.Errorf("%+v, %v", k, err)
	}
}

// A guest that reads nothing blocks neither a request that is larger than the pipe nor
// the end of the machine.
func TestGuestReadsNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+`{"kind":"up","text":"1.0"}`+"'; exec sleep 1000"), 0o755); err != nil {
		t.Fatal(err)
	}
	was, late, off := emulators["amd64"], grace, closeLimit
	t.Cleanup(func() { emulators["amd64"], grace, closeLimit = was, late, off })
	emulators["amd64"], grace, closeLimit = program, 10*time.Millisecond, 10*time.Millisecond
	m, err := Start(Config{Kernel: Kernel{Arch: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Run(Command{Args: []string{"true", strings.Repeat("x", 1<<20)}, Limit: time.Millisecond})
	if !errors.Is(err, ErrHung) {
		t.Errorf("%.100v", err)
	}
	m.Close()
}

// Without the package manager, and with a name that it does not know, the error is
// ErrMissing and has the name.
func TestMissingPackage(t *testing.T) {
	t.Setenv(CacheVariable, t.TempDir())
	t.Setenv("PATH", t.TempDir())
	if _, err := FetchPackages(t.Context(), "amd64", "some-package"); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "some-package") {
		t.Errorf("%v", err)
	}
	if _, err := FetchKernel(t.Context(), "arm64", Stable); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), string(Stable)+"arm64") {
		t.Errorf("%v", err)
	}
}
