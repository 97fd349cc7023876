package process

import (
	"cmp"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Memory is a process' memory. Each call reads it again. Memory of a running
// process may change during the read.
//
// It reads with process_vm_readv. If the kernel or a seccomp filter forbids
// that, or a page has no read permission, it reads /proc/PID/mem.
type Memory struct {
	of *Process

	opening sync.Mutex
	file    *os.File // /proc/PID/mem, nil until needed
	fileErr error

	forbidden atomic.Bool // process_vm_readv does not work here
}

var _ memory.Batcher = (*Memory)(nil)

// ReadAt implements memory.Memory.
func (m *Memory) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := m.read(p, addr)
	if n == len(p) {
		return n, nil
	}
	return n, memory.Unreadable(addr.Add(uint64(n)), err)
}

// read returns a non-nil error if it reads less than all of p.
func (m *Memory) read(p []byte, addr memory.Address) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	const end = 1 << 63 // neither way accepts addresses above; user memory ends there
	if addr >= end {
		return 0, memory.ErrNotMapped
	}
	all := p
	if uint64(end-addr) < uint64(len(p)) {
		p = p[:end-addr]
	}
	if !m.forbidden.Load() {
		n, err = m.readVM(p, addr)
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

// readVM reads with process_vm_readv.
func (m *Memory) readVM(p []byte, addr memory.Address) (int, error) {
	n, err := readVM(m.of.thread(), p, addr)
	if isNoProcess(err) && m.of.relocate() {
		return readVM(m.of.thread(), p, addr)
	}
	return n, err
}

// readFile reads through /proc/PID/mem; if n == 0, the error is not nil.
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
		if m.file, m.fileErr = os.Open(m.of.path("mem")); m.fileErr != nil {
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

// ReadBatch implements memory.Batcher: many pieces in one system call. The
// kernel stops at the first unreadable page and does not try the pieces after
// it, so ReadBatch repeats the call from the next piece. Two threads share what is
// large: the process may be stopped for it.
func (m *Memory) ReadBatch(pieces []memory.Piece) error {
	half := halfOf(pieces)
	if half == 0 || runtime.GOMAXPROCS(0) == 1 {
		return m.readBatch(pieces)
	}
	other := make(chan error, 1)
	go func() { other <- m.readBatch(pieces[half:]) }()
	err := m.readBatch(pieces[:half])
	return cmp.Or(<-other, err)
}

// halfOf returns how many pieces have half of the bytes, 0 if they are too few to
// be shared.
func halfOf(pieces []memory.Piece) int {
	const large = 1 << 20
	total := 0
	for i := range pieces {
		total += len(pieces[i].Data)
	}
	if total < large {
		return 0
	}
	sum := 0
	for i := range pieces[:len(pieces)-1] {
		if sum += len(pieces[i].Data); sum >= total/2 {
			return i + 1
		}
	}
	return len(pieces) - 1
}

func (m *Memory) readBatch(pieces []memory.Piece) error {
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
		n, tried, err := readVMMany(m.of.thread(), pieces[at:])
		if isNoProcess(err) && m.of.relocate() {
			continue
		}
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
			// Read the rest of this piece with the function that also tries the file.
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
