package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// A shop is the running service.
type shop struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{}
}

var errNoAddress = errors.New("no address in it")

var announced = regexp.MustCompile(`^shop: (http://\S+), pid `)

// startShop starts the service in dir, with its core limit raised, and waits
// until it prints where it listens.
func startShop(ctx context.Context, exe, dir string) (*shop, error) {
	cmd := exec.CommandContext(ctx, exe)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	raiseCoreLimit()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the shop: %w", err)
	}
	s := &shop{cmd: cmd, done: make(chan struct{})}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		_ = cmd.Wait() // how it ends is no matter
		close(s.done)
	}()
	match := announced.FindStringSubmatch(line)
	if match == nil {
		s.kill()
		return nil, fmt.Errorf("starting the shop: it printed %q: %w", line, errors.Join(errNoAddress, readErr))
	}
	s.url = match[1]
	return s, nil
}

func (s *shop) pid() int { return s.cmd.Process.Pid }

func (s *shop) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
}

// abort has the process killed by the runtime, with a core if the kernel
// makes one, and waits for its end.
func (s *shop) abort() error {
	if err := s.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		return fmt.Errorf("aborting the shop: %w", err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("aborting the shop: still alive after 30 s")
	}
}

func (s *shop) post(ctx context.Context, path string) error {
	_, err := s.request(ctx, http.MethodPost, path)
	return err
}

func (s *shop) values(ctx context.Context) ([]variable, error) {
	body, err := s.request(ctx, http.MethodGet, "/debug/values")
	if err != nil {
		return nil, err
	}
	var list []variable
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("the shop's values: %w", err)
	}
	return list, nil
}

func (s *shop) request(ctx context.Context, method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	return body, nil
}
