package logring

import (
	"encoding/binary"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/meminspect/meminspect/runtime/format/logring"
)

// appendLine appends a new record as a line of text, as slog.TextHandler
// formats it: time, level, message, key=value.
func appendLine(dst, rec []byte) []byte {
	le := binary.LittleEndian
	if ns := int64(le.Uint64(rec[logring.RecTime:])); ns != 0 {
		dst = time.Unix(0, ns).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z ")
	}
	if le.Uint16(rec[logring.RecFlags:])&logring.FlagPlain == 0 {
		dst = append(dst, slog.Level(int32(le.Uint32(rec[logring.RecLevel:]))).String()...)
		dst = append(dst, ' ')
	}
	rest := rec[logring.RecMessage:]
	n := le.Uint32(rest)
	dst = appendClean(dst, rest[4:4+n])
	rest = rest[4+n:]
	var prefix [8][]byte // keys of open groups; deeper ones are omitted
	depth := 0
	for len(rest) > 0 {
		kind, size := rest[0], int(le.Uint16(rest[1:]))
		key := rest[3 : 3+size]
		rest = rest[3+size:]
		switch kind {
		case logring.TokenOpen:
			if depth < len(prefix) {
				prefix[depth] = key
			}
			depth++
			continue
		case logring.TokenClose:
			depth--
			continue
		}
		dst = append(dst, ' ')
		for _, p := range prefix[:min(depth, len(prefix))] {
			if len(p) > 0 {
				dst = append(appendClean(dst, p), '.')
			}
		}
		dst = append(appendClean(dst, key), '=')
		if kind == logring.TokenString {
			n := le.Uint32(rest)
			dst = appendValue(dst, rest[4:4+n])
			rest = rest[4+n:]
			continue
		}
		dst = appendNumber(dst, kind, le.Uint64(rest))
		rest = rest[8:]
	}
	return append(dst, '\n')
}

func appendNumber(dst []byte, kind byte, n uint64) []byte {
	switch kind {
	case logring.TokenBool:
		return strconv.AppendBool(dst, n != 0)
	case logring.TokenInt:
		return strconv.AppendInt(dst, int64(n), 10)
	case logring.TokenUint:
		return strconv.AppendUint(dst, n, 10)
	case logring.TokenFloat:
		return strconv.AppendFloat(dst, math.Float64frombits(n), 'g', -1, 64)
	case logring.TokenDuration:
		return append(dst, time.Duration(n).String()...)
	}
	return time.Unix(0, int64(n)).UTC().AppendFormat(dst, time.RFC3339Nano)
}

// appendValue quotes a value that would not read as one word.
func appendValue(dst, s []byte) []byte {
	for _, c := range s {
		if c <= ' ' || c == '"' || c == '=' || c >= 0x7f {
			return strconv.AppendQuote(dst, string(s))
		}
	}
	if len(s) == 0 {
		return append(dst, '"', '"')
	}
	return append(dst, s...)
}

// appendClean keeps a record on one line.
func appendClean(dst, s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}
