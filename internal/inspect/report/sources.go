package report

import (
	"bufio"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// addSource adds to the program's own calls the line of the source, and the link
// that a template makes.
func (r *Report) addSource(template string) {
	started := r.Core.Started()
	if started.IsZero() && r.Core.Capture != nil {
		started = r.Core.Capture.When
	}
	for i := range r.Failed.Calls {
		if c := &r.Failed.Calls[i]; !c.Library {
			c.Source = sourceLine(&c.Frame, started)
			c.Link = link(template, r.Core, &c.Frame)
		}
	}
}

// sourceLine returns the line of a frame, "" if the file is not there, or was
// changed after the program started: then it is not what the program was built of.
// The file's name is the core's, so it is opened only if it is that of a regular file
// with Go source.
func sourceLine(f *stacks.Frame, started time.Time) string {
	const maxLines, maxLine = 1 << 20, 1 << 12
	if !strings.HasSuffix(f.File, ".go") || !path.IsAbs(f.File) || f.Line > maxLines {
		return ""
	}
	file, err := plainfile.Open(f.File)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.ModTime().After(started) {
		return ""
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if n == f.Line {
			return strings.TrimSpace(lines.Text())
		}
	}
	return ""
}

// link returns a template with the file, line and commit of a frame: the file
// relative to the root of the program's main module. It returns "" if the function
// is not of that module, or if the commit is not known and the template needs it.
func link(template string, core *inspect.Core, f *stacks.Frame) string {
	build := core.BuildInfo()
	if template == "" || build == nil {
		return ""
	}
	commit := revision(core)
	dir, ok := moduleDir(f.Function, build.Main.Path, core.MainPath())
	if !ok || commit == "" && strings.Contains(template, "{commit}") {
		return ""
	}
	return strings.NewReplacer("{file}", escapePath(path.Join(dir, path.Base(f.File))), "{line}", strconv.Itoa(f.Line), "{commit}", url.PathEscape(commit)).Replace(template)
}

// NoLinks returns why no call can have the link that a template makes, "" if some can.
func NoLinks(template string, core *inspect.Core) string {
	switch {
	case template == "":
		return ""
	case core.BuildInfo() == nil:
		return "the core has no build information, which names the files of the main module"
	case strings.Contains(template, "{commit}") && revision(core) == "":
		return "the program was built without a revision of a version control system, which {commit} needs"
	}
	return ""
}

// revision returns the revision that the program was built from, "" if it is not known.
func revision(core *inspect.Core) string {
	for _, s := range core.BuildInfo().Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func escapePath(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// moduleDir returns the directory in a module of the package of a function. main is
// the import path of package main.
func moduleDir(function, module, main string) (string, bool) {
	pkg := PackageOf(function)
	if pkg == "main" && main != "" {
		pkg = main
	}
	if pkg == module {
		return "", true
	}
	return strings.CutPrefix(pkg, module+"/")
}

// PackageOf returns the import path of a function's package, as the linker writes
// it in the function's name.
func PackageOf(function string) string {
	name, _, _ := strings.Cut(function, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	pkg, _, _ := strings.Cut(name[slash:], ".")
	unescaped, err := url.PathUnescape(name[:slash] + pkg) // the last element has %2e for a dot
	if err != nil {
		return name[:slash] + pkg
	}
	return unescaped
}
