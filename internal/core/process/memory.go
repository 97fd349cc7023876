package process

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Memory is a process' memory, read afresh at each call. What it reads of a
// process that runs may have changed while it was read.
//
// It reads by process_vm_readv, and where the kernel or a seccomp filter
// forbids that, or a page has no read permission, through /proc/PID/mem.
type Memory struct {
	pid int

	opening sync.Mutex
	file    *os.File // /proc/PID/mem, nil until needed
	fileErr error

	forbidden atomic.Bool // process_vm_readv does not work here
}

var _ memory.Batcher = (*Memory)(nil)

// ReadAt is memory.Memory's.
func (m *Memory) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := m.read(p, addr)
	if n == len(p) {
		return n, nil
	}
	return n, memory.Unreadable(addr.Add(uint64(n)), err)
}

// read returns an error that is not nil when it reads less than all of p.
func (m *Memory) read(p []byte, addr memory.Address) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	const end = 1 << 63 // neither way takes addresses behind; no user memory is there
	if addr >= end {
		return 0, memory.ErrNotMapped
	}
	all := p
	if uint64(end-addr) < uint64(len(p)) {
		p = p[:end-addr]
	}
	if !m.forbidden.Load() {
		n, err = readVM(m.pid, p, addr)
		if n == len(all) {
			return n, nil
		}
		if isForbidden(err) {
			m.forbidden.Store(true)
		}
	}
	// The file also reads pages without read permission.
	for n < len(p) {
		more, ferr := m.readFile(p[n:], addr.Add(uint64(n)))
		n += more
		if more == 0 {
			if err == nil || m.forbidden.Load() {
				err = ferr
			}
			return n, err
		}
	}
	if n < len(all) {
		return n, memory.ErrNotMapped
	}
	return n, nil
}

// readFile reads through /proc/PID/mem; with n == 0 the error is not nil.
func (m *Memory) readFile(p []byte, addr memory.Address) (n int, err error) {
	f, err := m.open()
	if err != nil {
		return 0, err
	}
	n, err = f.ReadAt(p, int64(addr))
	if n > 0 {
		return n, nil
	}
	if isUnmapped(err) {
		err = memory.ErrNotMapped
	}
	return 0, err
}

func (m *Memory) open() (*os.File, error) {
	m.opening.Lock()
	defer m.opening.Unlock()
	if m.file == nil && m.fileErr == nil {
		p := Process{PID: m.pid}
		if m.file, m.fileErr = os.Open(p.path("mem")); m.fileErr != nil {
			m.fileErr = gone(m.fileErr)
		}
	}
	return m.file, m.fileErr
}

func (m *Memory) close() error {
	m.opening.Lock()
	defer m.opening.Unlock()
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file, m.fileErr = nil, os.ErrClosed
	return err
}

// ReadBatch is memory.Batcher's: many pieces in one system call. A short count
// stops at the first page that cannot be read, and the kernel does not try what
// stands behind it, so the call is made again from the next piece on.
func (m *Memory) ReadBatch(pieces []memory.Piece) error {
	for i := range pieces {
		pieces[i].N = 0
	}
	for at := 0; at < len(pieces); {
		if m.forbidden.Load() {
			n, err := m.read(pieces[at].Data, pieces[at].Addr)
			pieces[at].N = n
			if err != nil && (isNoProcess(err) || isForbidden(err)) {
				return err
			}
			at++
			continue
		}
		n, tried, err := readVMMany(m.pid, pieces[at:])
		switch {
		case isForbidden(err):
			m.forbidden.Store(true)
			continue
		case isNoProcess(err):
			return ErrGone
		}
		for end := at + tried; at < end; at++ {
			p := &pieces[at]
			p.N = min(n, len(p.Data))
			n -= p.N
			if p.N == len(p.Data) {
				continue
			}
			// The rest of this piece, by the way that knows how to look further.
			more, err := m.read(p.Data[p.N:], p.Addr.Add(uint64(p.N)))
			p.N += more
			if err != nil && isNoProcess(err) {
				return ErrGone
			}
			at++
			break
		}
	}
	return nil
}
