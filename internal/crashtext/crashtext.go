// Package crashtext reads what the Go runtime prints when a program dies: why,
// where, and which goroutine it was. It knows the reports of Go 1.21 to 1.27,
// goroutine labels included.
package crashtext

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// Reasons: short words for records, file names and rate limits.
const (
	Panic         = "panic"
	Nil           = "nil-dereference"
	MapRace       = "concurrent-map"
	Deadlock      = "deadlock"
	StackOverflow = "stack-overflow"
	OutOfMemory   = "out-of-memory"
	Fatal         = "fatal-error" // any other that the runtime throws
	Signal        = "signal"      // a prefix: signal-sigquit
	Unknown       = "crash"
)

// A Report is the content of a crash text.
type Report struct {
	Reason    string // one of the words above
	Message   string // what follows "panic: " or "fatal error: ", on one line
	Type      string // of the panic value, where the text shows it
	Signal    string // "SIGSEGV", if one did it
	Goroutine uint64 // whose stack it shows first, 0 if the text has no number
	Bystander bool   // that goroutine did not cause the end
}

// Failed returns the goroutine that ended the program, 0 if it is unknown or no
// goroutine did: in a deadlock, or when another process sent a signal.
func (r *Report) Failed() uint64 {
	if r.Bystander {
		return 0
	}
	return r.Goroutine
}

// Parse reads a report. The backlog is the runtime's own record of what it
// printed before it began to die: fatal errors announce themselves there, and
// not in the crash output (golang/go#76859). Either may be empty or cut.
func Parse(text, backlog []byte) Report {
	r := Report{Reason: Unknown}
	lines := strings.Split(string(text), "\n")
	if len(lines) > 0 {
		r.headline(lines)
	}
	if r.Reason == Unknown {
		r.fatal(string(backlog))
	}
	if r.Reason == Unknown && slices.ContainsFunc(lines, stackBegins) {
		r.Reason = Fatal // stacks without a word before them: a throw, whichever it was
	}
	r.firstStack(lines)
	return r
}

// firstStack finds the first goroutine whose stack is shown, and whether it can
// have caused the end. The runtime begins with the stack that failed. If that
// is a stack of the runtime itself (goroutine 0, "runtime stack:"), the
// goroutine of the failing thread is next, and is running; a thread that has no
// goroutine is followed by any other one.
func (r *Report) firstStack(lines []string) {
	onRuntime := false
	for i, line := range lines {
		if line == "runtime stack:" {
			onRuntime = true
			continue
		}
		m := header().FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "0" {
			onRuntime = true
			continue
		}
		r.Goroutine, _ = strconv.ParseUint(m[1], 10, 64)
		state, _, _ := strings.Cut(m[2], ",")
		elsewhere := i+1 < len(lines) && strings.Contains(lines[i+1], "goroutine running on other thread")
		r.Bystander = r.Reason == Deadlock || r.sent(lines) || onRuntime && (state != "running" || elsewhere)
		return
	}
}

// sent reports whether the signal in the headline was sent by a process, this
// one included, and not raised by an instruction: then its si_code is not
// positive (man 2 sigaction).
func (r *Report) sent(lines []string) bool {
	if !strings.HasPrefix(r.Reason, Signal+"-") {
		return false
	}
	for _, line := range lines {
		if m := signalCode().FindStringSubmatch(line); m != nil {
			code, err := strconv.ParseUint(m[1], 10, 64)
			return err != nil || int32(code) <= 0
		}
	}
	return true // the report is cut: no goroutine is blamed on a guess
}

var (
	// A goroutine's header, with 1.27's labels after the state:
	// goroutine 7 [chan receive, 5 minutes] {user: "alice"}:
	header = lazyexp.New(`^goroutine (\d+)(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[([^\]]*)\](.*):$`)

	signalLine = lazyexp.New(`^\[signal (SIG[A-Z0-9]+)`)
	signalHead = lazyexp.New(`^(SIG[A-Z0-9]+): `)
	signalCode = lazyexp.New(`^PC=\S+ m=\d+ sigcode=(\d+)`)
	// As the runtime prints values that are no errors: (main.T) 0x4b83f8, and of
	// declared types of a basic kind main.ID(7), main.Name("x").
	typedValue = lazyexp.New(`^\(([\pL\pN_./*\[\],·-]+)\) 0x[0-9a-f]+$`)
	typedBasic = lazyexp.New(`^([\pL\pN_./·-]+\.[\pL\pN_]+)\((?:".*"|[-+0-9.einfaNI]+|true|false)\)$`)
)

// headline reads the lines before the first stack. Continued panics follow each
// other, the last one indented by a tab: that one ended the program.
func (r *Report) headline(lines []string) {
	for _, line := range lines {
		if stackBegins(line) {
			break
		}
		if m := signalLine().FindStringSubmatch(line); m != nil {
			r.Signal = m[1]
			continue
		}
		if m := signalHead().FindStringSubmatch(line); m != nil && r.Reason == Unknown {
			r.Signal = m[1]
			r.Reason = Signal + "-" + strings.ToLower(m[1])
			r.Message = line
			continue
		}
		if message, ok := strings.CutPrefix(strings.TrimLeft(line, "\t"), "panic: "); ok {
			r.panic(message)
		} else if message, ok := strings.CutPrefix(line, "fatal error: "); ok {
			r.throw(message)
		}
	}
}

// lastLine is a line with which a report of the runtime ends: a place, a register, a
// headline without a stack, or what the go command adds.
var lastLine = lazyexp.New(`^(?:\t.*|[a-z][a-z0-9]+ +0x[0-9a-f]+|panic: .*|fatal error: .*|\[signal SIG.*|SIG[A-Z]+: .*|\.\.\..*elided.*|exit status 2|goroutine \d+ .*:)$`)

