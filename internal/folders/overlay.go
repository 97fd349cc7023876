package folders

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// An Overlay is the content of the go command's -overlay file: paths of files
// and the files that replace them, "" if the path is removed. The zero value
// replaces nothing.
type Overlay struct {
	file    string // absolute
	replace map[string]string
	byDir   map[string][]string // names of replaced or added files
}

// ReadOverlay reads the overlay that the first -overlay flag names. File names
// are relative to dir. Without the flag the overlay is empty.
func ReadOverlay(dir string, flags []string) (*Overlay, error) {
	name := flagValue(flags, "overlay")
	o := &Overlay{replace: map[string]string{}, byDir: map[string][]string{}}
	if name == "" {
		return o, nil
	}
	o.file = absolute(dir, name)
	data, err := os.ReadFile(o.file)
	if err != nil {
		return nil, fmt.Errorf("read the overlay: %w", err)
	}
	var content struct{ Replace map[string]string }
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("read the overlay %s: %w", name, err)
	}
	for from, to := range content.Replace {
		from = absolute(dir, from)
		if to != "" {
			to = absolute(dir, to)
		}
		o.replace[from] = to
		o.byDir[filepath.Dir(from)] = append(o.byDir[filepath.Dir(from)], filepath.Base(from))
	}
	for _, names := range o.byDir {
		slices.Sort(names)
	}
	return o, nil
}

// EnvFlags returns the flags in GOFLAGS as env has it; nil means the environment
// of this process.
func EnvFlags(env []string) []string {
	if env == nil {
		return splitFlags(os.Getenv("GOFLAGS"))
	}
	var flags []string
	for _, line := range env { // the last one counts
		if value, ok := strings.CutPrefix(line, "GOFLAGS="); ok {
			flags = splitFlags(value)
		}
	}
	return flags
}

// splitFlags splits GOFLAGS as the go command does: at spaces, but not inside a
// field that is quoted as a whole.
func splitFlags(text string) []string {
	var flags []string
	for text = strings.TrimLeft(text, " \t\n\r"); text != ""; text = strings.TrimLeft(text, " \t\n\r") {
		if quote := text[0]; quote == '\'' || quote == '"' {
			if field, rest, ok := strings.Cut(text[1:], string(quote)); ok {
				flags, text = append(flags, field), rest
				continue
			}
		}
		end := strings.IndexAny(text, " \t\n\r")
		if end < 0 {
			end = len(text)
		}
		flags, text = append(flags, text[:end]), text[end:]
	}
	return flags
}

// configuredFlags returns GOFLAGS as the go command has it, which may come from
// its configuration file.
func configuredFlags(ctx context.Context, q *Query) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOFLAGS")
	cmd.Dir, cmd.Env = q.Dir, q.Env
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOFLAGS: %w", err)
	}
	return splitFlags(string(out)), nil
}

// flagValue returns the value of -name=value or -name value, "" without one.
func flagValue(flags []string, name string) string {
	for i, flag := range flags {
		flag = strings.TrimPrefix(strings.TrimPrefix(flag, "-"), "-")
		if value, ok := strings.CutPrefix(flag, name+"="); ok {
			return value
		}
		if flag == name && i+1 < len(flags) {
			return flags[i+1]
		}
	}
	return ""
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// Actual returns the file that has the content of path, "" if the overlay
// removes it.
func (o *Overlay) Actual(path string) string {
	if to, ok := o.replace[path]; ok {
		return to
	}
	return path
}

// Flags returns the flag that names the overlay, nil for an empty one.
func (o *Overlay) Flags() []string {
	if o.file == "" {
		return nil
	}
	return []string{"-overlay=" + o.file}
}

// Logical returns the path that a file replaces, or the file itself.
func (o *Overlay) Logical(file string) string {
	for path, to := range o.replace {
		if to == file {
			return path
		}
	}
	return file
}

// Names adds the overlay's files of a folder to the names of its own files, and
// sorts them.
func (o *Overlay) Names(dir string, names []string) []string {
	for _, name := range o.byDir[dir] {
		if o.replace[filepath.Join(dir, name)] == "" {
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		} else if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Read reads a file, into the buffer if it fits.
func (o *Overlay) Read(path string, buffer []byte) ([]byte, error) {
	f, err := os.Open(o.Actual(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(info.Size())
	if cap(buffer) < size+1 {
		buffer = make([]byte, 0, size+size/4+512)
	}
	buffer = buffer[:0]
	for {
		n, err := f.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF {
			return buffer, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
	}
}
