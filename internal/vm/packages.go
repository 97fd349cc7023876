//go:build linux

package vm

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// CacheVariable names the directory where downloaded packages are kept, in place of
// the user's cache.
const CacheVariable = "MEMINSPECT_VM_CACHE"

// A Kernel is a kernel from the system's packages.
type Kernel struct {
	Arch    string // amd64 or arm64
	Package string // name of the package, with the kernel's version
	Image   string // the file that QEMU boots
	modules string // directory of those in moduleNames
}

// Name returns the architecture and the version, as in names of tests.
func (k Kernel) Name() string {
	version, _, _ := strings.Cut(strings.TrimPrefix(k.Package, "linux-image-"), "-cloud")
	version, _, _ = strings.Cut(version, "+")
	return k.Arch + "-" + version
}

// moduleNames are the kernel modules that tests need.
var moduleNames = []string{
	"ramoops", "reed_solomon",
	"virtio_blk", "virtio_pci", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_ring", "virtio",
}

// Line is a series of kernels. The system's packages have one version of each.
type Line string

// The series that Debian 12 has for virtual machines.
const (
	Stable    Line = "linux-image-cloud-"
	Backports Line = "linux-image-6.12-cloud-"
)

// FetchKernel returns the kernel of a series from the cache. If none is there, it downloads
// the newest one first. The cache is never renewed: delete its directory to have newer
// kernels. If the system's packages do not have the series, the error wraps [ErrNoSeries];
// if the kernel is not available for this or another reason, it wraps [ErrMissing].
func FetchKernel(ctx context.Context, arch string, line Line) (Kernel, error) {
	p, done, err := openPackages(arch)
	if err != nil {
		return Kernel{}, err
	}
	defer done()
	meta := string(line) + arch
	debs, err := p.fetch(ctx, meta, func() ([]string, error) {
		out, err := p.apt(ctx, "apt-cache", "depends", meta)
		if err != nil { // it reads the lists that were downloaded just now
			return nil, fmt.Errorf("%w: %w", ErrNoSeries, err)
		}
		found := regexp.MustCompile(`(?m)^\s*Depends: (linux-image-\S+)$`).FindStringSubmatch(out)
		if found == nil {
			return nil, fmt.Errorf("%w: %w: the package %s names no kernel: %s", ErrNoSeries, ErrMissing, meta, out)
		}
		dir, err := os.MkdirTemp(p.dir, "download-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		if _, err := p.aptIn(ctx, dir, "apt-get", "download", found[1]); err != nil {
			return nil, err
		}
		return p.keep(dir)
	})
	if err != nil {
		return Kernel{}, err
	}
	deb := debs[0]
	name, _, _ := strings.Cut(filepath.Base(deb), "_")
	k := Kernel{Arch: arch, Package: name, modules: filepath.Join(p.dir, name)}
	k.Image = filepath.Join(k.modules, "vmlinuz")
	if have, err := os.ReadFile(k.stamp()); err == nil && string(have) == fmt.Sprint(moduleNames) {
		return k, nil
	}
	return k, unpackKernel(deb, k)
}

// stamp is the file that is written last: it shows which modules were unpacked.
func (k Kernel) stamp() string { return filepath.Join(k.modules, "unpacked") }

// unpackKernel writes the kernel and its modules to the cache.
func unpackKernel(deb string, k Kernel) error {
	if err := os.MkdirAll(k.modules, 0o755); err != nil {
		return err
	}
	var image []byte
	err := eachFile(deb, func(h *tar.Header, r io.Reader) error {
		base := path.Base(h.Name)
		if strings.HasPrefix(base, "vmlinuz-") && h.Typeflag == tar.TypeReg {
			var err error
			image, err = io.ReadAll(r)
			return err
		}
		name, ext, _ := strings.Cut(base, ".")
		name = strings.ReplaceAll(name, "-", "_")
		if !slices.Contains(moduleNames, name) || ext != "ko" && ext != "ko.xz" {
			return nil
		}
		data, err := io.ReadAll(r)
		if err == nil && ext == "ko.xz" {
			xz, missing := lookUp("xz")
			if missing != nil {
				return missing
			}
			unpack := exec.Command(xz, "-dc")
			unpack.Stdin = bytes.NewReader(data)
			data, err = unpack.Output()
		}
		if err != nil {
			return fmt.Errorf("the module %s: %w", base, err)
		}
		return os.WriteFile(filepath.Join(k.modules, name+".ko"), data, 0o644)
	})
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", deb, err)
	}
	if image == nil {
		return fmt.Errorf("%s has no kernel", deb)
	}
	if err := os.WriteFile(k.Image, image, 0o644); err != nil {
		return err
	}
	return os.WriteFile(k.stamp(), []byte(fmt.Sprint(moduleNames)), 0o644)
}

