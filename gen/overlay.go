package gen

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

// An overlay is what the go command's -overlay flag says: for a path of a
// file, the file that stands in for it, "" if the path is to be thought away.
type overlay struct {
	replace map[string]string
	byDir   map[string][]string // names of replaced or added files
}

// readOverlay finds the -overlay flag in the run's flags, else in GOFLAGS.
func readOverlay(ctx context.Context, cfg *Config) (*overlay, error) {
	name := flagValue(cfg.GoFlags, "overlay")
	if name == "" {
		// GOFLAGS may stand in the go command's own file of settings.
		cmd := exec.CommandContext(ctx, "go", "env", "GOFLAGS")
		cmd.Dir, cmd.Env = cfg.Dir, cfg.Env
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go env GOFLAGS: %w", err)
		}
		name = flagValue(strings.Fields(string(out)), "overlay")
	}
	o := &overlay{replace: map[string]string{}, byDir: map[string][]string{}}
	if name == "" {
		return o, nil
	}
	data, err := os.ReadFile(absolute(cfg.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("reading the overlay: %w", err)
	}
	var content struct{ Replace map[string]string }
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("reading the overlay %s: %w", name, err)
	}
	for from, to := range content.Replace {
		from = absolute(cfg.Dir, from)
		if to != "" {
			to = absolute(cfg.Dir, to)
		}
		o.replace[from] = to
		o.byDir[filepath.Dir(from)] = append(o.byDir[filepath.Dir(from)], filepath.Base(from))
	}
	for _, names := range o.byDir {
		slices.Sort(names)
	}
	return o, nil
}

// flagValue finds -name=value or -name value.
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

// actual returns where the bytes of path are, "" if it is thought away.
func (o *overlay) actual(path string) string {
	if to, ok := o.replace[path]; ok {
		return to
	}
	return path
}

// names adds the overlay's files of a folder to those that it has.
func (o *overlay) names(dir string, names []string) []string {
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

// read reads a file, into the buffer if it fits.
func (o *overlay) read(path string, buffer []byte) ([]byte, error) {
	f, err := os.Open(o.actual(path))
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
