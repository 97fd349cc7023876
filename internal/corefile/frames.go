package corefile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A compressed core is a sequence of zstd frames, each of which can be
// decompressed alone. `zstd -d` decompresses the file, and our readers
// decompress the frames that they need, without a copy of the whole core.
const (
	frameSize    = 256 << 10 // bytes of the core in a frame that we write
	maxFrameSize = 8 << 20   // largest frame that is decompressed in memory: zstd -T0 --long and others write larger ones
	framesKept   = 16 << 20  // bytes of decompressed frames that a reader keeps
)

// A frameWriter compresses into frames of [frameSize].
type frameWriter struct {
	w      io.Writer
	enc    *zstd.Encoder
	plain  []byte
	packed []byte
	wrote  bool
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	// One goroutine: a program may wait for this process, or need the memory. A single
	// segment has its size in the frame.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, err
	}
	return &frameWriter{w: w, enc: enc, plain: make([]byte, 0, frameSize)}, nil
}

// Write implements io.Writer.
func (f *frameWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, frameSize-len(f.plain))
		f.plain = append(f.plain, p[done:done+n]...)
		done += n
		if len(f.plain) == frameSize {
			if err := f.flush(); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

func (f *frameWriter) flush() error {
	f.packed = f.enc.EncodeAll(f.plain, f.packed[:0])
	f.plain, f.wrote = f.plain[:0], true
	_, err := f.w.Write(f.packed)
	return err
}

// Close writes the rest. An empty core has one empty frame.
func (f *frameWriter) Close() error {
	if len(f.plain) == 0 && f.wrote {
		return nil
	}
	return f.flush()
}

// errFrames is wrapped by the errors about a file that cannot be decompressed
// frame by frame.
var errFrames = errors.New("not made of frames that are decompressed alone")

// A frame is a part of a compressed file.
type frame struct {
	offset, packed int64 // in the file
	start, size    int64 // in the core
}

// frames is a compressed file as the core in it. It may be read from several
// goroutines.
type frames struct {
	src  io.ReaderAt
	list []frame
	size int64

	mu     sync.Mutex
	dec    *zstd.Decoder
	kept   map[int][]byte
	order  []int         // of kept, the least recently read first
	bytes  int64         // in kept
	failed map[int]error // frames that are damaged, so that they are decompressed once
}

// openFrames finds the frames of the size bytes in src. The core has at most
// limit bytes. For a file that ends within a frame it returns the complete
// frames, and truncated.
func openFrames(src io.ReaderAt, size, limit int64) (f *frames, truncated error, err error) {
	f = &frames{src: src, kept: map[int][]byte{}, failed: map[int]error{}}
	for at := int64(0); at < size; {
		next, end, skip, err := readFrame(src, size, at)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			truncated = err
		case err != nil:
			return nil, nil, err
		}
		if truncated != nil {
			break
		}
		at = end
		if skip || next.size == 0 {
			continue
		}
		next.start = f.size
		if f.size += next.size; f.size > limit {
			return nil, nil, tooLarge(limit)
		}
		f.list = append(f.list, next)
	}
	// The decoder trusts no size in the file: a frame is as large as its buffer.
	f.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrameSize), zstd.WithDecodeAllCapLimit(true))
	return f, truncated, err
}

// readFrame reads the headers of the frame at an offset, and of its blocks. A frame
// to skip is of another format.
func readFrame(src io.ReaderAt, size, at int64) (found frame, end int64, skip bool, err error) {
	head := make([]byte, min(zstd.HeaderMaxSize, size-at))
	if _, err := src.ReadAt(head, at); err != nil && !errors.Is(err, io.EOF) {
		return frame{}, 0, false, err
	}
	var h zstd.Header
	if err := h.Decode(head); errors.Is(err, io.ErrUnexpectedEOF) {
		return frame{}, 0, false, err
	} else if err != nil {
		return frame{}, 0, false, fmt.Errorf("decompress: frame at byte %d: %w", at, err)
	}
	end = at + int64(h.HeaderSize)
	if h.Skippable {
		if end += int64(h.SkippableSize); end > size {
			return frame{}, 0, false, io.ErrUnexpectedEOF
		}
		return frame{}, end, true, nil
	}
	if !h.HasFCS || h.FrameContentSize > maxFrameSize {
		return frame{}, 0, false, errFrames
	}
	for last := false; !last; {
		var b [3]byte
		if end+3 > size {
			return frame{}, 0, false, io.ErrUnexpectedEOF
		}
		if _, err := src.ReadAt(b[:], end); err != nil && !errors.Is(err, io.EOF) {
			return frame{}, 0, false, err
		}
		word := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		const repeated = 1
		length := int64(word >> 3)
		if word>>1&3 == repeated {
			length = 1
		}
		last, end = word&1 != 0, end+3+length
	}
	if h.HasCheckSum {
		end += 4
	}
	if end > size {
		return frame{}, 0, false, io.ErrUnexpectedEOF
	}
	return frame{offset: at, packed: end - at, size: int64(h.FrameContentSize)}, end, false, nil
}

// ReadAt implements io.ReaderAt.
func (f *frames) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		i := sort.Search(len(f.list), func(i int) bool { return f.list[i].start+f.list[i].size > at })
		if at < 0 || i == len(f.list) {
			return done, io.EOF
		}
		plain, err := f.frame(i)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], plain[at-f.list[i].start:])
	}
	return done, nil
}

// frame returns the core's bytes in a frame. They are not changed later.
func (f *frames) frame(i int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if plain, ok := f.kept[i]; ok {
		at := slices.Index(f.order, i)
		f.order = append(slices.Delete(f.order, at, at+1), i)
		return plain, nil
	}
	if err := f.failed[i]; err != nil {
		return nil, err
	}
	plain, err := f.decompress(f.list[i])
	if err != nil {
		f.failed[i] = err
		return nil, err
	}
	f.kept[i], f.order = plain, append(f.order, i)
	for f.bytes += f.list[i].size; f.bytes > framesKept && len(f.order) > 1; f.order = f.order[1:] {
		f.bytes -= f.list[f.order[0]].size
		delete(f.kept, f.order[0])
	}
	return plain, nil
}

func (f *frames) decompress(info frame) ([]byte, error) {
	packed := make([]byte, info.packed)
	if _, err := f.src.ReadAt(packed, info.offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	plain, err := f.dec.DecodeAll(packed, make([]byte, 0, info.size))
	if err == nil && int64(len(plain)) != info.size {
		err = fmt.Errorf("%d bytes, not %d", len(plain), info.size)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress: frame at byte %d: %w", info.offset, err)
	}
	return plain, nil
}

// Close releases the decoder.
func (f *frames) Close() error {
	f.dec.Close()
	return nil
}
