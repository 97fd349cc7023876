package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/signature"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Sign returns the signature of a core that is about to be written, as the core
// carries it; "" if the program did not end. Of the program's memory it reads that of
// goroutines only.
func Sign(built *elfcore.Core) (string, error) {
	file, size, err := built.ReaderAt()
	if err != nil {
		return "", err
	}
	core, err := inspect.Read(file, size)
	if err != nil {
		return "", fmt.Errorf("read the core: %w", err)
	}
	if core.Capture != nil {
		core.Capture.Program = "" // the core has the functions: the executable is not opened
	}
	s, err := SignatureOf(core)
	return s.String(), err
}

// SignatureOf returns the signature that a core carries, or else the one that its
// goroutines give. It is the zero value if the program did not end.
func SignatureOf(core *inspect.Core) (signature.Signature, error) {
	if s, ok := storedSignature(core); ok || !CauseOf(core).End() {
		return s, nil
	}
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		return signature.Signature{}, err
	}
	defer prog.Close()
	list, _, _ := stacks.Read(prog) // without goroutines the cause alone counts, or the crash text
	return sign(core, list, failed(core, prog, list)), nil
}

func storedSignature(core *inspect.Core) (signature.Signature, bool) {
	for i := range core.Extras {
		if x := &core.Extras[i]; x.Name == note.ExtraSignature {
			return signature.Parse(string(x.Data))
		}
	}
	return signature.Signature{}, false
}

// sign returns the signature of an end.
func sign(core *inspect.Core, list []stacks.Goroutine, failed *Goroutine) signature.Signature {
	cause := CauseOf(core)
	if failed == nil && cause.Hang() {
		return signature.OfBlocked(cause.kind(), blocking(list, stacks.LibraryOf(core, list)))
	}
	var functions []string
	if failed != nil {
		for i := range failed.Calls {
			if c := &failed.Calls[i]; !c.Library {
				functions = append(functions, c.Function)
			}
		}
	}
	return signature.OfCalls(cause.kind(), functions)
}

// blocking returns the innermost functions of the program, without the standard
// library, in which goroutines wait for each other: for a lock or a channel.
func blocking(list []stacks.Goroutine, library stacks.Library) []string {
	var out []string
	for _, g := range stacks.Groups(list) {
		if g.System || !slices.ContainsFunc(g.Goroutines, waitsForOther) {
			continue
		}
		if own := slices.IndexFunc(g.Frames, func(f stacks.Frame) bool { return !library.Has(&f) }); own >= 0 {
			out = append(out, g.Frames[own].Function)
		}
	}
	return out
}

// waitsForOther reports whether a goroutine waits for what another one has to do.
// One in a select statement may wait for a timer or a request.
func waitsForOther(g *stacks.Goroutine) bool {
	for _, state := range []string{"chan receive", "chan send", "sync.", "semacquire"} {
		if strings.HasPrefix(g.State, state) {
			return true
		}
	}
	return false
}

// kind is the cause without what differs between two cores of one bug.
func (c Cause) kind() string {
	kind := c.Reason
	if kind == "signal-sigabrt" && c.Type != "" {
		kind = crashtext.Panic // under GOTRACEBACK=crash
	}
	if c.ownType() {
		kind += " (" + signature.Normalize(c.Type) + ")"
	}
	if name, ok := strings.CutPrefix(c.Message, "heartbeat "); ok && c.Reason == "hang" {
		name, _, _ = strings.Cut(name, ",")
		kind += " (heartbeat " + name + ")"
	}
	return kind
}

// ownType reports whether the type of the panic's value is not the standard
// library's: these change between releases of Go.
func (c Cause) ownType() bool {
	pkg := PackageOf(strings.TrimLeft(c.Type, "*"))
	first, _, _ := strings.Cut(pkg, "/")
	return pkg == "main" || strings.Contains(first, ".")
}
