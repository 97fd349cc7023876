//go:build linux

package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/inspect"
	"github.com/meminspect/meminspect/inspect/page"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/damage"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/request"
)

// views are the buttons of the page.
var views = []string{"Summary", "Goroutines", "Waits", "Values", "Memory", "Log", "Compare"}

// The bundle in the repository is that of the sources, and within its bound.
func TestBundleIsCurrent(t *testing.T) {
	script, style, err := Bundle(".")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{"../app.js": script, "../app.css": style} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the sources: run go generate", filepath.Base(path))
		}
		lower := bytes.ToLower(got)
		for _, end := range []string{"</script", "</style", "<!--"} {
			if bytes.Contains(lower, []byte(end)) {
				t.Errorf("%s contains %s, which would end its element", filepath.Base(path), end)
			}
		}
	}
	const most = 250_000
	if n := len(script) + len(style); n > most {
		t.Errorf("the bundle has %d bytes, more than %d", n, most)
	}
}

// browser starts Chromium. It ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium: make test installs it")
		}
		t.Skip("no chromium: make test installs it")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900))
	for _, off := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(off, true))
	}
	ctx, cancel := context.WithTimeout(t.Context(), matrix.Choose(5*time.Minute, time.Hour))
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	return ctx
}

// A tab is a page in the browser.
type tab struct {
	testing.TB
	ctx context.Context
}

// open opens a page and waits until it has rendered.
func open(ctx context.Context, t *testing.T, url string) *tab {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	p := &tab{t, ctx}
	p.await("document.querySelector('nav button') !== null")
	return p
}

