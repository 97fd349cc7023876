// Package moduleproxy serves the modules of this work tree to the go command
// as if they had been published: a folder in the layout of a module proxy, with
// one version made of the tree as it is. Tests use it to be a producer who
// lives outside of this repository.
//
// The version carries a hash of the folder and the content, so that the go
// command's module cache never hands out an older tree, and proxies of tests
// that run at the same time share no version: [Proxy.Remove] takes the version
// out of that cache again.
package moduleproxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A Proxy is a folder that the go command can take modules from.
type Proxy struct {
	Dir     string   // absolute
	Version string   // of all modules
	Paths   []string // of the modules
}

// Build makes a proxy in dir, which must exist, of the modules that go.work in
// the repository names. A module's go.mod gets a requirement of each other one
// that it imports, as publishing adds it.
func Build(dir, repository string) (*Proxy, error) {
	modules, err := workspace(repository)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n", dir)
	for _, m := range modules {
		if err := m.readFiles(); err != nil {
			return nil, err
		}
		for _, f := range m.files {
			data, err := os.ReadFile(f.absolute)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(hash, "%s %s %d\n%s", m.path, f.path, len(data), data)
		}
	}
	version := "v0.1.0-test.x" + hex.EncodeToString(hash.Sum(nil)[:6])
	p := &Proxy{Dir: dir, Version: version}
	for _, m := range modules {
		if err := m.require(modules, version); err != nil {
			return nil, err
		}
		if err := m.publish(dir, version); err != nil {
			return nil, fmt.Errorf("publishing %s: %w", m.path, err)
		}
		p.Paths = append(p.Paths, m.path)
	}
	return p, nil
}

// Env returns the settings under which the go command takes our modules from
// here and all others from where it takes them now.
func (p *Proxy) Env() []string {
	out, err := exec.Command("go", "env", "GOPROXY").Output()
	others := strings.TrimSpace(string(out))
	if err != nil || others == "" {
		others = "direct"
	}
	return []string{
		"GOPROXY=file://" + filepath.ToSlash(p.Dir) + "," + others,
		"GONOSUMDB=" + strings.Join(p.Paths, ","),
		"GOFLAGS=", "GOWORK=",
	}
}

// Remove takes the version out of the go command's module cache.
func (p *Proxy) Remove() error {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	cache := strings.TrimSpace(string(out))
	for _, path := range p.Paths {
		escaped, err := module.EscapePath(path)
		if err != nil {
			return err
		}
		unpacked := filepath.Join(cache, filepath.FromSlash(escaped)+"@"+p.Version)
		err = filepath.WalkDir(unpacked, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(name, 0o777) // the cache's folders are read-only
			}
			return nil
		})
		if err := errors.Join(err, os.RemoveAll(unpacked)); err != nil {
			return err
		}
		downloads, err := filepath.Glob(filepath.Join(cache, "cache/download", filepath.FromSlash(escaped), "@v", p.Version+".*"))
		if err != nil {
			return err
		}
		downloads = append(downloads, filepath.Join(cache, "cache/download", filepath.FromSlash(escaped), "@v/list"))
		for _, name := range downloads {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// A source is a module of the workspace.
type source struct {
	dir, path string
	goMod     []byte // with the requirements that publishing adds
	files     []file
	imports   []string
}

// workspace lists the modules of go.work.
func workspace(repository string) ([]*source, error) {
	name := filepath.Join(repository, "go.work")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork(name, data, nil)
	if err != nil {
		return nil, err
	}
	var list []*source
	for _, use := range work.Use {
		dir, err := filepath.Abs(filepath.Join(repository, filepath.FromSlash(use.Path)))
		if err != nil {
			return nil, err
		}
		goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			return nil, err
		}
		list = append(list, &source{dir: dir, path: modfile.ModulePath(goMod), goMod: goMod})
	}
	return list, nil
}

// A file is one of a module's, for package zip.
type file struct {
	path, absolute string
	content        []byte // in the place of the file's own, unless nil
}

func (f file) Path() string { return f.path }
func (f file) Lstat() (os.FileInfo, error) {
	info, err := os.Lstat(f.absolute)
	if err != nil || f.content == nil {
		return info, err
	}
	return sized{info, int64(len(f.content))}, nil
}
func (f file) Open() (io.ReadCloser, error) {
	if f.content != nil {
		return io.NopCloser(bytes.NewReader(f.content)), nil
	}
	return os.Open(f.absolute)
}

type sized struct {
	os.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// readFiles lists the files that belong to the module: what git tracks or
// would, without nested modules.
func (m *source) readFiles() error {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = m.dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	slices.Sort(names)
	var nested []string
	for _, name := range names {
		if dir, ok := strings.CutSuffix(name, "/go.mod"); ok {
			nested = append(nested, dir+"/")
		}
	}
	for _, name := range slices.Compact(names) {
		absolute := filepath.Join(m.dir, filepath.FromSlash(name))
		info, err := os.Lstat(absolute)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, or a link, which module zips do not have
		}
		if slices.ContainsFunc(nested, func(dir string) bool { return strings.HasPrefix(name, dir) }) {
			continue
		}
		m.files = append(m.files, file{path: name, absolute: absolute})
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.Contains(name, "testdata/") {
			m.readImports(absolute)
		}
	}
	return nil
}

// readImports notes what a file imports.
func (m *source) readImports(name string) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return
	}
	for _, spec := range syntax.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			m.imports = append(m.imports, path)
		}
	}
}

// require adds the requirements of the other modules of the workspace.
func (m *source) require(modules []*source, version string) error {
	goMod, err := modfile.Parse("go.mod", m.goMod, nil)
	if err != nil {
		return err
	}
	needs := map[string]bool{}
	m.needs(modules, needs)
	delete(needs, m.path)
	for path := range needs {
		if err := goMod.AddRequire(path, version); err != nil {
			return err
		}
	}
	goMod.Cleanup()
	m.goMod, err = goMod.Format()
	return err
}

// needs finds the modules that m imports, directly or not.
func (m *source) needs(modules []*source, needs map[string]bool) {
	for _, path := range m.imports {
		var owner *source
		for _, other := range modules {
			if (path == other.path || strings.HasPrefix(path, other.path+"/")) && (owner == nil || len(other.path) > len(owner.path)) {
				owner = other
			}
		}
		if owner != nil && owner != m && !needs[owner.path] {
			needs[owner.path] = true
			owner.needs(modules, needs)
		}
	}
}

// publish writes what a proxy serves for one version of the module.
func (m *source) publish(dir, version string) error {
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o777); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": m.goMod} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o666); err != nil {
			return err
		}
	}
	var files []zip.File
	for _, f := range m.files {
		if f.path == "go.mod" {
			f.content = m.goMod
		}
		files = append(files, f)
	}
	var archive bytes.Buffer
	if err := zip.Create(&archive, module.Version{Path: m.path, Version: version}, files); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(at, version+".zip"), archive.Bytes(), 0o666)
}
