package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// bucket FOLDER starts another project's server with the interface of S3, which keeps
// the bucket "cores" in FOLDER, and sets the variables of its endpoint and
// credentials.
func bucket(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: bucket FOLDER")
	}
	server, err := debuggers.Find("rclone-s3")
	ts.Check(err)
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder+"/cores", 0o700))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	ts.Check(l.Close())
	const id, secret = "AKIATEST0001", "s3cret-s3cret-s3cret"
	cmd := exec.Command(server, "serve", "s3", "--addr", address, "--auth-key", id+","+secret, "--config", os.DevNull, folder)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if !await.Poll(func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		ts.Fatalf("%s does not listen", server)
	}
	ts.Setenv("AWS_ENDPOINT_URL", "http://"+address)
	ts.Setenv("AWS_ACCESS_KEY_ID", id)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

// collector is the command collect NAME FILE. It starts the receiver of the OpenTelemetry
// Collector, sets the variable NAME to its URL, and writes to FILE what it accepts.
func collector(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: collect NAME FILE")
	}
	receiver, err := debuggers.Find("otlp-receiver")
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	cmd := exec.Command(receiver)
	cmd.Stdout = file
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
		file.Close()
	})
	address := ""
	if !await.Poll(func() bool {
		f, err := os.Open(file.Name())
		if err != nil {
			return false
		}
		defer f.Close()
		address, err = bufio.NewReader(f).ReadString('\n')
		return err == nil
	}) {
		ts.Fatalf("%s does not listen", receiver)
	}
	ts.Setenv(args[0], "http://"+strings.TrimSpace(address))
}