// js evaluates an expression, which may be a promise, and returns its JSON.
func (p *tab) js(expression string) string {
	p.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("(async () => JSON.stringify(await ("+expression+")) ?? 'null')()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return text
}

// await waits until an expression is true.
func (p *tab) await(expression string) {
	p.Helper()
	for range 1000 {
		if p.js(expression) == "true" {
			return
		}
		p.js("new Promise(requestAnimationFrame)")
	}
	p.Fatalf("never true: %s; the page has: %.2000s", expression, p.js("document.body.innerText"))
}

// click clicks the first button with a text and waits until the page has rendered. It
// returns the time that this took.
func (p *tab) click(text string) time.Duration {
	p.Helper()
	quoted, _ := json.Marshal(text)
	return p.do("button(" + string(quoted) + ")")
}

// do does what a user does, in JavaScript, and waits until the page has rendered. It
// returns the time that this took. The functions are those of a user: button clicks the
// first button with a text, press the first element that a selector finds, enter types
// into the search field, pick chooses from the list of the view, key presses a key there
// where a selector leads, or where the focus is.
func (p *tab) do(action string) time.Duration {
	p.Helper()
	var ms float64
	out := p.js(`(async () => {
		const find = (what, element) => { if (!element) throw new Error('no ' + what); return element }
		const button = (text) => find('button ' + text, [...document.querySelectorAll('button')].find((b) => b.innerText.trim() === text)).click()
		const press = (selector) => find(selector, document.querySelector(selector)).click()
		const set = (selector, value, event) => { const e = find(selector, document.querySelector(selector)); e.value = value; e.dispatchEvent(new Event(event, {bubbles: true})) }
		const enter = (text) => set('main input[type=search]', text, 'input')
		const pick = (value) => set('main select', value, 'change')
		const key = (name, selector) => { const e = selector ? find(selector, document.querySelector(selector)) : document.activeElement; e.focus(); e.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true})) }
		const began = performance.now()
		await (async () => { ` + action + ` })()
		await new Promise((done) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0) }))
		return performance.now() - began
	})()`)
	if err := json.Unmarshal([]byte(out), &ms); err != nil {
		p.Fatalf("%s: %v", action, err)
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// clickThrough opens every view. It fails if one is empty, throws, asks for what the
// policy forbids, or has markup of the core.
func (p *tab) clickThrough(what string) {
	p.Helper()
	p.js("(globalThis.faults = [], ['error', 'unhandledrejection', 'securitypolicyviolation'].forEach((e) => addEventListener(e, (v) => faults.push(e + ' ' + (v.message ?? v.reason ?? v.violatedDirective)))))")
	for _, view := range views {
		p.click(view)
		if p.js("document.querySelector('main').innerText.trim() !== ''") != "true" {
			p.Errorf("%s: %s is empty", what, view)
		}
	}
	if faults := p.js("faults"); faults != "[]" {
		p.Errorf("%s: %s", what, faults)
	}
	if p.js("document.title.includes('owned') || document.querySelector('#app img, #app script') !== null") != "false" {
		p.Errorf("%s: the core is a part of the page's markup", what)
	}
}

// accessible fails if axe finds a violation.
func (p *tab) accessible(where string) {
	p.Helper()
	if p.js("typeof axe") == `"undefined"` {
		text, err := os.ReadFile(axe)
		if err != nil {
			p.Fatal(err)
		}
		if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](string(text))); err != nil {
			p.Fatal(err)
		}
	}
	found := p.js("axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.slice(0, 2).map((n) => n.html.slice(0, 200)).join(' ')))")
	if found != "[]" {
		p.Errorf("%s: axe finds %s", where, found)
	}
}

// picture writes a picture of a view that the docs show into docs/images, if
// UPDATE_IMAGES is set.
func (p *tab) picture(view string) {
	p.Helper()
	if os.Getenv("UPDATE_IMAGES") == "" || !slices.Contains([]string{"Goroutines", "Waits", "Heap"}, view) {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile("../../../../docs/images/view-"+strings.ToLower(view)+".png", png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// service starts the test program, and returns its core.
func service(t *testing.T, goroutines, lists int) *inspect.Core {
	t.Helper()
	pid, _ := start(t, goroutines, lists)
	return attach(t, pid)
}

// attach returns a core of a process.
func attach(t *testing.T, pid int) *inspect.Core {
	t.Helper()
	core, err := inspect.Attach(t.Context(), pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.Close() })
	return core
}

// start starts the test program. It returns its process ID and what it prints, once its
// deadlock is there.
func start(t *testing.T, goroutines, lists int) (pid int, out *bufio.Reader) {
	t.Helper()
	pid, out = run(t, "./testdata/service", fmt.Sprint(goroutines), fmt.Sprint(lists))
	// Goroutines that printed ready are about to wait.
	await.True(t, "a core has the deadlock", func() bool { return locked(t, pid) })
	return pid, out
}

// run builds and starts a program. It returns its process ID, once it printed a line, and
// what it prints later.
func run(t *testing.T, dir string, args ...string) (pid int, later *bufio.Reader) {
	t.Helper()
	pid, later, _ = begin(t, compile(t, dir), args...)
	return pid, later
}

// compile builds the program of a directory.
func compile(t *testing.T, dir string) (exe string) {
	t.Helper()
	exe = filepath.Join(t.TempDir(), filepath.Base(dir))
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Dir = dir
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		cmd.Env = append(os.Environ(), "GOWORK=off") // a module that is not in the workspace
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

// begin starts a program, which ends with the test. It returns its process ID, once it
// printed a line, what it prints later, and its input.
func begin(t *testing.T, exe string, args ...string) (pid int, later *bufio.Reader, in io.Writer) {
	t.Helper()
	cmd := exec.Command(exe, args...)
	cmd.Dir, cmd.Stderr = t.TempDir(), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	later = bufio.NewReader(out)
	if _, err := later.ReadString('\n'); err != nil {
		t.Fatalf("%s printed no line: %v", exe, err)
	}
	return cmd.Process.Pid, later, in
}

// locked reports whether goroutines wait for both locks of the test program.
func locked(t *testing.T, pid int) bool {
	t.Helper()
	core, err := inspect.Attach(t.Context(), pid)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	objects, err := core.Waits()
	if err != nil {
		t.Fatal(err)
	}
	locks := 0
	for _, o := range objects {
		if o.Kind == "sync.Mutex" {
			locks++
		}
	}
	return locks == 2
}

// file writes the page of cores to a file and returns its URL and size.
func file(t *testing.T, cores ...*inspect.Core) (url string, size int) {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, cores...); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "core.html")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path, b.Len()
}

// Every view shows what the core has, from a file, without a request, and is accessible
// on a wide and on a narrow screen.
func TestViews(t *testing.T) {
	ctx := browser(t)
	core := service(t, 30, 2)
	url, _ := file(t, core, core)
	p := open(ctx, t, url)
	for view, want := range map[string]string{
		"Summary": "2 × main.deadlock", "Goroutines": "main.deadlock", "Waits": "Deadlock of 2 goroutines", "Values": "service",
		"Memory": "Segments", "Log": "it went wrong", "Compare": "0 changes of values",
	} {
		p.click(view)
		p.await("document.querySelector('main').innerText.includes('" + want + "')")
		p.accessible(view)
		p.picture(view)
	}

	p.click("Goroutines")
	p.js("[...document.querySelectorAll('.bar')].find((b) => b.innerText.includes('main.deadlock')).click()")
	p.await("document.querySelector('[aria-live]').innerText.startsWith('2 goroutines')")
	p.js("document.querySelector('.table button').click()")
	p.await("document.querySelector('#stack') !== null && document.querySelectorAll('.bar.path').length > 0")
	p.accessible("Goroutines, selected")
	// A chosen bar has the whole width, and so have those above it.
	p.await("[...document.querySelectorAll('.bar')].filter((b) => b.style.width === '100%').length > 1 && document.querySelector('.bar[aria-pressed=true]').style.width === '100%'")
	p.click("Show all goroutines")
	// A table is one stop of the Tab key; the arrow keys move in it.
	p.click("Goroutines")
	p.await("[...document.querySelectorAll('.scroll .row button')].filter((b) => b.tabIndex === 0).length === 1")
	key := func(key string) {
		p.js("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '" + key + "', bubbles: true}))")
	}
	p.js("document.querySelector('.table .scroll').focus()")
	key("ArrowDown")
	p.await("document.activeElement.dataset.index === '1'")
	key("End")
	p.await("Number(document.activeElement.dataset.index) > 20")
	p.js("document.querySelector('.table .scroll').scrollTo(0, 0)")
	p.await("document.querySelector('.row[data-index=\"0\"]') !== null && Number(document.activeElement.dataset.index) > 20")
	key("Enter")
	p.await("document.querySelector('#stack') !== null")

	p.click("Log")
	p.js("(() => { const s = document.querySelector('main select'); s.value = '8'; s.dispatchEvent(new Event('change', {bubbles: true})) })()")
	p.await("document.querySelectorAll('.scroll .row').length === 1")

	p.click("Values")
	p.js("document.querySelector('[role=tree]').focus()")
	for _, key := range []string{"ArrowRight", "ArrowDown", "End", "Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"} {
		p.js("document.querySelector('[role=tree]').dispatchEvent(new KeyboardEvent('keydown', {key: '" + key + "', bubbles: true}))")
		p.js("new Promise(requestAnimationFrame)")
	}
	p.await("document.querySelector('[aria-level=\"3\"]') !== null")
	p.await("document.querySelector('.details input').value.startsWith('service.')")
	p.accessible("Values, opened")
	p.js("(() => { const s = document.querySelector('main input[type=search]'); s.value = 'chair'; s.dispatchEvent(new Event('input', {bubbles: true})) })()")
	p.await(`document.querySelector('.value .name')?.innerText === 'service.Orders["ada"].Next.Name'`)

	// The page shows of a value what print shows.
	for text, want := range map[string]string{"1m30s": "service.Timeout", "wrapError": "service.Err", "1 waiter": "service.A"} {
		p.click("Values")
		p.do("enter('" + text + "')")
		p.await("[...document.querySelectorAll('.value .name')].some((e) => e.innerText === '" + want + "')")
		p.do("enter('')")
	}

	// A phone, and a small screen at twice the size of text.
	for _, size := range [][2]int64{{360, 740}, {640, 450}} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1])); err != nil {
			t.Fatal(err)
		}
		for _, view := range views {
			p.click(view)
			switch view {
			case "Goroutines":
				p.do("press('.scroll .row button')")
			case "Values":
				p.do("key('ArrowRight', '[role=tree]')")
			case "Waits":
				p.await("(() => { const g = document.querySelector('.graph').getBoundingClientRect(), b = document.querySelector('.box.cycle').getBoundingClientRect(); return b.left >= g.left && b.top >= g.top && b.bottom <= g.bottom })()")
			}
			p.accessible(fmt.Sprint(view, " at ", size[0], " pixels"))
			if width := p.js("document.documentElement.scrollWidth"); width != fmt.Sprint(size[0]) {
				t.Errorf("%s is wider than %d pixels: %s", view, size[0], width)
			}
		}
	}
}

