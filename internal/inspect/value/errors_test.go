package value

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/note"
)

type quotaError struct {
	Limit int
	Cause error
}

func (e *quotaError) Error() string { return fmt.Sprintf("over %d: %v", e.Limit, e.Cause) }

// A chain is shown as far as the limits allow, and the message of what they cut. Errors
// of other types have those that they wrap.
func TestErrorChain(t *testing.T) {
	_, open := os.Open("/does/not/exist")
	type chains struct{ Err, Custom, None error }
	all := &chains{fmt.Errorf("load: %w", open), &url.Error{Op: "Get", URL: "x", Err: &quotaError{5, fmt.Errorf("a: %w", syscall.ENOSPC)}}, nil}
	p, typ, addr := self(t, all, plain)
	deep, short := Read(p, typ, addr, Limits{}).Go(), Read(p, typ, addr, Limits{Depth: 1}).Go()
	runtime.KeepAlive(all)
	for text, wants := range map[string][]string{
		deep: {
			`&fmt.wrapError{`, `msg: "load: open /does/not/exist: no such file or directory"`,
			"Err: syscall.Errno(0x2) /* ENOENT: no such file or directory */,\n\t\t} /* open /does/not/exist: no such file or directory */,",
			`/* Get "x": (value.quotaError: a: no space left on device) */`, "None: nil",
		},
		short: {" below: --depth 2 */ /* open /does/not/exist: no such file or directory */"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
}

// What the core lacks of a message has its reason in its place.
func TestErrorMessageWithGaps(t *testing.T) {
	type paths struct{ Secret, Lost, Whole error }
	secret, lost := &fs.PathError{Op: "open", Path: strings.Repeat("secret", 2), Err: syscall.EIO}, &fs.PathError{Op: "read", Path: "x", Err: &quotaError{}}
	all := &paths{secret, lost, &fs.PathError{Op: "stat", Path: "y", Err: syscall.EPERM}}
	kept = all // not on a stack, which moves
	at := func(p unsafe.Pointer, size uint64, why note.MarkReason) inspect.Lost {
		return inspect.Lost{Range: memory.RangeOf(memory.Address(uintptr(p)), size), Why: why}
	}
	p, typ, addr := self(t, all, plain,
		at(unsafe.Pointer(unsafe.StringData(secret.Path)), 12, note.MarkedExcluded),
		at(unsafe.Pointer(&lost.Err), 16, note.MarkedGap),
	)
	text := Read(p, typ, addr, Limits{}).Go()
	runtime.KeepAlive(all)
	for _, want := range []string{"/* open (redacted): input/output error */", "/* read x: (not captured) */", "/* stat y: operation not permitted */"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret\"") {
		t.Error(text)
	}
}
