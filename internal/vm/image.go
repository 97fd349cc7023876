//go:build linux

package vm

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// An Image is the root file system of a virtual machine while it is put together: an
// archive that the kernel unpacks into memory. Errors are kept, and reported by
// [Image.Write].
type Image struct {
	arch    string
	files   map[string]cpio.Record
	order   []string
	opened  []*os.File
	problem error
}

// NewImage returns an image of the directories that every system has.
func NewImage(arch string) *Image {
	i := &Image{arch: arch, files: map[string]cpio.Record{}}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		i.add(cpio.Symlink(link, "usr/"+link))
	}
	i.add(cpio.Directory("tmp", 0o1777))
	i.add(cpio.Directory("root", 0o700))
	i.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	i.Text("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")
	i.Text("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
	i.Text("etc/hosts", 0o644, "127.0.0.1 localhost\n")
	return i
}

// add adds a record in place of an older one of that name, after its directories.
func (i *Image) add(r cpio.Record) {
	r.Name = strings.TrimPrefix(path.Clean("/"+r.Name), "/")
	// Some packages have files in directories that are links by now.
	if first, rest, ok := strings.Cut(r.Name, "/"); ok && (first == "bin" || first == "sbin" || first == "lib" || first == "lib64") {
		r.Name = "usr/" + first + "/" + rest
	}
	if dir := path.Dir(r.Name); dir != "." {
		if _, ok := i.files[dir]; !ok {
			i.add(cpio.Directory(dir, 0o755))
		}
	}
	if _, ok := i.files[r.Name]; !ok {
		i.order = append(i.order, r.Name)
	}
	i.files[r.Name] = r
}

func (i *Image) fail(err error) {
	if i.problem == nil {
		i.problem = err
	}
}

// Text adds a file with a text.
func (i *Image) Text(name string, mode os.FileMode, text string) {
	i.add(cpio.StaticFile(name, text, uint64(mode.Perm())))
}

// File adds a file of the host, which must not change before the image is written.
func (i *Image) File(name, host string) {
	f, err := os.Open(host)
	if err != nil {
		i.fail(err)
		return
	}
	i.opened = append(i.opened, f)
	info, err := f.Stat()
	if err != nil {
		i.fail(err)
		return
	}
	i.add(cpio.Record{ReaderAt: f, Info: cpio.Info{Name: name, Mode: cpio.S_IFREG | uint64(info.Mode().Perm()), FileSize: uint64(info.Size())}})
}

// Package adds the files of packages, as they are in their archives: no script of a
// package runs. Documentation is left out.
func (i *Image) Package(debs ...string) {
	for _, deb := range debs {
		err := eachFile(deb, func(h *tar.Header, r io.Reader) error {
			name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
			if name == "" || strings.HasPrefix(name, "usr/share/doc") || strings.HasPrefix(name, "usr/share/man") || strings.HasPrefix(name, "usr/share/locale") {
				return nil
			}
			mode := uint64(h.Mode) & 0o7777
			switch h.Typeflag {
			case tar.TypeDir:
				switch name {
				case "bin", "sbin", "lib", "lib64":
				default:
					i.add(cpio.Directory(name, mode))
				}
			case tar.TypeSymlink:
				i.add(cpio.Symlink(name, h.Linkname))
			case tar.TypeLink:
				target, ok := i.files[strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")]
				if !ok {
					return fmt.Errorf("%s is a link to %s, which is not there", name, h.Linkname)
				}
				target.Name = name
				i.add(target)
			case tar.TypeReg:
				data, err := io.ReadAll(r)
				if err != nil {
					return err
				}
				i.add(cpio.Record{ReaderAt: bytes.NewReader(data), Info: cpio.Info{Name: name, Mode: cpio.S_IFREG | mode, FileSize: uint64(len(data))}})
			}
			return nil
		})
		if err != nil {
			i.fail(fmt.Errorf("%s: %w", filepath.Base(deb), err))
		}
	}
}

// Build builds a Go package for the machine, statically, and adds the program. Flags
// go before the package.
func (i *Image) Build(name, dir, pkg string, env []string, flags ...string) {
	out, err := Build(i.arch, dir, pkg, env, flags...)
	if err != nil {
		i.fail(err)
		return
	}
	defer os.RemoveAll(filepath.Dir(out))
	i.File(name, out)
}

// Build builds a Go package for an architecture, statically, and returns the program,
// which is in a new directory. With a flag -c it builds the tests.
func Build(arch, dir, pkg string, env []string, flags ...string) (string, error) {
	to, err := os.MkdirTemp("", "meminspect-vm-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(to, "program")
	verb := "build"
	if len(flags) > 0 && flags[0] == "-c" {
		verb = "test"
	}
	args := append(append([]string{verb}, flags...), "-o", program, pkg)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(to)
		return "", fmt.Errorf("building %s for %s: %w: %s", pkg, arch, err, out)
	}
	return program, nil
}

// Write adds the first process and the kernel's modules, and writes the image to a file.
func (i *Image) Write(file string, k Kernel) (err error) {
	_, here, _, _ := runtime.Caller(0)
	i.Build("init", filepath.Dir(here), "./init", nil)
	for _, name := range moduleNames {
		if host := filepath.Join(k.modules, name+".ko"); k.modules != "" && exists(host) {
			i.File("modules/"+name+".ko", host)
		}
	}
	defer func() {
		for _, f := range i.opened {
			f.Close()
		}
	}()
	if i.problem != nil {
		return fmt.Errorf("the image: %w", i.problem)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	w := cpio.Newc.Writer(f)
	for n, name := range i.order {
		r := i.files[name]
		r.Ino, r.NLink = uint64(n+1), 1
		if err := w.WriteRecord(r); err != nil {
			return fmt.Errorf("the image: %s: %w", name, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return fmt.Errorf("the image: %w", err)
	}
	return nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