// The URL names the view, the core and what is shown in it: a link leads there, and Back
// returns. A fragment that names nothing leads to the summary.
func TestLinks(t *testing.T) {
	ctx := browser(t)
	core := service(t, 30, 1)
	url, _ := file(t, core, core)
	p := open(ctx, t, url)
	p.await("[...document.querySelectorAll('main [role=note]')].some((e) => e.innerText.includes('Deadlock of 2 goroutines'))")
	p.await("/main.deadlock *sync.Mutex.Lock service\\/main.go:[0-9]+/.test(document.querySelector('main').innerText)")
	p.await("/[0-9:.]{12} ERROR it went wrong code=7/.test(document.querySelector('main').innerText)")
	p.await("document.querySelector('main').innerText.includes('0 changes of values')")
	p.await("/service\\.A *\\(sync\\.Mutex\\): 1 goroutine locks: main\\.deadlock/.test(document.querySelector('main').innerText)")
	p.js("[...document.querySelectorAll('button')].find((b) => b.innerText === '2 × main.deadlock').focus()")
	p.click("2 × main.deadlock")
	p.await("document.activeElement.id === 'view'") // and not on nothing
	p.await("document.querySelector('#stack') !== null && document.querySelectorAll('.bar.path').length > 0")
	p.await("document.querySelector('#stack').getBoundingClientRect().top < innerHeight")
	p.click("Waits")
	p.await("document.querySelector('main').innerText.includes('chan os.Signal')")
	p.click("service.A")
	p.await("location.hash === '#view=Values&core=2&at=service.A'")
	p.await("document.querySelector('.details input').value === 'service.A'")
	link := p.js("location.href")
	p.js("history.back()")
	p.await("document.querySelector('main').getAttribute('aria-label') === 'Waits'")
	p.js("history.go(-1)")
	p.await("document.querySelector('#stack') !== null")
	p.js("(() => { const s = document.querySelector('header select'); s.value = '0'; s.dispatchEvent(new Event('change', {bubbles: true})) })()")
	p.await("location.hash.includes('core=1') && document.querySelector('#stack') !== null")

	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the link loads the page again
		t.Fatal(err)
	}
	p = open(ctx, t, strings.Trim(link, `"`))
	p.await("document.querySelector('.details input').value === 'service.A'")
	// What the keyboard leads to is in the URL too, and no step of Back.
	steps := p.js("history.length")
	for range 3 {
		p.do("key('ArrowDown', '[role=tree]')")
	}
	selected := p.js("document.querySelector('.details input').value")
	p.await("new URLSearchParams(location.hash.slice(1)).get('at') === " + selected + " && history.length === " + steps)
	if selected == `"service.A"` {
		t.Error("the keyboard leads nowhere")
	}
	// A link may lead to what the page does not have: to what it belongs to, then.
	p.js("(location.hash = 'view=Values&at=service.Orders[\"ada\"].Next.Weight', 0)")
	p.await("document.querySelector('main [role=note]')?.innerText.startsWith('service.Orders[\"ada\"].Next.Weight is not on this page')")
	p.await("document.querySelector('.details input').value === 'service.Orders[\"ada\"].Next'")
	p.do("key('ArrowDown', '[role=tree]')")
	p.await("document.querySelector('main [role=note]') === null")
	p.js("(location.hash = 'view=Goroutines&at=471100', 0)")
	p.await("document.querySelector('main [role=note]')?.innerText === 'Goroutine 471100 is not in this core.'")
	// The row of a goroutine is in sight, wherever it is.
	p.js("(location.hash = 'view=Goroutines', 0)")
	p.await("document.querySelector('.table .scroll') !== null")
	p.do("key('End', '.table .scroll')")
	p.await("document.activeElement.dataset.index > 20")
	last := p.js("document.activeElement.querySelector('button').innerText")
	p.click("Summary")
	p.js("(location.hash = 'view=Goroutines&at=' + " + last + ", 0)")
	p.await("(() => { const row = document.querySelector('.row.marked'), box = document.querySelector('.table .scroll').getBoundingClientRect(), at = row?.getBoundingClientRect(); return at?.top >= box.top - 1 && at?.bottom <= box.bottom + 1 })()")
	for _, fragment := range []string{"view=constructor", "view=Nothing&core=99&at=%3Cimg%3E", "%E0%A4%A"} {
		p.js("(location.hash = '" + fragment + "', 0)")
		p.await("document.querySelector('main').getAttribute('aria-label') === 'Summary'")
	}
}

