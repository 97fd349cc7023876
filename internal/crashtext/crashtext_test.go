package crashtext

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/request"
)

const stack = `
goroutine 34 [running] {user: "alice [x]:"}:
main.(*Queue[...]).Push[...](0xc000012345, {0x4111, 0x11})
	/src/queue.go:17 +0x25
panic({0x4d2f00?, 0x51a170?})
	/usr/local/go/src/runtime/panic.go:792 +0x132
created by main.main in goroutine 1
	/src/main.go:8 +0x1f

goroutine 7 [chan receive, 5 minutes]:
main.main.func1()
	/src/main.go:9
exit status 2
`

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, backlog string
		want          Report
	}{
		{"panic: it went wrong\n" + stack, "", Report{Reason: Panic, Message: "it went wrong", Goroutine: 34}},
		{"panic: first [recovered]\n\tpanic: again: first\n" + stack, "", Report{Reason: Panic, Message: "again: first", Goroutine: 34}},
		{"panic: (main.T) 0x4b83f8\n" + stack, "", Report{Reason: Panic, Message: "(main.T) 0x4b83f8", Type: "main.T", Goroutine: 34}},
		{"panic: main.Code(7)\n" + stack, "", Report{Reason: Panic, Message: "main.Code(7)", Type: "main.Code", Goroutine: 34}},
		{"panic: main.Name(\"card 4111\") [recovered]\n" + stack, "", Report{Reason: Panic, Message: "main.Name(\"card 4111\") [recovered]", Goroutine: 34}},
		{"panic: os.Open(\"x\") failed\n" + stack, "", Report{Reason: Panic, Message: "os.Open(\"x\") failed", Goroutine: 34}},
		{"panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x500642]\n" + stack, "",
			Report{Reason: Nil, Message: "runtime error: invalid memory address or nil pointer dereference", Signal: "SIGSEGV", Goroutine: 34}},
		{stack, "some line\nfatal error: concurrent map writes\n\x00\x00", Report{Reason: MapRace, Message: "concurrent map writes", Goroutine: 34}},
		{stack, "fatal error: all goroutines are asleep - deadlock!\n", Report{Reason: Deadlock, Message: "all goroutines are asleep - deadlock!", Goroutine: 34, Bystander: true}},
		{"runtime stack:\nruntime.throw()\n" + stack, "runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n", Report{Reason: StackOverflow, Message: "stack overflow", Goroutine: 34}},
		{stack, "fatal error: runtime: out of memory", Report{Reason: OutOfMemory, Message: "runtime: out of memory", Goroutine: 34}},
		{stack, "fatal error: sync: unlock of unlocked mutex\n", Report{Reason: Fatal, Message: "sync: unlock of unlocked mutex", Goroutine: 34}},
		{"SIGQUIT: quit\nPC=0x4 m=0 sigcode=0\n\ngoroutine 0 gp=0x5a mp=0x5b m=0 [idle]:\nruntime.futex()\n\ngoroutine 5 gp=0xc000 m=nil [select]:\n", "", Report{Reason: "signal-sigquit", Message: "SIGQUIT: quit", Signal: "SIGQUIT", Goroutine: 5, Bystander: true}},
		// Sent by kill (SI_USER) and tgkill (SI_TKILL, -6): the goroutine that happens to run did not fail.
		{"SIGSEGV: segmentation violation\nPC=0x4 m=0 sigcode=0 addr=0x6f2\n\ngoroutine 1 [running]:\nmain.main()\n", "", Report{Reason: "signal-sigsegv", Message: "SIGSEGV: segmentation violation", Signal: "SIGSEGV", Goroutine: 1, Bystander: true}},
		{"SIGFPE: floating-point exception\nPC=0x4 m=0 sigcode=18446744073709551610\n\ngoroutine 1 [running]:\nmain.main()\n", "", Report{Reason: "signal-sigfpe", Message: "SIGFPE: floating-point exception", Signal: "SIGFPE", Goroutine: 1, Bystander: true}},
		// A fault in a C call of goroutine 1 (SEGV_MAPERR).
		{"SIGSEGV: segmentation violation\nPC=0x4 m=0 sigcode=1 addr=0x0\nsignal arrived during cgo execution\n\ngoroutine 1 gp=0xc000 m=0 [syscall]:\nruntime.cgocall()\n", "", Report{Reason: "signal-sigsegv", Message: "SIGSEGV: segmentation violation", Signal: "SIGSEGV", Goroutine: 1}},
		// A fault on a thread that runs no goroutine.
		{"SIGSEGV: segmentation violation\nPC=0x4 m=3 sigcode=1 addr=0x0\n\ngoroutine 0 gp=0xc000 m=3 [idle]:\nruntime.x()\n\ngoroutine 1 gp=0xc001 m=nil [select]:\nmain.main()\n", "", Report{Reason: "signal-sigsegv", Message: "SIGSEGV: segmentation violation", Signal: "SIGSEGV", Goroutine: 1, Bystander: true}},
		{"runtime stack:\nruntime.throw()\n\ngoroutine 1 [select]:\nmain.main()\n", "fatal error: no goroutine did it\n", Report{Reason: Fatal, Message: "no goroutine did it", Goroutine: 1, Bystander: true}},
		{"runtime stack:\nruntime.throw()\n\ngoroutine 1 [running]:\n\tgoroutine running on other thread; stack unavailable\n", "fatal error: no goroutine did it\n", Report{Reason: Fatal, Message: "no goroutine did it", Goroutine: 1, Bystander: true}},
		// A panic has more facts than what was printed earlier.
		{"panic: x\n" + stack, "fatal error: an old one\n", Report{Reason: Panic, Message: "x", Goroutine: 34}},
		{"", "", Report{Reason: Unknown}},
		{stack, "", Report{Reason: Fatal, Goroutine: 34}},
		// A message cannot pass for a stack: the runtime indents what follows its first line.
		{"panic: x\n\tgoroutine 99 [running]:\n" + stack, "", Report{Reason: Panic, Message: "x", Goroutine: 34}},
	} {
		if got := Parse([]byte(c.text), []byte(c.backlog)); got != c.want {
			t.Errorf("%.60q, %q:\n got %+v\nwant %+v", c.text, c.backlog, got, c.want)
		}
	}
}

