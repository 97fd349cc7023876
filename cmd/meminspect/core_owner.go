//go:build linux

package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// ownerOf returns the user who may read the core of a process: its only user, if the
// process has no rights beyond that user's. Set-user-ID programs, programs with file
// capabilities, and processes that are not dumpable belong to the superuser.
func ownerOf(pid int) (uid uint32, ok bool) {
	dir := process.Dir(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return 0, false
	}
	uid, ok = onlyID(status, "Uid:")
	if _, one := onlyID(status, "Gid:"); !ok || !one || uid == 0 {
		return 0, false
	}
	// The kernel gives the files of a process that is not dumpable to the superuser.
	var st unix.Stat_t
	if unix.Stat(dir+"/environ", &st) != nil || st.Uid != uid {
		return 0, false
	}
	if unix.Stat(dir+"/exe", &st) != nil || st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		return 0, false
	}
	if _, err := unix.Getxattr(dir+"/exe", "security.capability", nil); !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		return 0, false
	}
	return uid, !isSecure(dir)
}

// onlyID returns the ID of a line of /proc/PID/status, if all four are the same.
func onlyID(status []byte, name string) (uint32, bool) {
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[0] != name {
			continue
		}
		id, err := strconv.ParseUint(fields[1], 10, 32)
		return uint32(id), err == nil && !slices.ContainsFunc(fields[2:], func(other string) bool { return other != fields[1] })
	}
	return 0, false
}

// isSecure reports whether the kernel started the program with more rights than its
// caller had. Without an answer it did.
func isSecure(dir string) bool {
	auxv, err := os.ReadFile(dir + "/auxv")
	if err != nil {
		return true
	}
	var vector [][2]uintptr
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		vector = append(vector, [2]uintptr{uintptr(binary.NativeEndian.Uint64(auxv)), uintptr(binary.NativeEndian.Uint64(auxv[8:]))})
	}
	secure, known := secureOf(vector)
	return secure || !known
}

// secureOf returns what the auxiliary vector of a process has about its rights: whether
// the kernel started it with more than its caller had. See getauxval(3).
func secureOf(vector [][2]uintptr) (secure, known bool) {
	const atSecure = 23
	for _, entry := range vector {
		if entry[0] == atSecure {
			return entry[1] != 0, true
		}
	}
	return false, false
}

// letRead lets a user read a core, by an access control list, and find it in its
// directory. The core and the directory belong to this user, and no other user may
// replace the core, or the list would be that of another file.
func letRead(path string, uid uint32) error {
	const read, list = 4, 5
	dir, err := openOwned(unix.AT_FDCWD, filepath.Dir(path), unix.S_IFDIR)
	if err != nil {
		return err
	}
	defer dir.Close()
	core, err := openOwned(int(dir.Fd()), filepath.Base(path), unix.S_IFREG)
	if err != nil {
		return err
	}
	defer core.Close()
	s, err := store.Open(dir.Name(), store.Policy{})
	if err != nil {
		return err
	}
	// The lists of the directory that other handlers read and write. Users who may
	// list the directory cannot hold this lock, as they could one of the directory.
	if err := s.Locked(func() error { return grant(dir, uid, list) }); err != nil {
		return err
	}
	return grant(core, uid, read)
}

// openOwned opens a file or a directory of this user, which no other user may change or
// have put there. It follows no symbolic link.
func openOwned(at int, path string, kind uint32) (*os.File, error) {
	flags := unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	if kind == unix.S_IFDIR {
		flags |= unix.O_DIRECTORY
	}
	fd, err := unix.Openat(at, path, flags, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s %w", path, plainfile.ErrSymlink)
	case errors.Is(err, unix.ENOTDIR):
		return nil, fmt.Errorf("%s is a symbolic link: set --dir to the directory that it names", path)
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if err := checkOwned(f, kind); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return f, nil
}

func checkOwned(f *os.File, kind uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("cannot be examined: %w", err)
	}
	sticky := kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0 // only the owner of a file replaces it
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return plainfile.ErrNotRegular
	case int64(st.Uid) != int64(os.Geteuid()):
		return fmt.Errorf("belongs to user %d: use a directory that belongs to user %d", st.Uid, os.Geteuid())
	case st.Mode&0o022 != 0 && !sticky:
		return fmt.Errorf("has mode %04o, so other users may change it: remove their permission to write", st.Mode&0o7777)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return fmt.Errorf("has %d names: another user may have linked it", st.Nlink)
	}
	return nil
}

// An aclEntry is a line of an access control list: see acl(5) and
// include/uapi/linux/posix_acl_xattr.h.
type aclEntry struct {
	Tag, Perm uint16
	ID        uint32
}

// Tags of entries, in the order in which the kernel wants them.
const (
	aclOwner, aclUser, aclGroupOwner, aclGroup, aclMask, aclOther = 1, 2, 4, 8, 16, 32

	aclName    = "system.posix_acl_access"
	aclVersion = 2
	noID       = ^uint32(0)
)

// grant adds permissions of a user to those that a file has.
func grant(f *os.File, uid uint32, perm uint16) error {
	entries, err := readACL(f)
	if err != nil {
		return &os.PathError{Op: "read the access control list of", Path: f.Name(), Err: err}
	}
	at := slices.IndexFunc(entries, func(e aclEntry) bool { return e.Tag == aclUser && e.ID == uid })
	if at < 0 {
		at = len(entries)
		entries = append(entries, aclEntry{aclUser, 0, uid})
	}
	entries[at].Perm |= perm
	mask := slices.IndexFunc(entries, func(e aclEntry) bool { return e.Tag == aclMask })
	if mask < 0 {
		mask = len(entries)
		entries = append(entries, aclEntry{aclMask, 0, noID})
	}
	for _, e := range entries {
		if e.Tag == aclUser || e.Tag == aclGroupOwner || e.Tag == aclGroup {
			entries[mask].Perm |= e.Perm
		}
	}
	slices.SortFunc(entries, func(a, b aclEntry) int { return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.ID, b.ID)) })
	var data bytes.Buffer
	_ = binary.Write(&data, binary.LittleEndian, uint32(aclVersion)) // to a buffer
	_ = binary.Write(&data, binary.LittleEndian, entries)
	if err := unix.Fsetxattr(int(f.Fd()), aclName, data.Bytes(), 0); err != nil {
		return &os.PathError{Op: "write the access control list of", Path: f.Name(), Err: err}
	}
	return nil
}

// readACL returns the list of a file, or what its mode means.
func readACL(f *os.File) ([]aclEntry, error) {
	data := make([]byte, 64<<10)
	n, err := unix.Fgetxattr(int(f.Fd()), aclName, data)
	if err == nil && n >= 4 {
		entries := make([]aclEntry, (n-4)/binary.Size(aclEntry{}))
		err := binary.Read(bytes.NewReader(data[4:n]), binary.LittleEndian, entries)
		return entries, err
	}
	if err != nil && !errors.Is(err, unix.ENODATA) {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mode := uint16(info.Mode().Perm())
	return []aclEntry{{aclOwner, mode >> 6 & 7, noID}, {aclGroupOwner, mode >> 3 & 7, noID}, {aclOther, mode & 7, noID}}, nil
}