// Texts of a core are texts, whatever they look like, and the page can make no request.
func TestHostileTexts(t *testing.T) {
	ctx := browser(t)
	var mu sync.Mutex
	requests := 0
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()

	url, _ := file(t, service(t, 3, 1))
	p := open(ctx, t, url)
	for _, view := range views {
		p.click(view)
		if title := p.js("document.title"); strings.Contains(title, "owned") {
			t.Errorf("%s ran a script of the core", view)
		}
		if p.js("document.querySelectorAll('#app img, #app script').length") != "0" {
			t.Errorf("%s has markup of the core", view)
		}
	}
	p.click("Log")
	p.await("document.querySelector('main').innerText.includes('<img src=x onerror')")
	address := "http://" + l.Addr().String()
	if got := p.js("fetch('" + address + "/fetch').then(() => 'sent', () => 'refused')"); got != `"refused"` {
		t.Errorf("fetch is %s", got)
	}
	p.js("new Promise((done) => { const i = new Image(); i.onload = i.onerror = done; i.src = '" + address + "/image'; document.body.append(i) })")
	p.js("(() => { const s = document.createElement('script'); s.textContent = \"document.title = 'owned'\"; document.body.append(s) })()")
	if title := p.js("document.title"); strings.Contains(title, "owned") {
		t.Error("a script that was added ran")
	}
	mu.Lock()
	defer mu.Unlock()
	if requests > 0 {
		t.Errorf("%d requests", requests)
	}
}

