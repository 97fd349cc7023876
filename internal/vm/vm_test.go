//go:build linux

package vm

import (
	"archive/tar"
	"bytes"
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
	const leaving = "echo begin; sleep 1000 & exit 4"
	if r, err := m.Run(Command{Args: []string{"sh", "-c", leaving}}); !errors.Is(err, ErrCut) || r.Output != "begin\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := m.Run(Command{Args: []string{"sh", "-c", leaving}, Leaves: true}); err != nil || r.Output != "begin\n" || r.Status.ExitStatus() != 4 {
		t.Errorf("%+v, %v", r, err)
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
		{"limit", `echo '` + up + `'; read line; echo '{"kind":"end","id":1,"timedOut":true}'; read line`, nil, ErrTimeout},
		{"output cut", `echo '` + up + `'; read line; echo '{"kind":"end","id":1,"cut":true}'; read line`, nil, ErrCut},
		{"noise", `printf '\377garbage'; echo '` + up + `'; read line; echo '{"kind":"end","id":1}'; read line`, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			boot, late := bootLimit, grace
			t.Cleanup(func() { bootLimit, grace = boot, late })
			fakeEmulator(t, c.script)
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

// fakeEmulator puts a script of the shell in place of QEMU until the test ends. "" is no
// file. The file of the console is $CONSOLE.
func fakeEmulator(t *testing.T, script string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "qemu")
	if script != "" {
		// The console's file is named in QEMU's arguments.
		text := "#!/bin/sh\nfor a; do case $a in file,id=console,path=*) CONSOLE=${a##*path=};; esac; done\n" + script
		if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	was := emulators["amd64"]
	t.Cleanup(func() { emulators["amd64"] = was })
	emulators["amd64"] = program
}

// After a machine has hung, each call returns that error at once. An answer that comes
// later is the answer to none of them.
func TestNoCallAfterHang(t *testing.T) {
	late := grace
	t.Cleanup(func() { grace = late })
	grace = 100 * time.Millisecond
	fakeEmulator(t, `echo '{"kind":"up","text":"1.0"}'; read line; sleep 0.5; echo '{"kind":"end","id":1}'; read line`)
	m, err := Start(Config{Kernel: Kernel{Arch: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, first := m.Run(Command{Args: []string{"true"}, Limit: time.Millisecond})
	if !errors.Is(first, ErrHung) || !errors.Is(m.Err(), ErrHung) {
		t.Fatalf("%v; later %v", first, m.Err())
	}
	// A late answer, which would be no event here.
	time.Sleep(time.Second)
	grace = time.Hour
	if _, err := m.Run(Command{Args: []string{"true"}}); !errors.Is(err, m.Err()) {
		t.Errorf("%v", err)
	}
	if _, err := m.ReadFile("/file"); !errors.Is(err, m.Err()) {
		t.Errorf("%v", err)
	}
}

// A guest that restarts after a panic serves again. A late answer to an older request is
// ignored, and the panic is no reason of a later end.
func TestRestart(t *testing.T) {
	fakeEmulator(t, `up='{"kind":"up","text":"1.0"}'
echo "$up"
read line; echo "Kernel panic - not syncing: first" >>"$CONSOLE"; echo "$up"
echo '{"kind":"output","id":1,"data":"b2xk"}'; echo '{"kind":"end","id":1}'
read line; echo '{"kind":"output","id":2,"data":"bmV3"}'; echo '{"kind":"end","id":2}'
read line; echo "$up"
read line`)
	m, err := Start(Config{Kernel: Kernel{Arch: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	run := func() (Result, error) { return m.Run(Command{Args: []string{"true"}}) }
	if _, err := run(); !errors.Is(err, ErrPanic) || m.Err() != nil {
		t.Errorf("%v; later %v", err, m.Err())
	}
	if r, err := run(); err != nil || r.Output != "new" {
		t.Errorf("%+v, %v", r, err)
	}
	for range 2 { // a restart and the end, both without a panic
		if _, err := run(); !errors.Is(err, ErrEnded) {
			t.Errorf("%v", err)
		}
	}
	if !errors.Is(m.Err(), ErrEnded) {
		t.Errorf("%v", m.Err())
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

// A command that unpacks packages and is not installed is ErrMissing, and is named.
func TestMissingUnpacker(t *testing.T) {
	t.Setenv(CacheVariable, t.TempDir())
	p, done, err := openPackages("amd64")
	if err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(p.dir, "linux-image-1.0_1_amd64.deb")
	_, err = p.fetch(t.Context(), string(Stable)+"amd64", func() ([]string, error) {
		return []string{deb}, os.WriteFile(deb, nil, 0o644)
	})
	done()
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	t.Setenv("PATH", tools)
	check := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), name+" is not installed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = FetchKernel(t.Context(), "amd64", Stable)
	check("dpkg-deb", err)
	_, err = FetchPackages(t.Context(), "amd64", "some-package")
	check("dpkg-deb", err)

	// The file of the package has a module that xz compressed.
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	err = errors.Join(w.WriteHeader(&tar.Header{Name: "lib/modules/ramoops.ko.xz", Mode: 0o644, Typeflag: tar.TypeReg}), w.Close(),
		os.WriteFile(filepath.Join(tools, "files"), files.Bytes(), 0o644),
		os.WriteFile(filepath.Join(tools, "dpkg-deb"), []byte("#!/bin/sh\nexec /bin/cat '"+filepath.Join(tools, "files")+"'\n"), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	_, err = FetchKernel(t.Context(), "amd64", Stable)
	check("xz", err)
}

// A guest that reads nothing blocks neither a request that is larger than the pipe nor
// the end of the machine.
func TestGuestReadsNothing(t *testing.T) {
	fakeEmulator(t, `echo '{"kind":"up","text":"1.0"}'; exec sleep 1000`)
	late, off := grace, closeLimit
	t.Cleanup(func() { grace, closeLimit = late, off })
	grace, closeLimit = 10*time.Millisecond, 10*time.Millisecond
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