func TestRedact(t *testing.T) {
	got := string(Redact([]byte("panic: card 4111111111111111\n\tgoroutine 99 [secret4111]:\n\tmain.secret4111(1)\n[signal SIGSEGV: x addr=0x4111]\n"+stack+"rax    0x4111\n"), "", ""))
	want := `panic: (message left out)
[signal SIGSEGV]

goroutine 34 [running]:
main.(*Queue[...]).Push[...](...)
	/src/queue.go:17 +0x25
panic(...)
	/usr/local/go/src/runtime/panic.go:792 +0x132
created by main.main in goroutine 1
	/src/main.go:8 +0x1f

goroutine 7 [chan receive, 5 minutes]:
main.main.func1(...)
	/src/main.go:9
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if r := Parse([]byte(got), nil); r.Goroutine != 34 || r.Reason != Panic {
		t.Errorf("what is left reads as %+v", r)
	}
}

// A type that the text does not have is kept with it; what the runtime itself prints
// is kept as it is.
func TestRedactTyped(t *testing.T) {
	for message, want := range map[string]string{
		"no such buyer as 4111": "panic: (example.com/shop.BuyerError)\n",
		"(main.T) 0x4b83f8":     "panic: (example.com/shop.BuyerError)\n",
	} {
		if got, _, _ := strings.Cut(string(Redact([]byte("panic: "+message+"\n"+stack), "example.com/shop.BuyerError", "")), "\ngoroutine"); got != want {
			t.Errorf("%s: kept %q", message, got)
		}
	}
	if got := string(Redact([]byte("panic: (main.Card4111) 0x1\n"+stack), "", "")); !strings.HasPrefix(got, "panic: (message left out)\n") {
		t.Errorf("a text that looks like a type was kept: %q", got)
	}
	index := "runtime error: index out of range [4111] with length 3"
	if got := string(Redact([]byte("panic: "+index+"\n"+stack), "runtime.boundsError", "")); !strings.HasPrefix(got, "panic: runtime error: index out of range\n") {
		t.Errorf("%s: kept %q", index, got)
	}
}

func TestWithoutLabels(t *testing.T) {
	text := "panic: x\n" + stack
	want := strings.Replace(text, ` {user: "alice [x]:"}`, "", 1)
	if got := string(WithoutLabels([]byte(text))); got != want || want == text {
		t.Errorf("got\n%s", got)
	}
	if got := string(WithoutLabels([]byte("panic: x"))); got != "panic: x" {
		t.Errorf("got %q", got)
	}
}

// Redact never keeps what a program puts into its message, its arguments or its
// labels.
func FuzzRedact(f *testing.F) {
	f.Add("x", "y")
	f.Add("x\ngoroutine 1 [running]:\nmain.f(1)", `"}: {`)
	f.Add("(a) {", "\n\nmain.f(")
	f.Fuzz(func(t *testing.T, message, label string) {
		const mark = "S3cr3t"
		// As the runtime prints them: messages indented, labels quoted.
		message = strings.ReplaceAll(mark+message+mark, "\n", "\n\t")
		label = strings.Map(func(r rune) rune {
			if r < ' ' || r == '"' {
				return -1
			}
			return r
		}, label)
		text := "panic: " + message + "\n\ngoroutine 3 [running] {k: \"" + mark + label + "\"}:\nmain.f(0x1)\n\t/src/main.go:5 +0x5\n"
		if got := Redact([]byte(text), "", ""); strings.Contains(string(got), mark) {
			t.Fatalf("%q\nkept as\n%q", text, got)
		}
		Parse([]byte(message), []byte(label))
	})
}