// The page of other programs: the example shop, and a program of which all goroutines wait
// for different things.
func TestPrograms(t *testing.T) {
	ctx := browser(t)
	for name, want := range map[string][2]string{
		"examples/shop":                        {"Values", "main.inFlight"},
		"internal/acceptance/testdata/blocked": {"Waits", "sync.RWMutex"},
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			pid, _ := run(t, "../../../../"+name)
			core := attach(t, pid)
			url, _ := file(t, core, core)
			p := open(ctx, t, url)
			p.clickThrough(name)
			p.click(want[0])
			p.await("document.querySelector('main').innerText.includes('" + want[1] + "')")
			p.accessible(name)
		})
	}
}

// Every kind of core has a page, which the command writes: that of each way to end, and
// those that are compressed, encrypted, full, of a live image, a minidump, or the work of
// the program itself. A kind lacks some views' facts, and then the view states that.
func TestKindsOfCores(t *testing.T) {
	ctx := browser(t)
	tool := compile(t, "../../../../cmd/meminspect")
	crasher := compile(t, "../../../acceptance/testdata/crasher")
	statuses := compile(t, "../../../acceptance/testdata/statuses")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	meminspect := func(t *testing.T, args ...string) {
		t.Helper()
		out, err := exec.Command(tool, args...).CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || args[0] == "view") {
			t.Fatalf("meminspect %v: %v\n%s", args, err, out)
		}
	}
	// Each writes a core and returns its path.
	ended := func(way string, flags ...string) func(*testing.T, string) string {
		return func(t *testing.T, dir string) string {
			meminspect(t, slices.Concat([]string{"run", "--dir", dir}, flags, []string{"--", crasher, way})...)
			found, err := filepath.Glob(filepath.Join(dir, "*core*"))
			if err != nil || len(found) != 1 {
				t.Fatalf("%s leaves the cores %q, %v", way, found, err)
			}
			return found[0]
		}
	}
	asked := func(command string) func(*testing.T, string) string {
		return func(t *testing.T, dir string) string {
			core := filepath.Join(dir, "core")
			pid, out, in := begin(t, statuses, "list")
			if command == "full" {
				gdb, err := exec.LookPath("gdb")
				if err != nil {
					t.Skip("no gdb: make test installs it")
				}
				if out, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
					"-p", fmt.Sprint(pid), "-ex", "generate-core-file "+core, "-ex", "detach").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				return core
			}
			fmt.Fprintf(in, "%s %s\n", command, core)
			if line, err := out.ReadString('\n'); err != nil {
				t.Fatalf("%q, %v", line, err)
			}
			if command != "minidump" {
				return core
			}
			meminspect(t, "minidump", "export", "--pid", fmt.Sprint(pid), filepath.Join(dir, "files"))
			meminspect(t, "minidump", "assemble", "-o", filepath.Join(dir, "assembled"), filepath.Join(dir, "files"))
			return filepath.Join(dir, "assembled")
		}
	}
	for name, write := range map[string]func(*testing.T, string) string{
		"panic": ended("panic"), "fault": ended("nil"), "throw": ended("throw"), "stack overflow": ended("stack"),
		"hang": ended("hang", "--on-hang", "kill"), "heap": ended("panic", "--heap"),
		"compressed": ended("panic", "--compress"), "encrypted": ended("panic", "--recipient", identity.Recipient().String()),
		"own core": asked("own"), "live image": asked("live"), "minidump": asked("minidump"), "full core": asked("full"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			core := write(t, dir)
			html := filepath.Join(dir, "page.html")
			meminspect(t, "view", "--identity", key, "--html", html, core)
			p := open(ctx, t, "file://"+html)
			p.clickThrough(name)
			p.click("Values")
			p.await("document.querySelector('[role=tree] .value') !== null")
			for _, view := range views {
				p.click(view)
				p.accessible(name + ": " + view)
			}
			if name == "stack overflow" { // its recursion takes one line
				p.click("Summary")
				p.await("/the call above [0-9]+ more times[^]*[0-9]+ calls omitted/.test(document.querySelector('main').innerText)")
				p.js("(location.hash = 'view=Goroutines&at=1', 0)")
				p.await("/the call above [0-9]+ more times[^]*[0-9]+ calls omitted/.test(document.querySelector('#stack')?.parentElement.innerText)")
			}
		})
	}
}

