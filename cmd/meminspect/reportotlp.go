package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/inspect/facts"
	"github.com/meminspect/meminspect/internal/inspect/report"
)

// These types are the part of OTLP that a log record needs, in its JSON form: an
// ExportLogsServiceRequest. The tests read it with the collector's own package.
type (
	otlpLogs struct {
		ResourceLogs []otlpResourceLogs `json:"resourceLogs"`
	}
	otlpResourceLogs struct {
		Resource  otlpResource    `json:"resource"`
		ScopeLogs []otlpScopeLogs `json:"scopeLogs"`
	}
	otlpResource struct {
		Attributes otlpAttributes `json:"attributes"`
	}
	otlpScopeLogs struct {
		Scope      otlpScope    `json:"scope"`
		LogRecords []otlpRecord `json:"logRecords"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpRecord struct {
		Time           string         `json:"timeUnixNano,omitempty"`
		SeverityNumber int            `json:"severityNumber"`
		SeverityText   string         `json:"severityText"`
		EventName      string         `json:"eventName"`
		Body           otlpValue      `json:"body"`
		Attributes     otlpAttributes `json:"attributes"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"` // of 64 bits
	}
	otlpAttributes []otlpAttribute
)

// text adds an attribute if it has a value.
func (a *otlpAttributes) text(key, value string) {
	if value != "" {
		*a = append(*a, otlpAttribute{key, otlpValue{String: &value}})
	}
}

func (a *otlpAttributes) number(key string, value int64) {
	if value != 0 {
		text := strconv.FormatInt(value, 10)
		*a = append(*a, otlpAttribute{key, otlpValue{Int: &text}})
	}
}

// Severities of OTLP.
const (
	otlpWarn  = 13
	otlpFatal = 21
)

// otlpOf returns the report as a log record of OpenTelemetry. The names of
// attributes are those of its semantic conventions, as far as there are some.
func otlpOf(r *reportJSON) otlpLogs {
	record := otlpRecord{SeverityNumber: otlpWarn, SeverityText: "WARN", EventName: "meminspect.core", Body: otlpValue{String: &r.Title}, Attributes: otlpAttributes{}}
	if (report.Cause{Reason: r.Reason}).End() {
		record.SeverityNumber, record.SeverityText = otlpFatal, "FATAL"
	}
	if r.When != nil {
		record.Time = strconv.FormatInt(r.When.UnixNano(), 10)
	}
	a := &record.Attributes
	a.text("exception.type", r.PanicType)
	a.text("exception.message", r.Message)
	a.text("exception.stacktrace", stackText(r.Failed))
	a.text("meminspect.reason", r.Reason)
	a.text("meminspect.core", r.Core)
	if r.Signature != nil {
		a.text("meminspect.signature.id", r.Signature.ID)
		a.text("meminspect.signature.title", r.Signature.Title)
	}
	return otlpLogs{[]otlpResourceLogs{{
		Resource:  otlpResource{otlpResourceOf(r)},
		ScopeLogs: []otlpScopeLogs{{otlpScope{Name: "github.com/meminspect/meminspect"}, []otlpRecord{record}}},
	}}}
}

// otlpResourceOf describes the program and the place where it ran.
func otlpResourceOf(r *reportJSON) otlpAttributes {
	a := otlpAttributes{}
	a.text("service.name", filepath.Base(r.Program))
	if b := r.Build; b != nil {
		a.text("service.version", b.Version)
		a.text("vcs.ref.head.revision", b.Revision)
	}
	a.text("host.name", r.Host)
	a.number("process.pid", int64(r.PID))
	a.text("process.executable.path", r.Program)
	if r.GoVersion != "" {
		a.text("process.runtime.name", "go")
		a.text("process.runtime.version", r.GoVersion)
	}
	var where facts.Where
	if p := r.Process; p != nil {
		where = p.Where
		if p.Started != nil {
			a.text("process.creation.time", p.Started.UTC().Format(time.RFC3339Nano))
		}
	}
	a.text("container.id", where.Container)
	a.text("container.image.name", where.Image)
	a.text("k8s.pod.name", where.Pod)
	a.text("k8s.pod.uid", where.PodUID)
	a.text("k8s.namespace.name", where.Namespace)
	a.text("k8s.node.name", where.Node)
	for _, key := range sortedKeys(r.Tags) {
		a.text("meminspect.tag."+key, r.Tags[key])
	}
	return a
}

// stackText returns the calls as Go writes them in a traceback.
func stackText(g *failedJSON) string {
	if g == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "goroutine %d [%s]:\n", g.ID, g.State)
	for i := range g.Calls {
		c := &g.Calls[i]
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", c.Function, c.File, c.Line)
		if c.Omitted != nil {
			fmt.Fprintf(&b, "...%d frames elided...\n", c.Omitted.Calls) // as in a traceback
		}
	}
	if c := g.Created; c != nil {
		fmt.Fprintf(&b, "created by %s\n\t%s:%d\n", c.Function, c.File, c.Line)
	}
	return b.String()
}
