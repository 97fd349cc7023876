//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/signature"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/internal/supervise/notify"
)

// notifyVariable replaces --notify.
const notifyVariable = "MEMINSPECT_NOTIFY"

const (
	// notifyEnd is how long the end of a program waits for its notification. The
	// next start posts what is left.
	notifyEnd = time.Second

	// notifyWait bounds one request.
	notifyWait = 10 * time.Second
)

// notifier starts to post notifications to the URL of --notify. It returns nil
// without that flag.
func (f *runFlags) notifier(config *supervise.Config) (*notify.Notifier, error) {
	if f.notify == "" {
		f.notify = os.Getenv(notifyVariable)
	}
	// The URL is a secret, which the program must not see.
	config.Env = slices.DeleteFunc(config.Env, func(kv string) bool { return strings.HasPrefix(kv, notifyVariable+"=") })
	if f.notify == "" {
		return nil, nil
	}
	if u, err := url.Parse(f.notify); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("run: --notify: want a URL that begins with https:// or http://") // without the URL
	}
	note := func(text string) {
		config.Report.Report(supervise.Event{Time: time.Now(), What: supervise.Note, Text: text})
	}
	if inTheClear(f.notify) {
		note("--notify posts reports over plain HTTP, so anyone on the network can read them: use https")
	}
	provideRoots()
	n := &notify.Notifier{
		URL: f.notify, Dir: filepath.Join(f.dir, "notify"), Pauses: notify.DefaultPauses(),
		Client: &http.Client{
			Timeout:       notifyWait,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a POST would become a GET
		},
		Failed: func(err error) { note(err.Error()) },
	}
	if err := n.Start(); err != nil {
		note(err.Error() + ": nothing is posted")
		return nil, nil //nolint:nilerr // the report has it
	}
	return n, nil
}

// notification returns the body of the notification of a core. If the core cannot
// be read, it has the facts that the supervisor knows.
func (f *runFlags) notification(c supervise.Core, where string, failed error, values bool) ([]byte, error) {
	body := &reportJSON{
		Core: where, Bytes: c.Size, Reason: c.Reason, Program: c.Program, PID: c.PID,
		Title: c.Program + " " + report.Cause{Reason: c.Reason}.String(),
	}
	if failed != nil {
		body.Gaps = []string{"the core was not delivered: " + failed.Error()}
	}
	if !c.When.IsZero() {
		when := c.When.UTC()
		body.When = &when
	}
	if id, title, ok := strings.Cut(c.Signature, " "); ok {
		body.Signature = &signature.Signature{ID: id, Title: title}
	}
	body.Host, _ = os.Hostname()
	err := withCore(c, func(prog *inspect.Program) error {
		var whole *reportJSON
		if c.Size <= maxForAll {
			whole = reportOf(report.Make(prog, ""), nil)
		} else {
			whole = reportOf(report.Brief(prog), nil)
		}
		if !values {
			whole = withoutValues(whole, body)
		}
		whole.Core, whole.Gaps = where, append(body.Gaps, whole.Gaps...)
		body = whole
		return nil
	})
	if err != nil {
		body.Gaps = append(body.Gaps, err.Error())
	}
	return f.encodeReport(body)
}

// maxForAll bounds the cores of which a notification has all goroutines: the
// program's restart waits for that.
const maxForAll = 16 << 20

// encodeReport returns the report in the format of --notify-format.
func (f *runFlags) encodeReport(r *reportJSON) ([]byte, error) {
	if f.notifyFormat.value == "otlp" {
		return json.Marshal(otlpOf(r))
	}
	return json.Marshal(r)
}

// withoutValues returns the part of a report that has no value of the program:
// brief, and the build and the place.
func withoutValues(r, brief *reportJSON) *reportJSON {
	out := *brief
	out.Gaps = nil
	out.GoVersion, out.Bytes = r.GoVersion, r.Bytes
	if b := r.Build; b != nil {
		out.Build = &facts.Build{Package: b.Package, Module: b.Module, Version: b.Version, Revision: b.Revision, Time: b.Time, Modified: b.Modified}
	}
	if p := r.Process; p != nil {
		out.Process = &facts.Process{Started: p.Started, Uptime: p.Uptime, Where: p.Where}
	}
	return &out
}

// maxForReport bounds the cores that a report is made of while the program is
// supervised: it needs a copy in memory, and the program's control group may be
// short of memory.
const maxForReport = 64 << 20

// withCore calls f with a core that is about to be delivered, or has been: with
// a decrypted copy. The copy is only in memory: a container may have no writable
// place, and a core that is encrypted on its way must not be on a disk in the
// clear.
func withCore(c supervise.Core, f func(*inspect.Program) error) error {
	if c.Size <= 0 || c.Size > maxForReport {
		return fmt.Errorf("no values: the core is larger than %d bytes, or is the kernel's own", maxForReport)
	}
	if c.Suffix != "" {
		return errors.New("no values: the core is a snapshot that a supervisor before this one encrypted")
	}
	file, err := corefile.InMemory("core")
	if err != nil {
		return fmt.Errorf("no values: %w", err)
	}
	defer file.Close()
	if err := c.Write(file); err != nil {
		return err
	}
	core, err := inspect.Read(file, c.Size)
	if err != nil {
		return err
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		return err
	}
	defer prog.Close()
	return f(prog)
}