// A core may have several deadlocks, certain and possible ones: the page counts them apart,
// names the cycle of each, and why a goroutine may release an object.
func TestDeadlocks(t *testing.T) {
	ctx := browser(t)
	pid, _ := run(t, "../../../acceptance/testdata/deadlocks")
	// Goroutines that printed ready are about to wait.
	await.True(t, "a core has the deadlocks", func() bool {
		core, err := inspect.Attach(t.Context(), pid)
		if err != nil {
			t.Fatal(err)
		}
		defer core.Close()
		all, err := core.Deadlocks()
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 10
	})
	url, _ := file(t, attach(t, pid))
	p := open(ctx, t, url)
	const title = "6 deadlocks and 4 possible deadlocks"
	p.await("document.querySelector('main [role=note]').innerText.startsWith('" + title + ":')")
	p.click("Waits")
	p.await("document.querySelector('main [role=note]').innerText.startsWith('" + title + ".')")
	p.await("document.querySelectorAll('main [role=note] li').length >= 8")
	for _, text := range []string{"^Deadlock of 2 goroutines, 2 more wait for them: goroutine [0-9]+ waits for main\\.state\\.", "^Possible deadlock of 2 goroutines: "} {
		p.await("[...document.querySelectorAll('main [role=note] li')].some((e) => /" + text + "/.test(e.innerText))")
	}
	for _, text := range []string{"has to unlock it", "has to count it down", "is in main.", "has a pointer to it"} {
		p.await("document.querySelector('.table').innerText.includes('" + text + "')")
	}
	p.await("document.querySelectorAll('polyline.possible').length > 0 && document.querySelectorAll('polyline:not(.possible)').length > 0")
	p.accessible("deadlocks")
}

// A chain of waits may be longer than the browser's stack.
func TestLongChain(t *testing.T) {
	ctx := browser(t)
	pid, _ := run(t, "./testdata/chain", "5000")
	url, _ := file(t, attach(t, pid))
	p := open(ctx, t, url)
	p.clickThrough("a chain")
	p.click("Waits")
	p.await("document.querySelectorAll('.box').length > 12 && document.querySelectorAll('.box.cycle').length === 0")
}

