//go:build linux

package stderrtail

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
)

const report = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:7 +0x1d\nexit status 2\n"

// started returns a tail, the program's end, and the reader of what is passed on.
func started(t *testing.T, size int) (tail *Tail, program, passed *os.File) {
	t.Helper()
	passed, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	tail, program, err = Start(int(out.Fd()), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.Close()
		passed.Close()
		<-tail.done // until then it may write to out, whose number others get when it is closed
		out.Close()
	})
	return tail, program, passed
}

func write(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// What is written is passed on at once and unchanged, and the end is kept.
func TestStderrTail(t *testing.T) {
	tail, program, passed := started(t, 100)
	for _, text := range []string{"panic: an old line\n", "hello", " world\n", report} {
		write(t, program, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(passed, got); err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	tail.Settle()
	if text, cut := tail.Report(); string(text) != report || cut {
		t.Errorf("%q, %v", text, cut)
	}
	all := "panic: an old line\nhello world\n" + report
	if last, total := tail.Last(); string(last) != all[len(all)-100:] || total != int64(len(all)) {
		t.Errorf("%q, %d", last, total)
	}
	write(t, program, "and then another line\n")
	tail.Settle()
	if text, _ := tail.Report(); text != nil {
		t.Errorf("a report that is not at the end: %q", text)
	}
	program.Close()
	if left := tail.Finish(time.Second); left != nil {
		t.Error("the pipe is left, and no process has the other end")
	}
}

// A report keeps its beginning, however it was written and however long it is.
func TestStderrTailLong(t *testing.T) {
	tail, program, passed := started(t, 1000)
	go func() { _, _ = io.Copy(io.Discard, passed) }()
	long := strings.Replace(report, "exit status 2\n", strings.Repeat("\ngoroutine 7 [select]:\nmain.wait(...)\n\t/src/wait.go:1 +0x1\n", 2000), 1)
	for at := 0; at < len(long); at += 7 {
		write(t, program, long[at:min(len(long), at+7)])
	}
	await.True(t, "everything is read", func() bool { tail.Settle(); _, total := tail.Last(); return total == int64(len(long)) })
	if text, cut := tail.Report(); !cut || !bytes.HasPrefix(text, []byte(report[:60])) || len(text) != maxHead {
		t.Errorf("%.100q, %d bytes, %v", text, len(text), cut)
	}
}

// Without a reader the program blocks, as it would alone; the text is known all the
// same, and the end does not wait forever.
func TestStderrTailBlocked(t *testing.T) {
	tail, program, _ := started(t, 1000)
	written := make(chan int64, 1)
	if err := unix.SetNonblock(int(program.Fd()), true); err != nil {
		t.Fatal(err)
	}
	go func() {
		var n int64
		for {
			m, err := unix.Write(int(program.Fd()), make([]byte, 4096))
			if n += int64(max(m, 0)); err == unix.EAGAIN {
				// A full pipe has no event for a reader that will not come.
				time.Sleep(50 * time.Millisecond)
				if m, err := unix.Write(int(program.Fd()), make([]byte, 4096)); err == unix.EAGAIN {
					written <- n
					return
				} else {
					n += int64(max(m, 0))
				}
			}
		}
	}()
	n := <-written
	tail.Settle()
	if _, total := tail.Last(); total != n {
		t.Errorf("%d bytes are known, %d were written", total, n)
	}
	began := time.Now()
	if tail.Finish(100 * time.Millisecond); time.Since(began) > 10*time.Second {
		t.Errorf("the end took %v", time.Since(began))
	}
}

// If the reader is gone, the program's next write fails, as it would alone.
func TestStderrTailClosed(t *testing.T) {
	tail, program, passed := started(t, 1000)
	write(t, program, "first")
	if _, err := io.ReadFull(passed, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	passed.Close()
	<-tail.done
	if _, err := unix.Write(int(program.Fd()), []byte("second")); err != unix.EPIPE {
		t.Errorf("%v, want EPIPE", err)
	}
}

// A process that has the pipe after the program's end does not delay Finish.
func TestStderrTailInherited(t *testing.T) {
	tail, program, passed := started(t, 1000)
	write(t, program, "text")
	left := tail.Finish(10 * time.Second)
	if left == nil {
		t.Fatal("no pipe is left")
	}
	defer left.Close()
	write(t, program, "more")
	got := make([]byte, 4)
	if _, err := io.ReadFull(left, got); err != nil || string(got) != "more" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := io.ReadFull(passed, got); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
}