// Excluded values are replaced in every form in which messages have them. A
// message is dropped if some cannot be replaced.
func TestCensor(t *testing.T) {
	secret := request.ExcludedValue{Data: []byte("hunter2\tö\x00\x00"), Reached: true}
	number := request.ExcludedValue{Data: binary.LittleEndian.AppendUint64(nil, 3472358116791568720)}
	negative := request.ExcludedValue{Data: binary.LittleEndian.AppendUint64(nil, ^uint64(4710))}
	for _, c := range []struct {
		message  string
		excluded request.Excluded
		want     string
	}{
		{"with hunter2\tö!", request.Excluded{Values: []request.ExcludedValue{secret}}, "with [redacted]!"},
		{`with "hunter2\tö" or "hunter2\t\u00f6"`, request.Excluded{Values: []request.ExcludedValue{secret}}, `with "[redacted]" or "[redacted]"`},
		{"with 68756e7465723209c3b6", request.Excluded{Values: []request.ExcludedValue{secret}}, "with [redacted]"},
		{"with [104 117 110 116 101 114 50 9 195 182]", request.Excluded{Values: []request.ExcludedValue{secret}}, "with [[redacted]]"},
		{"with aHVudGVyMgnDtg==", request.Excluded{Values: []request.ExcludedValue{secret}}, "with [redacted]=="},
		{"with 3472358116791568720 and -4711", request.Excluded{Values: []request.ExcludedValue{number, negative}}, "with [redacted] and [redacted]"},
		{"with nothing", request.Excluded{Values: []request.ExcludedValue{number, secret}}, "with nothing"},
		{"with nothing", request.Excluded{Values: []request.ExcludedValue{{Data: []byte("abc"), Reached: true}}}, ""},
		{"with nothing", request.Excluded{Values: []request.ExcludedValue{{Data: []byte{1}}}}, ""},
		{"with nothing", request.Excluded{Values: []request.ExcludedValue{{Data: make([]byte, 8)}, {Data: []byte{0}}}}, "with nothing"},
		{"with nothing", request.Excluded{Partial: true}, ""},
	} {
		if got := Censor(c.message, &c.excluded); got != c.want {
			t.Errorf("%q: got %q, want %q", c.message, got, c.want)
		}
	}
}
