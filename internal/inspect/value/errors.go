package value

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// errorTexts are the messages of the standard library's errors, by their types.
var errorTexts = map[string]errorText{
	"errors.errorString":                  {"%s", []string{"s"}},
	"fmt.wrapError":                       {"%s", []string{"msg"}},
	"fmt.wrapErrors":                      {"%s", []string{"msg"}},
	"errors.joinError":                    {"%s", []string{"errs"}},
	"io/fs.PathError":                     {"%s %s: %s", []string{"Op", "Path", "Err"}},
	"os.LinkError":                        {"%s %s %s: %s", []string{"Op", "Old", "New", "Err"}},
	"os.SyscallError":                     {"%s: %s", []string{"Syscall", "Err"}},
	"os/exec.Error":                       {"exec: %q: %s", []string{"Name", "Err"}},
	"strconv.NumError":                    {"strconv.%s: parsing %q: %s", []string{"Func", "Num", "Err"}},
	"net/url.Error":                       {"%s %q: %s", []string{"Op", "URL", "Err"}},
	"net.OpError":                         {"%s%s%s%s: %s", []string{"Op", " |Net", " |Source", "->|Addr", "Err"}},
	"net.DNSError":                        {"lookup %s%s: %s", []string{"Name", " on |Server", "Err"}},
	"net.timeoutError":                    {format: "i/o timeout"},
	"net.canceledError":                   {format: "operation was canceled"},
	"context.deadlineExceededError":       {format: "context deadline exceeded"},
	"internal/poll.DeadlineExceededError": {format: "i/o timeout"},
	"internal/poll.errNetClosing":         {format: "use of closed network connection"},
}

// An errorText is a message: a format, and the fields whose texts are in it. A field that
// may be empty has in front of a bar what separates it from the text before it.
type errorText struct {
	format string
	fields []string
}

// verbatim reports whether the message is a field.
func (e errorText) verbatim() bool { return e.format == "%s" && e.fields[0] != "errs" }

// errorTextOf returns the message of errors of a type, false if it is not known.
func errorTextOf(t *gotypes.Type) (errorText, bool) {
	if !t.Named || t.PkgPath == "" || t.Kind != gotypes.Struct {
		return errorText{}, false
	}
	e, ok := errorTexts[t.PkgPath+"."+t.Name()]
	return e, ok
}

// isError reports whether t is the type error.
func isError(t *gotypes.Type) bool {
	return t.Kind == gotypes.Interface && t.Methods == 1 && t.PkgPath == "" && t.Name() == "error"
}

// isErrno reports whether t is syscall.Errno.
func isErrno(t *gotypes.Type) bool {
	return t.Kind == gotypes.Uintptr && t.PkgPath == "syscall" && t.Name() == "Errno"
}

// errnoState remarks the name and the text of an error number.
func (r *reader) errnoState(v *Value, t *gotypes.Type, addr memory.Address) {
	b, ok := r.fetch(addr, t.Size)
	if !ok || le.Uint64(b) == 0 {
		return
	}
	name, text := errno(le.Uint64(b))
	if name != "" {
		text = name + ": " + text
	}
	v.State = append(v.State, text)
}

// errorState remarks the message of an error that has more than one part.
func (r *reader) errorState(v *Value, t *gotypes.Type, addr memory.Address) {
	if e, ok := errorTextOf(t); ok && !e.verbatim() {
		r.errorMessage(v, t, addr)
	}
}

// errorMessage remarks the message of an error, if it is known.
func (r *reader) errorMessage(v *Value, t *gotypes.Type, addr memory.Address) {
	if r.marking {
		return
	}
	if text, known := r.message(t, addr); known {
		v.State = append(v.State, text)
	}
}

// message returns the message of an error in one line. known reports whether there is an
// error, and some part of its message is known.
func (r *reader) message(t *gotypes.Type, addr memory.Address) (text string, known bool) {
	m := message{r: newReader(r.p, Limits{Depth: 1, Bytes: maxText, Values: 1 << 12}), left: maxErrors}
	text = m.of(t, addr)
	return oneLine(text), m.known && text != ""
}

// oneLine returns a text without control characters.
func oneLine(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	if strings.ContainsRune(text, '\n') || !printable(text) {
		return strconv.Quote(text)
	}
	return text
}

// maxErrors is how many errors one message can consist of.
const maxErrors = 64

// A message reads the parts of an error's message. Where a part is not known, the message
// has the reason in parentheses.
type message struct {
	r     *reader
	left  int  // errors that may still be read
	known bool // some part is
}

// of returns the message of the error of type t at addr. Of an error with another type it
// has the type, and the message of the first error in it.
func (m *message) of(t *gotypes.Type, addr memory.Address) string {
	if m.left--; m.left < 0 {
		return "…"
	}
	switch {
	case t.Kind == gotypes.Pointer:
		return m.pointer(t, addr)
	case t.Kind == gotypes.Interface:
		return m.dynamic(t, addr)
	case isErrno(t):
		n, ok := m.r.fetch(addr, t.Size)
		if !ok {
			return m.missing(addr, t.Size)
		}
		m.known = true
		_, text := errno(le.Uint64(n))
		return text
	}
	if e, ok := errorTextOf(t); ok {
		if text, ok := m.filled(e, t, addr); ok {
			return text
		}
	}
	m.known = true
	if t.Kind == gotypes.Struct {
		for i := range t.Fields {
			if f := &t.Fields[i]; isError(f.Type) {
				return "(" + t.String() + ": " + m.of(f.Type, addr.Add(f.Offset)) + ")"
			}
		}
	}
	return "(" + t.String() + ")"
}

