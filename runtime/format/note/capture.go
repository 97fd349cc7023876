package note

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Capture is the record of how a core was made. Empty fields are not stored.
type Capture struct {
	Why         string        // "asked", "panic: …", "SIGSEGV", "heartbeat queue missed"
	When        time.Time     // to the nanosecond
	Who         string        // the capturer: "coreimage.Write", "meminspect capture"
	Stopped     time.Duration // how long the program was stopped
	Clock       int64         // the program's runtime clock at the capture, in nanoseconds; 0 if unknown
	ToolVersion string        // of this project
	GoVersion   string        // of the captured program
	BuildID     string        // Go's build ID of the captured program
	GNUBuildID  string        // hexadecimal
	Program     string        // path of the executable
	Main        string        // import path of its package main
	Host        string
	Kernel      string // release
	PID         int
	Strict      bool   // the core contains regions only, no other program memory
	Extra       []Pair // pairs without a field here, in order
}

// A Pair is a key and a value. Readers may not know the key.
type Pair struct{ Key, Value string }

// TagPrefix begins the keys, in Extra, of the user's tags.
const TagPrefix = "tag."

// KeyGoroutine is the key, in Extra, of the number of the goroutine that ended
// the program.
const KeyGoroutine = "goroutine"

// Keys of the pairs. Numbers are decimal.
const (
	keyWhy     = "why"
	keyWhen    = "when" // nanoseconds since 1970
	keyWho     = "who"
	keyStopped = "stopped" // nanoseconds
	keyClock   = "clock"   // nanoseconds
	keyTool    = "tool"
	keyGo      = "go"
	keyBuildID = "buildid"
	keyGNU     = "gnubuildid"
	keyProgram = "program"
	keyMain    = "main"
	keyHost    = "host"
	keyKernel  = "kernel"
	keyPID     = "pid"
	keyStrict  = "strict" // "1"
)

// Encode returns the descriptor: version, number of pairs, then for each pair
// the lengths of key and value as u32 and their bytes, without padding.
func (c *Capture) Encode() []byte {
	var pairs []Pair
	add := func(key, value string) {
		if value != "" {
			pairs = append(pairs, Pair{key, value})
		}
	}
	add(keyWhy, c.Why)
	if !c.When.IsZero() {
		add(keyWhen, strconv.FormatInt(c.When.UnixNano(), 10))
	}
	add(keyWho, c.Who)
	if c.Stopped != 0 {
		add(keyStopped, strconv.FormatInt(int64(c.Stopped), 10))
	}
	if c.Clock != 0 {
		add(keyClock, strconv.FormatInt(c.Clock, 10))
	}
	add(keyTool, c.ToolVersion)
	add(keyGo, c.GoVersion)
	add(keyBuildID, c.BuildID)
	add(keyGNU, c.GNUBuildID)
	add(keyProgram, c.Program)
	add(keyMain, c.Main)
	add(keyHost, c.Host)
	add(keyKernel, c.Kernel)
	if c.PID != 0 {
		add(keyPID, strconv.Itoa(c.PID))
	}
	if c.Strict {
		add(keyStrict, "1")
	}
	pairs = append(pairs, c.Extra...)

	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(pairs)))
	for _, p := range pairs {
		b = le.AppendUint32(b, uint32(len(p.Key)))
		b = le.AppendUint32(b, uint32(len(p.Value)))
		b = append(b, p.Key...)
		b = append(b, p.Value...)
	}
	return b
}

// Goroutine returns the number under KeyGoroutine, 0 if there is none.
func (c *Capture) Goroutine() uint64 {
	for _, p := range c.Extra {
		if p.Key == KeyGoroutine {
			id, _ := strconv.ParseUint(strings.TrimSpace(p.Value), 10, 64) // padded if it replaced a longer one
			return id
		}
	}
	return 0
}

// EncodeSize is Encode padded with zeros to size bytes, for a record whose room
// was reserved before its last values were known. It fails if size is too
// small.
func (c *Capture) EncodeSize(size int) ([]byte, error) {
	b := c.Encode()
	if len(b) > size {
		return nil, fmt.Errorf("capture record of %d bytes does not fit in %d", len(b), size)
	}
	return append(b, make([]byte, size-len(b))...), nil
}

// DecodeCapture reads the result of Encode; bytes after the last pair are
// padding.
func DecodeCapture(desc []byte) (*Capture, error) {
	count, err := head(TypeCapture, desc)
	if err != nil {
		return nil, err
	}
	c := &Capture{}
	rest := desc[8:]
	for i := uint32(0); i < count; i++ {
		if len(rest) < 8 {
			return nil, fmt.Errorf("%w: capture record ends before pair %d of %d", ErrMalformed, i, count)
		}
		k, v := uint64(le.Uint32(rest)), uint64(le.Uint32(rest[4:]))
		rest = rest[8:]
		if k+v > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: capture record ends within pair %d of %d", ErrMalformed, i, count)
		}
		p := Pair{string(rest[:k]), string(rest[k : k+v])}
		rest = rest[k+v:]
		if err := c.set(p); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, p.Key, err)
		}
	}
	return c, nil
}

func (c *Capture) set(p Pair) error {
	switch p.Key {
	case keyWhy:
		c.Why = p.Value
	case keyWhen:
		n, err := strconv.ParseInt(p.Value, 10, 64)
		if err != nil {
			return err
		}
		c.When = time.Unix(0, n)
	case keyWho:
		c.Who = p.Value
	case keyStopped:
		n, err := strconv.ParseInt(p.Value, 10, 64)
		if err != nil {
			return err
		}
		c.Stopped = time.Duration(n)
	case keyClock:
		n, err := strconv.ParseInt(p.Value, 10, 64)
		if err != nil {
			return err
		}
		c.Clock = n
	case keyTool:
		c.ToolVersion = p.Value
	case keyGo:
		c.GoVersion = p.Value
	case keyBuildID:
		c.BuildID = p.Value
	case keyGNU:
		c.GNUBuildID = p.Value
	case keyProgram:
		c.Program = p.Value
	case keyMain:
		c.Main = p.Value
	case keyHost:
		c.Host = p.Value
	case keyKernel:
		c.Kernel = p.Value
	case keyPID:
		n, err := strconv.Atoi(p.Value)
		if err != nil {
			return err
		}
		c.PID = n
	case keyStrict:
		c.Strict = p.Value == "1"
	default:
		c.Extra = append(c.Extra, p)
	}
	return nil
}