// Ends reports whether a text ends as a report of the runtime does.
func Ends(text []byte) bool {
	text = bytes.TrimRight(text, "\n")
	return lastLine().Match(text[bytes.LastIndexByte(text, '\n')+1:])
}

func stackBegins(line string) bool {
	return header().MatchString(line) || line == "runtime stack:"
}

func (r *Report) panic(message string) {
	r.Reason, r.Message, r.Type = Panic, message, ""
	for _, form := range []*regexp.Regexp{typedValue(), typedBasic()} {
		if m := form.FindStringSubmatch(message); m != nil {
			r.Type = m[1]
		}
	}
	if strings.HasPrefix(message, "runtime error: invalid memory address or nil pointer dereference") {
		r.Reason = Nil
	}
}

func (r *Report) throw(message string) {
	r.Message = message
	switch {
	case strings.HasPrefix(message, "concurrent map"):
		r.Reason = MapRace
	case strings.HasPrefix(message, "all goroutines are asleep"), strings.HasPrefix(message, "no goroutines"):
		r.Reason = Deadlock
	case message == "stack overflow":
		r.Reason = StackOverflow
	case strings.Contains(message, "out of memory"), strings.Contains(message, "cannot allocate"):
		r.Reason = OutOfMemory
	default:
		r.Reason = Fatal
	}
}

// fatal looks for the last announcement in a backlog.
func (r *Report) fatal(backlog string) {
	const word = "fatal error: "
	i := strings.LastIndex(backlog, word)
	if i < 0 {
		return
	}
	message, _, _ := strings.Cut(backlog[i+len(word):], "\n")
	r.throw(strings.TrimRight(message, "\x00"))
}

// Redact keeps of a report only what follows from the program's source: why it
// ended, without values, and the stacks without arguments, labels and
// registers. It works line by line and drops lines that it does not know. typ
// is the type of the panic value if it is known: a type in the text may be
// forged. message, if not "", is the part of the panic's message that may be
// kept: see [Censor].
func Redact(text []byte, typ, message string) []byte {
	var out bytes.Buffer
	r := Parse(text, nil)
	switch {
	case r.Reason == Unknown:
	case r.Reason == Panic && message != "":
		out.WriteString("panic: " + message + "\n")
	case r.Reason == Panic && typ != "" && !strings.HasPrefix(typ, "runtime."):
		out.WriteString("panic: (" + typ + ")\n")
	case r.Reason == Panic:
		out.WriteString("panic: " + category(r.Message) + "\n")
	default:
		out.WriteString(r.Reason + "\n")
	}
	if r.Signal != "" {
		out.WriteString("[signal " + r.Signal + "]\n")
	}
	inStack, frame := false, false
	for _, line := range strings.Split(string(text), "\n") {
		if m := header().FindStringSubmatch(line); m != nil {
			inStack, frame = true, false
			out.WriteString("\ngoroutine " + m[1] + " [" + m[2] + "]:\n")
			continue
		}
		if line == "runtime stack:" {
			inStack, frame = true, false
			out.WriteString("\n" + line + "\n")
			continue
		}
		if !inStack {
			continue
		}
		if frame {
			// Only a frame's own line may be followed by a position.
			frame = false
			if position().MatchString(line) {
				out.WriteString(line + "\n")
			}
			continue
		}
		if name, ok := frameName(line); ok {
			frame = true
			out.WriteString(name + "\n")
		}
	}
	return out.Bytes()
}

// WithoutLabels is the report without what the program gave its goroutines as
// labels, which Go prints from 1.27 on.
func WithoutLabels(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		if m := header().FindSubmatchIndex(bytes.TrimSuffix(line, []byte("\n"))); m != nil {
			const labels = 2 * 3 // of the third group
			line = slices.Concat(line[:m[labels]], line[m[labels+1]:])
		}
		out.Write(line)
	}
	return out.Bytes()
}

// category is the part of a runtime error's message that holds no values.
func category(message string) string {
	for _, c := range []string{
		"runtime error: index out of range", "runtime error: slice bounds out of range",
		"runtime error: integer divide by zero", "runtime error: makeslice: len out of range",
		"runtime error: hash of unhashable type", "runtime error: comparing uncomparable type",
		"assignment to entry in nil map", "send on closed channel", "close of closed channel", "close of nil channel",
		"interface conversion",
	} {
		if strings.HasPrefix(message, c) {
			return c
		}
	}
	return "(message left out)"
}

var (
	position  = lazyexp.New(`^\t\S.*:\d+(?: \+0x[0-9a-f]+)?(?: fp=.*)?$`)
	createdBy = lazyexp.New(`^created by ([^\s(].*?)(?: in goroutine (\d+))?$`)
	symbol    = lazyexp.New(`^[\pL_][^\s]*$`)
)

// frameName returns a frame's line without the arguments. Names hold brackets
// of their own, main.(*Queue[...]).Push[...](0xc000012345, 0x2): the arguments
// are the last group that balances.
func frameName(line string) (string, bool) {
	if m := createdBy().FindStringSubmatch(line); m != nil && symbol().MatchString(m[1]) {
		return line, true
	}
	if !strings.HasSuffix(line, ")") {
		return "", false
	}
	depth := 0
	for i := len(line) - 1; i > 0; i-- {
		switch line[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				name := line[:i]
				return name + "(...)", symbol().MatchString(name)
			}
		}
	}
	return "", false
}
