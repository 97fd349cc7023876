package corefile

import (
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// systemdName is the name of a file in the store of systemd-coredump:
// core.COMM.UID.BOOT.PID.MICROSECONDS, with a suffix if it is compressed. Bytes of COMM that
// are special in names are \xHH.
var systemdName = lazyexp.New(`^core\.(.+)\.[0-9]+\.[0-9a-f]{32}\.([0-9]+)\.([0-9]+)(?:\.zst|\.xz|\.lz4)?$`)

// Attributes of these files.
const (
	systemdExe    = "user.coredump.exe"
	systemdSignal = "user.coredump.signal" // its number
)

// parseSystemdName reads the name of a file that systemd-coredump stored. attribute returns
// an attribute of the file, "" if it has none: the name has the first 15 bytes of the
// program's, and no reason.
func parseSystemdName(name string, attribute func(string) string) (Title, bool) {
	m := systemdName().FindStringSubmatch(name)
	if m == nil {
		return Title{}, false
	}
	pid, err1 := strconv.Atoi(m[2])
	micros, err2 := strconv.ParseInt(m[3], 10, 64)
	if err1 != nil || err2 != nil {
		return Title{}, false
	}
	program := unescape(m[1])
	if exe := attribute(systemdExe); exe != "" {
		program = path.Base(exe)
	}
	reason := "signal"
	if n, err := strconv.Atoi(attribute(systemdSignal)); err == nil {
		if text := signalName(n); text != "" {
			reason += " " + strings.ToLower(text) // as causes are written
		}
	}
	return Title{Program: clean(program, maxProgram), PID: pid, When: time.UnixMicro(micros).UTC(), Reason: clean(reason, maxReason)}, true
}

// unescape replaces each \xHH by its byte.
func unescape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if strings.HasPrefix(s, `\x`) && len(s) >= 4 {
			if n, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}
