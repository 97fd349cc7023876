package suggest

import (
	"go/types"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/secret"
)

// A kind is what a value is to a reader of a core.
type kind struct {
	noun   string
	weight int
	// content is whether the value leads to others, of which its name may be right.
	content bool
}

// growing reports whether the value itself grows.
func (k kind) growing() bool { return k.noun == "map" || k.noun == "channel" || k.noun == "list" }

// noKind is the kind of values that are not state: functions, errors, loggers.
var noKind = kind{}

// stateTypes are types of other modules that have state.
var stateTypes = map[string]kind{
	"container/list.List": {"list", 46, true},
	"container/ring.Ring": {"ring", 40, true},
	"expvar.Float":        {"counter", 40, false},
	"expvar.Int":          {"counter", 40, false},
	"expvar.Map":          {"map of counters", 46, false},
	"sync.Cond":           {"condition variable", 16, false},
	"sync.Map":            {"map", 50, true},
	"sync.Mutex":          {"lock", 30, false},
	"sync.RWMutex":        {"lock", 30, false},
	"sync.WaitGroup":      {"count of running work", 20, false},
	"sync/atomic.Bool":    {"flag", 30, false},
	"sync/atomic.Int32":   {"number", 22, false},
	"sync/atomic.Int64":   {"number", 22, false},
	"sync/atomic.Pointer": {"current value", 38, true},
	"sync/atomic.Uint32":  {"number", 22, false},
	"sync/atomic.Uint64":  {"number", 22, false},
	"sync/atomic.Value":   {"current value", 38, true},
	"time.Duration":       {"duration", 12, false},
	"time.Time":           {"time", 22, false},
}

// plumbing begins the names of types that have no state that a reader needs, or
// whose state a service exports in another way.
var plumbing = []string{
	"bufio.", "bytes.", "context.", "embed.", "encoding/", "flag.", "hash", "html/", "io.", "io/", "log.", "log/", "math/rand",
	"net.IP", "net/http.Client", "net/http.Transport", "net/netip.", "net/url.", "os.", "reflect.", "regexp.", "strings.",
	"sync.Once", "sync.Pool", "testing.", "text/", "time.Location", "unicode",
	"github.com/alecthomas/kingpin", "github.com/grpc-ecosystem/", "github.com/prometheus/", "github.com/rs/zerolog", "github.com/sirupsen/logrus",
	"github.com/spf13/", "github.com/urfave/cli", "go.opentelemetry.io/", "go.opencensus.io/", "go.uber.org/zap",
	"google.golang.org/grpc.ServiceDesc", "google.golang.org/protobuf/", "golang.org/x/text/", "k8s.io/klog",
}

// kindOf returns the kind of a value by its type and name.
func (p *program) kindOf(t types.Type, name string) kind {
	if named := namedOf(t); named != nil && !p.ours(named.Obj().Pkg()) {
		return foreignKind(named, name)
	}
	named := namedOf(t)
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return kind{"map", 50, true}
	case *types.Chan:
		if s, ok := u.Elem().Underlying().(*types.Struct); ok && s.NumFields() == 0 {
			return kind{"signal channel", 14, false}
		}
		return kind{"channel", 42, true}
	case *types.Slice:
		if secret.IsText(t) {
			return noKind // bytes: without their meaning they help little
		}
		return kind{"list", 34, true}
	case *types.Array:
		return kind{"table", 24, true}
	case *types.Basic:
		return basicKind(u)
	case *types.Interface:
		if types.Identical(t, types.Universe.Lookup("error").Type()) || strings.Contains(strings.ToLower(shortName(named)), "log") {
			return noKind
		}
		return kind{"value", 26, true}
	case *types.Struct:
		switch {
		case isConfig(name) || isConfig(shortName(named)):
			return kind{"configuration", 36, true}
		case named != nil && p.growing(named) > 0:
			return kind{"state", 36 + 4*min(3, p.growing(named)), true}
		}
		return kind{"value", 24, true}
	}
	return noKind
}

func basicKind(t *types.Basic) kind {
	switch {
	case t.Info()&types.IsBoolean != 0:
		return kind{"flag", 24, false}
	case t.Info()&types.IsNumeric != 0:
		return kind{"number", 20, false}
	case t.Info()&types.IsString != 0:
		return kind{"text", 12, false}
	}
	return noKind
}

func foreignKind(named *types.Named, name string) kind {
	full := typeName(named)
	if k, ok := stateTypes[full]; ok {
		return k
	}
	isPlumbing := func(prefix string) bool { return strings.HasPrefix(full, prefix) }
	if named.Obj().Pkg() == nil || slices.ContainsFunc(plumbing, isPlumbing) || strings.HasSuffix(full, "Func") {
		return noKind
	}
	switch named.Underlying().(type) {
	case *types.Struct:
		if isConfig(name) || isConfig(named.Obj().Name()) {
			return kind{"configuration", 34, true}
		}
		return kind{"value", 26, true}
	case *types.Map:
		return kind{"map", 46, true}
	case *types.Interface:
		return kind{"value", 22, true}
	}
	return noKind
}

// growing counts the fields of a struct type of the module that grow, count or
// lock while the program runs.
func (p *program) growing(named *types.Named) int {
	structure, ok := named.Underlying().(*types.Struct)
	if !ok {
		return 0
	}
	n := 0
	for field := range structure.Fields() {
		if p.isState(field.Origin()) {
			n++
		}
	}
	return n
}

// isState reports whether a field grows or counts, and is changed after the
// program's initialization.
func (p *program) isState(field *types.Var) bool {
	v := p.vars[field]
	if v == nil {
		return false
	}
	counts := false
	changed := slices.ContainsFunc(v.uses, func(u use) bool {
		counts = counts || u.counts && !u.fn.initial
		return !u.fn.initial && p.changes(&u)
	})
	if !changed {
		return false
	}
	t := field.Type()
	if named := namedOf(t); named != nil && !p.ours(named.Obj().Pkg()) {
		k := foreignKind(named, field.Name())
		return k.weight >= 30
	}
	switch t.Underlying().(type) {
	case *types.Map, *types.Chan, *types.Slice:
		return !secret.IsText(t)
	}
	return counts
}

func shortName(named *types.Named) string {
	if named == nil {
		return ""
	}
	return named.Obj().Name()
}

// hasWord reports whether a word of a Go name is among words, in the singular or
// the plural.
func hasWord(name string, words ...string) bool {
	return slices.ContainsFunc(secret.Words(name), func(word string) bool {
		return slices.Contains(words, word) || slices.Contains(words, strings.TrimSuffix(word, "s"))
	})
}

func isConfig(name string) bool {
	return hasWord(name, "config", "cfg", "conf", "setting", "option", "opt", "flag", "param", "configuration")
}

// stateWords in a name show that its value is state that a reader looks for.
var stateWords = []string{
	"active", "backlog", "breaker", "cache", "client", "cluster", "conn", "connection", "context", "counter", "current", "hub",
	"inflight", "job", "lease", "limiter", "listener", "manager", "member", "node", "peer", "pending", "pool", "queue",
	"registry", "replica", "running", "scheduler", "server", "session", "shard", "state", "stat", "status", "store", "stream",
	"subscription", "task", "topic", "tracker", "worker",
}