// FetchPackages returns the package files of the named packages and of all that they
// depend on, and downloads them first if they are not in the cache, which is never
// renewed. The packages are of the system's release, for any architecture, and are not
// installed. If they, or the command that unpacks them, are not available, the error wraps
// [ErrMissing].
func FetchPackages(ctx context.Context, arch string, names ...string) ([]string, error) {
	p, done, err := openPackages(arch)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := lookUp("dpkg-deb"); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(names, " "), err)
	}
	return p.fetch(ctx, strings.Join(names, " "), func() ([]string, error) {
		archives := filepath.Join(p.dir, "archives")
		if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
			return nil, err
		}
		defer os.RemoveAll(archives)
		args := append([]string{"install", "-y", "--download-only", "--no-install-recommends", "-o", "Dir::Cache::Archives=" + archives}, names...)
		if _, err := p.apt(ctx, "apt-get", args...); err != nil {
			return nil, err
		}
		return p.keep(archives)
	})
}

// eachFile calls f with the entries of a package file.
func eachFile(deb string, f func(*tar.Header, io.Reader) error) error {
	unpacker, err := lookUp("dpkg-deb")
	if err != nil {
		return err
	}
	cmd := exec.Command(unpacker, "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting dpkg-deb: %w", err)
	}
	files := tar.NewReader(out)
	for {
		h, err := files.Next()
		if err == nil {
			err = f(h, files)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return err
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("reading %s: %w: %s", deb, err, stderr.String())
	}
	return nil
}

// packages is the state of the package manager for one architecture, apart from the
// system's own: nothing is installed, and no rights are needed.
type packages struct{ arch, dir string }

// openPackages opens and locks it. done unlocks it.
func openPackages(arch string) (p *packages, done func(), err error) {
	dir := os.Getenv(CacheVariable)
	if dir == "" {
		if dir, err = os.UserCacheDir(); err != nil {
			return nil, nil, err
		}
		dir = filepath.Join(dir, "meminspect-vm")
	}
	p = &packages{arch, filepath.Join(dir, arch)}
	if err := os.MkdirAll(filepath.Join(p.dir, "state", "lists", "partial"), 0o755); err != nil {
		return nil, nil, err
	}
	lock, err := os.OpenFile(filepath.Join(p.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	return p, func() { lock.Close() }, nil
}

// fetch returns the files that a former download of this key has left, or else
// downloads them.
func (p *packages) fetch(ctx context.Context, key string, download func() ([]string, error)) ([]string, error) {
	sum := sha256.Sum256([]byte(key))
	list := filepath.Join(p.dir, fmt.Sprintf("%x", sum[:8])) // the names of the files
	if text, err := os.ReadFile(list); err == nil {
		var files []string
		for name := range strings.FieldsSeq(string(text)) {
			file := filepath.Join(p.dir, name)
			if _, err := os.Stat(file); err == nil {
				files = append(files, file)
			}
		}
		if len(files) > 0 && len(files) == len(strings.Fields(string(text))) {
			return files, nil
		}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("%w: %s: this system has no apt-get", ErrMissing, key)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "state", "status"), nil, 0o644); err != nil {
		return nil, err
	}
	// The names of the newest versions are in the newest lists only.
	if _, err := p.apt(ctx, "apt-get", "update"); err != nil {
		return nil, err
	}
	files, err := download()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return files, os.WriteFile(list, []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// keep moves the package files of a directory to the cache.
func (p *packages) keep(dir string) (kept []string, err error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		to := filepath.Join(p.dir, filepath.Base(f))
		if err := os.Rename(f, to); err != nil {
			return nil, err
		}
		kept = append(kept, to)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%w: nothing was downloaded", ErrMissing)
	}
	return kept, nil
}

func (p *packages) apt(ctx context.Context, command string, args ...string) (string, error) {
	return p.aptIn(ctx, p.dir, command, args...)
}

// aptIn runs a command of the package manager.
func (p *packages) aptIn(ctx context.Context, dir, command string, args ...string) (string, error) {
	state := filepath.Join(p.dir, "state")
	all := []string{
		"-q",
		"-o", "APT::Architecture=" + p.arch, "-o", "APT::Architectures::=" + p.arch,
		"-o", "Dir::State=" + state, "-o", "Dir::State::status=" + filepath.Join(state, "status"),
		"-o", "Dir::Cache=" + p.dir, "-o", "Dir::Log=" + p.dir,
		"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "Acquire::IndexTargets::deb::CNF::DefaultEnabled=false",
		"-o", "APT::Update::Post-Invoke-Success=", "-o", "APT::Update::Post-Invoke=",
	}
	cmd := exec.CommandContext(ctx, command, append(all, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s %s: %w: %s", ErrMissing, command, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