// A damaged core shows what is left of it: no view throws, none runs a script of the
// core, and none asks for what the policy forbids.
func TestDamagedCores(t *testing.T) {
	ctx := browser(t)
	pid, _ := start(t, 30, 1)
	captured, err := capture.Capture(t.Context(), pid, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := captured.WriteTo(&whole); err != nil {
		t.Fatal(err)
	}
	want := matrix.Choose(12, 1000) // cores that are left
	shown, round := 0, 0
	for ; shown < want && round < 4*want; round++ {
		contents := damage.File(whole.Bytes(), rand.New(rand.NewPCG(1, uint64(round))))
		core, err := inspect.Read(bytes.NewReader(contents), int64(len(contents)))
		if err != nil {
			continue // it is no longer a core
		}
		url, _ := file(t, core, core)
		core.Close()
		p := open(ctx, t, url)
		p.clickThrough(fmt.Sprintf("round %d", round))
		shown++
	}
	t.Logf("%d of %d damaged cores have a page", shown, round)
	if shown < want {
		t.Error("the damage leaves too few cores")
	}
}

// What differs from the core before is marked in each view.
func TestChangesAreMarked(t *testing.T) {
	ctx := browser(t)
	pid, out := start(t, 30, 1)
	before := attach(t, pid)
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if line, err := out.ReadString('\n'); err != nil || line != "changed\n" {
		t.Fatalf("the service printed %q, %v", line, err)
	}
	url, _ := file(t, before, attach(t, pid))
	p := open(ctx, t, url)
	marked := "[...document.querySelectorAll('main .badge')].map((b) => b.innerText.trim())"
	for view, want := range map[string]string{"Goroutines": "new", "Memory": "changed", "Log": "new"} {
		p.click(view)
		p.await(marked + ".includes('" + want + "')")
		p.accessible(view + " with changes")
	}
	p.click("Compare")
	p.await("/service\\.Orders\\[.ada.\\]\\.Price[^]*~ changed[^]*9\\.5[^]*10\\.5 \\(\\+1, [0-9.e-]+\\/s\\)/.test(document.querySelector('main').innerText)")
	p.js("[...document.querySelectorAll('main button')].find((b) => b.innerText === 'service.Orders[\"ada\"].Price').click()")
	p.await(marked + ".includes('changed')")
	p.click("Values")
	p.click("Close all")
	p.await(marked + ".includes('changed below')")
}

// What keeps memory alive is a map: a part opens, and leads back.
func TestHeapMap(t *testing.T) {
	ctx := browser(t)
	pid, _ := start(t, 30, 20)
	captured, err := capture.Capture(t.Context(), pid, capture.Options{Request: request.Request{
		Heap: heapreport.Reader{Options: heapreport.Options{Paths: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := captured.WriteTo(&whole); err != nil {
		t.Fatal(err)
	}
	core, err := inspect.Read(bytes.NewReader(whole.Bytes()), int64(whole.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	url, _ := file(t, core)
	p := open(ctx, t, url)
	p.click("Memory")
	p.await("document.querySelector('.treemap .part[aria-label^=\"main.service.Lists, \"]') !== null")
	p.accessible("Memory with a heap")
	p.js("document.querySelector('#heap').scrollIntoView()")
	p.picture("Heap")
	p.js("document.querySelector('.treemap .part[aria-label^=\"main.service.Lists, \"]').click()")
	p.await("document.querySelector('.treemap .part[aria-label^=\"main.service.Lists[*], \"]') !== null && document.querySelector('.treemap .part[aria-label^=\"main.service, \"]') === null")
	p.click("Back") // to main.service
	p.click("Back")
	p.await("document.querySelector('.treemap .part[aria-label^=\"main.service, \"]') !== null")
}

// A page is as accessible in the dark, and without motion, and its summary prints whole.
func TestMedia(t *testing.T) {
	ctx := browser(t)
	core := service(t, 30, 1)
	url, _ := file(t, core, core)
	p := open(ctx, t, url)
	media := func(kind string, features ...*emulation.MediaFeature) {
		t.Helper()
		emulate := func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind, Features: features})
			return err
		}
		if err := chromedp.Do(ctx, chromedp.Func(emulate)); err != nil {
			t.Fatal(err)
		}
	}
	media("", &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "dark"}, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	if p.js("getComputedStyle(document.body).backgroundColor") == p.js("'rgb(255, 255, 255)'") {
		t.Error("the page is white in the dark")
	}
	for _, view := range views {
		p.click(view)
		p.accessible(view + ", dark")
		if n := p.js("document.getAnimations().length + [...document.querySelectorAll('*')].filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"); n != "0" {
			t.Errorf("%s: %s elements move", view, n)
		}
	}
	p.click("Goroutines")
	media("print")
	p.await("document.querySelector('.printed').offsetHeight > 0 && document.querySelector('.scroll').scrollHeight < 2000")
	media("")
	p.click("Summary")
	media("print")
	if p.js("getComputedStyle(document.querySelector('nav')).display") != `"none"` {
		t.Error("the buttons of the views are printed")
	}
	if p.js("[...document.querySelectorAll('main *')].every((e) => e.scrollHeight <= e.clientHeight + 1 || getComputedStyle(e).overflowY === 'visible')") != "true" {
		t.Error("a part of the summary is cut off in print")
	}
}

// Ten thousand goroutines and five megabytes of values fit into two megabytes of page.
// The times are logged: those of a busy machine prove nothing.
func TestLargeCore(t *testing.T) {
	ctx := browser(t)
	url, size := file(t, service(t, 10_000, 105))
	const most = 2 << 20
	if size > most {
		t.Errorf("the page has %d bytes, more than %d", size, most)
	}
	p := open(ctx, t, url)
	t.Logf("page %d bytes, first contentful paint %s ms", size, p.js("performance.getEntriesByName('first-contentful-paint')[0]?.startTime"))
	for _, view := range views {
		t.Logf("%s: %v", view, p.click(view))
	}
	for _, step := range []struct{ what, action string }{
		{"Goroutines", "button('Goroutines')"},
		{"search for a function", "enter('nested')"},
		{"no search", "enter('')"},
		{"by wait object", "pick('By wait object')"},
		{"by creator", "pick('By creator')"},
		{"by stack", "pick('By stack')"},
		{"with those of the runtime", "press('main input[type=checkbox]')"},
		{"a bar", "press('.bar[title^=\"main.nested\"]')"},
		{"all bars", "button('Show all goroutines')"},
		{"a goroutine", "press('.scroll .row button')"},
		{"the last row", "key('End', '.table .scroll')"},
		{"Waits", "button('Waits')"},
		{"more objects", "document.querySelector('p button')?.click()"},
		{"Values", "button('Values')"},
		{"search for a value", "enter('order 42')"},
		{"search for one letter", "enter('o')"},
		{"search for nothing there is", "enter('there is none')"},
		{"no search", "enter('')"},
		{"a region opens", "key('ArrowRight', '[role=tree]')"},
		{"a link leads to a value", "location.hash = 'view=Values&at=service.Lists[50][999].Name'; await new Promise((done) => addEventListener('hashchange', done, {once: true}))"},
		{"the next value", "key('ArrowDown', '[role=tree]')"},
		{"the last value", "key('End', '[role=tree]')"},
		{"Log", "button('Log')"},
		{"search the log", "enter('wrong')"},
	} {
		t.Logf("%s: %v", step.what, p.do(step.action))
		if step.what == "a link leads to a value" {
			p.await("document.querySelector('.details input').value === 'service.Lists[50][999].Name'")
		}
	}
	p.click("Goroutines")
	p.await("document.querySelector('[aria-live]').innerText.startsWith('10,00')")
	if n := p.js("document.querySelectorAll('.scroll .row').length < 100"); n != "true" {
		t.Error("rows that are not visible are rendered")
	}
}

// Goroutines of which no two have the same stack are bars no room for: choosing a
// bar shows those below it.
func TestManyGroups(t *testing.T) {
	n := 2000
	if matrix.Whole() {
		n = 20_000
	}
	ctx := browser(t)
	pid, _ := run(t, "./testdata/groups", fmt.Sprint(n))
	url, size := file(t, attach(t, pid))
	p := open(ctx, t, url)
	t.Logf("page %d bytes", size)
	for _, view := range views {
		t.Logf("%s: %v", view, p.click(view))
	}
	p.click("Goroutines")
	narrow := "document.querySelector('main').innerText.includes('no room for')"
	p.await(narrow)
	for depth := 1; p.js(narrow) == "true"; depth++ {
		if depth > 40 {
			t.Fatal("no bar is wide enough")
		}
		t.Log(p.js(`(async () => {
			const below = [...document.querySelectorAll('.bar')].filter((b) => parseFloat(b.style.top) / 1.6 > ` + fmt.Sprint(depth) + ` - 0.5)
			const next = below.sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))[0]
			const began = performance.now()
			next.click()
			await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
			return next.title + ': ' + Math.round(performance.now() - began) + ' ms'
		})()`))
	}
	if n := p.js("document.querySelectorAll('.bar').length < 1600"); n != "true" {
		t.Error("the view has too many bars")
	}
}

// A hundred thousand goroutines stay usable: they are few bars, and few rows at a time.
func TestManyGoroutines(t *testing.T) {
	if !matrix.Whole() {
		t.Skip(matrix.Sampled)
	}
	ctx := browser(t)
	url, size := file(t, service(t, 100_000, 1))
	p := open(ctx, t, url)
	t.Logf("page %d bytes", size)
	for _, view := range views {
		t.Logf("%s: %v", view, p.click(view))
	}
	p.click("Goroutines")
	p.await("document.querySelector('[aria-live]').innerText.startsWith('100,00')")
	if n := p.js("document.querySelectorAll('main *').length < 2000"); n != "true" {
		t.Error("the view has too many elements")
	}
}
