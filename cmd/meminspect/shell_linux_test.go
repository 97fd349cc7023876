package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/terminaltest"
	meminspect "github.com/meminspect/meminspect/runtime"
)

// A screen is the text that a command writes to a terminal.
type screen struct {
	t      *testing.T
	chunks <-chan string
	text   string
}

// until waits for a text, and forgets what is before its end.
func (s *screen) until(want string) {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if _, after, ok := strings.Cut(s.text, want); ok {
			s.text = after
			return
		}
		select {
		case chunk, ok := <-s.chunks:
			if s.text += chunk; !ok {
				s.t.Fatalf("the command ended before it wrote %q: %q", want, s.text)
			}
		case <-deadline:
			s.t.Fatalf("no %q: %q", want, s.text)
		}
	}
}

// On a terminal the shell completes commands, regions and paths, keeps history, and
// survives the interrupt of a command.
func TestShellOnTerminal(t *testing.T) {
	sessions := map[string]*struct{ User, Users string }{"ada": {User: "lovelace"}}
	id, err := meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Name("sessions"))
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(id)
	master, slave := terminaltest.Open(t)
	pager := filepath.Join(t.TempDir(), "pager")
	if err := os.WriteFile(pager, []byte("#!/bin/sh\nsed 's/^/paged: /'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "shell", strconv.Itoa(os.Getpid()))
	cmd.Args[0] = "meminspect"
	cmd.Env = append(os.Environ(), "PAGER="+pager, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	slave.Close()
	chunks := make(chan string, 100)
	go func() {
		defer close(chunks)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			chunks <- string(buf[:n])
		}
	}()
	s := &screen{t: t, chunks: chunks}
	keys := func(text string) {
		if _, err := master.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	const prompt, up = "(meminspect) ", "\x1b[A"
	s.until("lists the commands")
	s.until(prompt)
	keys("pri\t")
	s.until("print ")
	keys("sess\t")
	s.until("sessions")
	keys("[\"\t")
	s.until(`["ada"]`)
	keys(".U\t")
	s.until(".User")
	keys("\t")
	s.until(`sessions["ada"].User  sessions["ada"].User[*]`)
	keys("\r")
	s.until(`paged: sessions["ada"].User = "lovelace"`)
	s.until(prompt)
	keys(up + "\r")
	s.until(`paged: sessions["ada"].User = "lovelace"`)
	s.until(prompt)
	keys("forgotten\x03sessions\r")
	s.until(`paged: sessions = map[string]`)
	s.until(prompt)
	keys("nothing\r")
	s.until(`unknown command "nothing"`)
	s.until(prompt)
	keys("\x04")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
