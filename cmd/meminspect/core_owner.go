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
)

// ownerOf returns the user who may read the core of a process: its only user, if the
// process has no rights beyond that user's. Set-user-ID programs, programs with file
// capabilities, and processes that are not dumpable belong to the superuser.
func ownerOf(pid int) (uid uint32, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
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
	const atSecure = 23
	for len(auxv) >= 16 {
		if binary.NativeEndian.Uint64(auxv) == atSecure {
			return binary.NativeEndian.Uint64(auxv[8:]) != 0
		}
		auxv = auxv[16:]
	}
	return true
}

// letRead lets a user read a core, by an access control list, and find it in its
// directory.
func letRead(path string, uid uint32) error {
	const read, list = 4, 5
	if err := grant(filepath.Dir(path), uid, list); err != nil {
		return err
	}
	return grant(path, uid, read)
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
func grant(path string, uid uint32, perm uint16) error {
	entries, err := readACL(path)
	if err != nil {
		return fmt.Errorf("let user %d read %s: %w", uid, path, err)
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
	if err := unix.Setxattr(path, aclName, data.Bytes(), 0); err != nil {
		return fmt.Errorf("let user %d read %s: %w", uid, path, err)
	}
	return nil
}

// readACL returns the list of a file, or what its mode means.
func readACL(path string) ([]aclEntry, error) {
	data := make([]byte, 64<<10)
	n, err := unix.Getxattr(path, aclName, data)
	if err == nil && n >= 4 {
		entries := make([]aclEntry, (n-4)/binary.Size(aclEntry{}))
		err := binary.Read(bytes.NewReader(data[4:n]), binary.LittleEndian, entries)
		return entries, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	mode := uint16(info.Mode().Perm())
	return []aclEntry{{aclOwner, mode >> 6 & 7, noID}, {aclGroupOwner, mode >> 3 & 7, noID}, {aclOther, mode & 7, noID}}, nil
}