// pointer returns the message of the error that a pointer leads to.
func (m *message) pointer(t *gotypes.Type, addr memory.Address) string {
	elem, err := t.Elem()
	if err != nil {
		return "(" + t.String() + ")"
	}
	to, text := m.target(addr)
	if text != "" {
		return text
	}
	return m.of(elem, to)
}

// target returns what the pointer at addr leads to, or the text in its place.
func (m *message) target(addr memory.Address) (to memory.Address, text string) {
	to, ok := m.r.pointer(addr)
	switch {
	case !ok:
		return 0, m.missing(addr, memory.PtrSize)
	case to == 0:
		return 0, "<nil>"
	}
	return to, ""
}

// dynamic returns the message of the error in an interface.
func (m *message) dynamic(t *gotypes.Type, addr memory.Address) string {
	data, ok := m.r.fetch(addr, goobject.InterfaceSize)
	if !ok {
		return m.missing(addr, goobject.InterfaceSize)
	}
	word, to := goobject.Pointer(data), goobject.Pointer(data[goobject.InterfaceData:])
	isAddr := t.PkgPath == "net" && t.Name() == "Addr"
	switch {
	case word == 0 && isAddr:
		return ""
	case word == 0:
		return "<nil>"
	}
	typ, err := goobject.DynamicType(m.r.p.Types, t, word)
	if err != nil {
		return "(its type cannot be read)"
	}
	if typ.Direct {
		to = addr.Add(goobject.InterfaceData)
	}
	if isAddr {
		return m.netAddr(typ, to)
	}
	return m.of(typ, to)
}

// missing returns why memory is not known.
func (m *message) missing(addr memory.Address, size uint64) string {
	return "(" + string(m.r.p.Why(memory.RangeOf(addr, size))) + ")"
}

// filled returns a message with its fields, false if the type does not have them.
func (m *message) filled(e errorText, t *gotypes.Type, addr memory.Address) (text string, ok bool) {
	args := make([]any, len(e.fields))
	for i, field := range e.fields {
		separator, name, optional := strings.Cut(field, "|")
		if !optional {
			name = field
		}
		part, ok := m.field(t, addr, name)
		switch {
		case !ok:
			return "", false
		case part == "":
		case optional && separator == "->" && args[i-1] == "":
			part = " " + part
		case optional:
			part = separator + part
		}
		args[i] = part
	}
	m.known = m.known || len(args) == 0
	return fmt.Sprintf(e.format, args...), true
}

// field returns the text of a field, false if the type does not have it.
func (m *message) field(t *gotypes.Type, addr memory.Address, name string) (text string, ok bool) {
	f, ok := t.Field(name)
	if !ok {
		return "", false
	}
	switch addr = addr.Add(f.Offset); f.Type.Kind {
	case gotypes.String:
		return m.text(m.r.value(f.Type, addr, 0)), true
	case gotypes.Interface:
		return m.of(f.Type, addr), true
	case gotypes.Slice:
		return m.joined(f.Type, addr), true
	}
	return "", false
}

// text returns a text, as far as it is known.
func (m *message) text(v *Value) string {
	switch {
	case v.Absent != "":
		return "(" + string(v.Absent) + ")"
	case v.Omitted > 0 || len(v.Notes) > 0:
		return v.Text + "…"
	}
	m.known = m.known || v.Text != ""
	return v.Text
}

// joined returns the messages of the errors in a slice.
func (m *message) joined(t *gotypes.Type, addr memory.Address) string {
	elem, err := t.Elem()
	if err != nil {
		return "(" + t.String() + ")"
	}
	data, ok := m.r.fetch(addr, t.Size)
	if !ok {
		return m.missing(addr, t.Size)
	}
	list, err := goobject.Slice(data, elem.Size)
	if err != nil {
		return "(inconsistent)"
	}
	var texts []string
	for i := range list.Len {
		if m.left <= 0 {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, m.of(elem, list.Data.Add(i*elem.Size)))
	}
	return strings.Join(texts, "\n")
}

// netAddr returns the text of a net.Addr.
func (m *message) netAddr(t *gotypes.Type, addr memory.Address) string {
	unknown := "(" + t.String() + ")"
	if t.Kind != gotypes.Pointer {
		return unknown
	}
	elem, err := t.Elem()
	if err != nil || elem.Kind != gotypes.Struct || elem.PkgPath != "net" {
		return unknown
	}
	to, text := m.target(addr)
	if text != "" {
		return text
	}
	a := m.r.value(elem, to, 1)
	if a.Absent != "" {
		return "(" + string(a.Absent) + ")"
	}
	if name := a.field("Name"); elem.Name() == "UnixAddr" && name != nil {
		return m.text(name)
	}
	ip, port, zone := a.field("IP"), a.field("Port"), a.field("Zone")
	if ip == nil || zone == nil {
		return unknown
	}
	host := m.text(ip)
	if ip.there() && ip.Text != "" {
		host = net.IP(ip.Text).String()
	}
	if zone := m.text(zone); zone != "" {
		host += "%" + zone
	}
	switch {
	case elem.Name() == "IPAddr":
		return host
	case port != nil:
		return net.JoinHostPort(host, m.text(port))
	}
	return unknown
}
