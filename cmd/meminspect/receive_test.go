package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

// receive NAME FILE starts an HTTP server that appends the body of each request
// to FILE, and sets the variable NAME to its URL. It validates reports: those for
// /v1/logs as a collector reads them, which gives the lines of FILE.
func receive(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: receive NAME FILE")
	}
	schema, err := compileSchema("report")
	ts.Check(err)
	var mu sync.Mutex
	path := ts.MkAbs(args[1])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/logs" {
			body, err = collect(body)
		} else if err == nil {
			err = validate(schema, bytes.NewReader(body))
		}
		if err != nil {
			body = []byte("invalid: " + err.Error())
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(append(body, '\n'))
			f.Close()
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// collect reads a request for a collector, and returns a line for each attribute
// of its log records.
func collect(body []byte) ([]byte, error) {
	request := plogotlp.NewExportRequest()
	if err := request.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	// What a reader does not know, it skips: written again, nothing may be missing.
	again, err := request.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if want, got := bytes.Count(body, []byte(`"key":`)), bytes.Count(again, []byte(`"key":`)); want != got {
		return []byte("invalid: attributes are not read"), nil
	}
	var lines bytes.Buffer
	for _, logs := range request.Logs().ResourceLogs().All() {
		for key, value := range logs.Resource().Attributes().All() {
			lines.WriteString(key + ": " + value.AsString() + "\n")
		}
		for _, scope := range logs.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				lines.WriteString(describeRecord(record))
			}
		}
	}
	return lines.Bytes(), nil
}

func describeRecord(r plog.LogRecord) string {
	text := r.SeverityNumber().String() + " " + r.EventName() + " " + r.Timestamp().AsTime().Format("2006") + " " + r.Body().AsString() + "\n"
	for key, value := range r.Attributes().All() {
		text += key + ": " + value.AsString() + "\n"
	}
	return text
}
