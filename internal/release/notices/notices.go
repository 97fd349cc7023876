// Package notices collects the licenses of the modules and npm packages that programs
// contain.
package notices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// legal matches the names of files that must accompany a program.
var legal = regexp.MustCompile(`(?i)^(li[cs]en[cs]e|copying|notice|copyright|patents)([-_. ].*)?$`)

// A module is what `go list` prints of one.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

// Of returns the licenses and notices of all modules of the packages, and of Go, as
// one text. Each system is GOOS/GOARCH.
func Of(systems []string, packages ...string) ([]byte, error) {
	modules := map[string]module{}
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		if err := list(modules, append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"), packages); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "meminspect contains the Go runtime and library, these modules and these npm packages.\n\n")
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := write(&out, "Go", runtime.Version(), strings.TrimSpace(string(root))); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		if err := write(&out, m.Path, m.Version, m.Dir); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// OfPage returns the licenses of the npm packages in the script of the page, as one text:
// of all in package-lock.json but those for tests alone. dir has that file and
// node_modules.
func OfPage(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return nil, fmt.Errorf("licenses of the page: %w", err)
	}
	var lock struct {
		Packages map[string]struct {
			Version string
			Dev     bool
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("licenses of the page: package-lock.json: %w", err)
	}
	var out bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[path]
		if path == "" || p.Dev { // the first is the page itself
			continue
		}
		if err := write(&out, strings.TrimPrefix(path, "node_modules/"), p.Version, filepath.Join(dir, path)); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func list(modules map[string]module, env, packages []string) error {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, packages...)...)
	cmd.Env = env
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list: %w", err)
		}
		if m := p.Module; m != nil && !m.Main {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[m.Path] = *m
		}
	}
}

// write writes the legal files of a module. A module without any is an error.
func write(out *bytes.Buffer, path, version, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("licenses of %s: %w", path, err)
	}
	names := 0
	for _, e := range entries {
		if !e.Type().IsRegular() || !legal.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("licenses of %s: %w", path, err)
		}
		names++
		fmt.Fprintf(out, "%s\n%s %s: %s\n%s\n\n%s\n\n", strings.Repeat("=", 80), path, version, e.Name(), strings.Repeat("=", 80), bytes.TrimSpace(text))
	}
	if names == 0 {
		return fmt.Errorf("licenses of %s: no file of a license in %s: %w", path, dir, fs.ErrNotExist)
	}
	return nil
}
