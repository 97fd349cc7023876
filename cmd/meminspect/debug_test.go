//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect"
)

// A signal ends the copying of a compressed core, and no copy remains.
func TestDebugInterrupted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	path := filepath.Join(t.TempDir(), "x.core.zst")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = corefile.Form{Compress: true}.Write(file, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd, _, err := rootCommand().Find([]string{"debug"})
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	copied, remove, err := plainCore(cmd, &inspect.Core{Path: path}, true, signals)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(copied); err != nil || info.Size() != 1<<20 {
		t.Errorf("%v, %v", info, err)
	}
	remove()
	signals <- os.Interrupt
	if _, _, err := plainCore(cmd, &inspect.Core{Path: path}, true, signals); err == nil || err.Error() != "write the core in the clear: interrupt" {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An editor that sends the printed launch entry to Delve's own DAP server sees
// the values of the core.
func TestDebugInEditor(t *testing.T) {
	debuggers.Need(t, "dlv")
	dir := t.TempDir()
	program, core := filepath.Join(dir, "shop"), filepath.Join(dir, "shop.core")
	for _, line := range [][]string{
		{"go", "build", "-o", program, "../../internal/acceptance/testdata/selfcore"},
		{program, core},
	} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", line, err, out)
		}
	}
	server, stdout := io.Pipe()
	stderr, entries := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"debug", "--exe", program, "--dap", "127.0.0.1:0", core}, nil, stdout, entries)
	}()
	var entry json.RawMessage
	if err := json.NewDecoder(stderr).Decode(&entry); err != nil {
		t.Fatal(err)
	}
	go discard(stderr)
	address := regexp.MustCompile(`listening at: (\S+)`)
	lines := bufio.NewScanner(server)
	var found []string
	for found == nil && lines.Scan() {
		found = address.FindStringSubmatch(lines.Text())
	}
	if found == nil {
		t.Fatal("Delve does not listen")
	}
	go discard(server)
	conn, err := net.Dial("tcp", found[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	e := &editor{t: t, conn: conn, r: bufio.NewReader(conn)}
	e.ask("initialize", &dap.InitializeRequest{Arguments: dap.InitializeRequestArguments{AdapterID: "go", LinesStartAt1: true, ColumnsStartAt1: true, PathFormat: "path"}})
	e.ask("launch", &dap.LaunchRequest{Arguments: entry})
	e.ask("configurationDone", &dap.ConfigurationDoneRequest{})
	threads := e.ask("threads", &dap.ThreadsRequest{}).(*dap.ThreadsResponse)
	if len(threads.Body.Threads) == 0 {
		t.Fatal("the editor sees no goroutine")
	}
	stack := e.ask("stackTrace", &dap.StackTraceRequest{Arguments: dap.StackTraceArguments{ThreadId: threads.Body.Threads[0].Id}}).(*dap.StackTraceResponse)
	if len(stack.Body.StackFrames) == 0 {
		t.Fatal("the editor sees no frame")
	}
	value := e.ask("evaluate", &dap.EvaluateRequest{Arguments: dap.EvaluateArguments{
		Expression: "main.counter", FrameId: stack.Body.StackFrames[0].Id, Context: "watch",
	}}).(*dap.EvaluateResponse)
	if value.Body.Result != "43" {
		t.Errorf("the editor shows main.counter as %q, want 43", value.Body.Result)
	}
	e.ask("disconnect", &dap.DisconnectRequest{})
	conn.Close()
	if status := <-ended; status != exitDone {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Stat(core); err != nil {
		t.Errorf("the core is gone: %v", err)
	}
}

// discard reads to the end, so that the writer never waits.
func discard(r io.Reader) {
	_, _ = io.Copy(io.Discard, r) // it ends with the writer
}

// An editor is a DAP client.
type editor struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	seq  int
}

// ask sends a request and returns the response, or fails the test.
func (e *editor) ask(command string, request dap.RequestMessage) dap.Message {
	e.t.Helper()
	e.seq++
	r := request.GetRequest()
	r.Seq, r.Type, r.Command = e.seq, "request", command
	if err := dap.WriteProtocolMessage(e.conn, request); err != nil {
		e.t.Fatal(err)
	}
	for {
		m, err := dap.ReadProtocolMessage(e.r)
		if err != nil {
			e.t.Fatalf("%s: %v", command, err)
		}
		response, ok := m.(dap.ResponseMessage)
		if !ok || response.GetResponse().RequestSeq != e.seq {
			continue // an event
		}
		if failed, ok := m.(*dap.ErrorResponse); ok {
			e.t.Fatalf("%s: %s: %+v", command, failed.Message, failed.Body.Error)
		}
		return m
	}
}
