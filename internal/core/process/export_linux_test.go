package process

import "errors"

// KernelFloat returns what the kernel reports as NT_FPREGSET of a stopped thread.
func (s *Stopped) KernelFloat(id int) (float []byte, err error) {
	b, n := make([]byte, maxRegSet), 0
	gone := s.stopper.seizer.Do(func() { n, err = getRegSet(id, ntFPREGSET, b) })
	return b[:n], errors.Join(err, gone)
}
