//go:build linux

package acceptance

import (
	"debug/elf"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/kinds/random"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A leaf is a number, a boolean, a text or a length in a core, with the expression for
// which Delve prints it.
type leaf struct{ expr, want string }

// leavesOf returns the first leaves of each region of a core. It leaves out what is below
// interfaces, weak pointers and entries of maps, for which Delve needs other expressions.
func leavesOf(t *testing.T, path string, each int) (all []leaf) {
	t.Helper()
	prog := openProgram(t, path)
	for i := range prog.Core.Regions {
		count := 0
		add := func(expr, want string) {
			if count++; count <= each {
				all = append(all, leaf{expr, want})
			}
		}
		visit := func(path *paths.Path, v *values.Value) bool {
			name := path.String()
			expr := name
			if slash := strings.LastIndexByte(name, '/'); slash >= 0 { // an import path is quoted
				dot := slash + strings.IndexByte(name[slash:], '.')
				expr = strconv.Quote(name[:dot]) + name[dot:]
			}
			text := v.Text
			if strings.HasPrefix(v.Type, "atomic.") {
				expr += ".v"
				text = strings.NewReplacer("true", "1", "false", "0").Replace(text)
			}
			switch {
			case v.Absent != "" || v.BackRef || count > each || path.Key() != nil:
				return false
			case v.Shape == values.Pointer:
				return !strings.HasPrefix(v.Type, "weak.") && v.Elem != nil && v.Elem.Shape == values.Struct
			case v.Shape == values.Literal && numeral.MatchString(v.Text):
				add(expr, text)
			case v.Shape == values.Text && v.Omitted == 0:
				add(expr, strconv.Quote(v.Text))
			case v.Shape == values.Map && !strings.HasPrefix(v.Type, "sync.") && v.Omitted == 0 && len(v.Notes) == 0: // it has all entries
				add("len("+expr+")", strconv.Itoa(len(v.Entries)))
			}
			return v.Shape == values.Struct && !strings.HasPrefix(v.Type, "sync.") || v.Shape == values.List
		}
		paths.Value(values.Region(prog, &prog.Core.Regions[i], values.Limits{Depth: 4, Elements: 20}), values.Label(&prog.Core.Regions[i], prog.Core.MainPath()), visit)
	}
	return all
}

var (
	numeral       = regexp.MustCompile(`^(true|false|-?[0-9.]+(e[-+][0-9]+)?|[-+]Inf|NaN)$`)
	delveConstant = regexp.MustCompile(`^.* \((-?\d+)\)$`)
	delveNotThere = regexp.MustCompile(`could not find symbol value|has no member|unreadable|not captured|no type entry found`)
)

// sameAsDelve compares the leaves of a core with what Delve prints of the same core. It
// returns how many are equal, and how many Delve cannot print.
func sameAsDelve(t *testing.T, exe, core string, leaves []leaf) (equal, not int) {
	t.Helper()
	exprs := make([]string, len(leaves))
	for i, l := range leaves {
		exprs[i] = l.expr
	}
	got, err := debuggers.DelvePrintAs(t.Context(), exe, core, []string{"config max-string-len 100000"}, exprs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range leaves {
		text := strings.TrimSpace(got[i])
		if m := delveConstant.FindStringSubmatch(text); m != nil {
			text = m[1]
		}
		switch {
		case text == l.want || sameNumber(text, l.want):
			equal++
		case delveNotThere.MatchString(text):
			not++
		default:
			t.Errorf("%s is %s, Delve prints %s", l.expr, l.want, clip(text))
		}
	}
	return equal, not
}

func sameNumber(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && strings.ContainsAny(a+b, ".eIN") && (x == y || x != x && y != y || float32(x) == float32(y))
}

// Numbers, texts and lengths are those that Delve prints of the same core: of a program
// with a variable of every kind, and of random programs.
func TestValuesAsDelve(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	opts := capture.Options{Stop: capture.StopAlways, Depth: deep, RegionBudget: 1 << 30, Budget: 1 << 30}
	check := func(t *testing.T, exe string, pid, least int) {
		t.Helper()
		core, _ := takeCore(t, pid, opts)
		leaves := leavesOf(t, core, 200)
		equal, not := sameAsDelve(t, exe, core, leaves)
		t.Logf("%d of %d values are equal, Delve cannot print %d", equal, len(leaves), not)
		if equal < least || not > len(leaves)/4 {
			t.Errorf("%d of %d values were compared", equal, len(leaves))
		}
	}
	t.Run("kinds", func(t *testing.T) {
		exe := kinds.Make(t, kinds.Build{Tables: true})
		check(t, exe, kinds.Start(t, exe), 200)
	})
	for seed := range uint64(matrix.Choose(2, 50)) {
		t.Run(fmt.Sprint("random ", seed+1), func(t *testing.T) {
			b := kinds.Build{Tables: true, Dir: t.TempDir()}
			p := random.Make(seed + 1)
			if err := p.Write(b.Dir); err != nil {
				t.Fatal(err)
			}
			exe := kinds.Make(t, b)
			check(t, exe, kinds.Start(t, exe, filepath.Join(b.Dir, "words"), filepath.Join(b.Dir, "own.core")), 1)
		})
	}
}

// A server is a program that others wrote.
type server struct {
	module, version, pkg string
	args                 func(port string) []string
	vars                 string // pattern of the package variables that are compared
}

var servers = []server{
	{"github.com/nats-io/nats-server/v2", "v2.15.3", "", func(port string) []string { return []string{"-a", "127.0.0.1", "-p", port} }, `^github\.com/nats-io/`},
	{"github.com/mochi-mqtt/server/v2", "v2.7.9", "cmd", func(port string) []string {
		return []string{"-tcp", "127.0.0.1:0", "-ws", "127.0.0.1:" + port, "-info", "127.0.0.1:0"}
	}, `^github\.com/(mochi-mqtt|rs|gorilla)/`},
	{"golang.org/x/tools", "v0.52.0", "cmd/present", func(port string) []string { return []string{"-http", "127.0.0.1:" + port} }, `^(golang\.org/x/|html/template|net/http)`},
}

// Of three servers of others, values, stacks and groups are those that Delve prints of the
// same core.
func TestServersAsDelve(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	if !matrix.Whole() {
		t.Skip(matrix.Sampled)
	}
	for _, s := range servers {
		t.Run(filepath.Base(strings.TrimSuffix(s.module, "/v2")), func(t *testing.T) {
			exe := s.install(t)
			cmd := s.start(t, exe)
			core, _ := takeCore(t, cmd.Process.Pid, capture.Options{Stop: capture.StopAlways, Include: variablesOf(t, exe, regexp.MustCompile(s.vars)), Budget: 1 << 30})

			leaves := leavesOf(t, core, 20)
			equal, not := sameAsDelve(t, exe, core, leaves)
			t.Logf("%d of %d values are equal, Delve cannot print %d", equal, len(leaves), not)
			if equal < 30 {
				t.Errorf("%d of %d values were compared", equal, len(leaves))
			}

			traces, want := read(t, core), delveGoroutines(t, exe, core)
			if len(traces) < 7 {
				t.Errorf("%d goroutines", len(traces))
			}
			for id, frames := range want {
				if got, w := joined(traces[id]), joined(frames); got != w {
					t.Errorf("goroutine %s:\n%s\nDelve:\n%s", id, got, w)
				}
			}
			list, _, err := stacks.Read(openProgram(t, core))
			if err != nil {
				t.Fatal(err)
			}
			for by, counts := range groupCounts(list) {
				want := delveGroups(t, exe, core, by)
				for name, n := range want {
					// Of a function literal Delve names the wrapper.
					if literal := wrapper.ReplaceAllString(name, ".func1"); counts[name] != n && counts[literal] != n {
						t.Errorf("%s: %d goroutines at %s, Delve has %d", by, counts[name], name, n)
					}
				}
				if len(counts) != len(want) {
					t.Errorf("%s: %d groups, Delve has %d", by, len(counts), len(want))
				}
			}
			t.Logf("%d goroutines", len(list))
		})
	}
}

var wrapper = regexp.MustCompile(`\.gowrap[0-9]+$`)

// install builds the server from the module proxy.
func (s *server) install(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("go", "install", strings.TrimSuffix(s.module+"/"+s.pkg, "/")+"@"+s.version)
	cmd.Dir = bin
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(bin, "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// start starts the server, and waits until it answers.
func (s *server) start(t *testing.T, exe string) *exec.Cmd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(exe, s.args(port)...)
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await.True(t, "the server answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	client := http.Client{Timeout: 10 * time.Second}
	if resp, err := client.Get("http://" + address); err == nil { // some answer so
		_ = resp.Body.Close()
	}
	return cmd
}

// variablesOf returns the package variables of an executable whose names match a pattern.
func variablesOf(t *testing.T, exe string, pattern *regexp.Regexp) (names []string) {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	const most = 200
	variable := regexp.MustCompile(`^[\w./-]+\.[A-Za-z]\w*$`)
	for _, s := range symbols {
		data := int(s.Section) < len(f.Sections) && f.Sections[s.Section].Flags&elf.SHF_WRITE != 0
		if data && s.Size > 0 && pattern.MatchString(s.Name) && variable.MatchString(s.Name) && !strings.Contains(s.Name, "..") {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), most)]
}
