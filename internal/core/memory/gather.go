package memory

// maxGather is the maximum size of one piece: larger ones are not faster.
const maxGather = 1 << 20

// pageBytes is the granularity of unreadable memory.
const pageBytes = 4096

// Gather reads ranges, which are sorted and do not overlap, and returns the
// bytes of each. Ranges with gaps of at most gap bytes are read as one, which
// is much quicker than a piece for each if there are thousands; the caller does
// not see the gaps.
//
// holes lists the unreadable memory, sorted, in whole pages as far as the
// ranges go; it is zero in data. Gather continues after a hole. The error
// concerns the whole memory: see Batcher. The bytes come from arena as far as
// it goes. each, if not nil, is called now and then with the number of bytes
// done.
func Gather(mem Memory, ranges []Range, gap uint64, arena *Arena, each func(done uint64)) (data [][]byte, holes []Range, err error) {
	const maxBatch = 16 << 20
	data = make([][]byte, len(ranges))
	var batch []Piece
	var first []int // the range with which each piece begins
	var done, bytes uint64
	flush := func(next int) error {
		if err := ReadBatch(mem, batch); err != nil {
			return err
		}
		for i := range batch {
			end := next
			if i+1 < len(batch) {
				end = first[i+1]
			}
			more, err := settle(mem, &batch[i], ranges[first[i]:end], data[first[i]:end])
			if err != nil {
				return err
			}
			holes = append(holes, more...)
		}
		done += bytes
		batch, first, bytes = batch[:0], first[:0], 0
		if each != nil {
			each(done)
		}
		return nil
	}
	for i := 0; i < len(ranges); {
		span := ranges[i]
		n := 1
		own := span.Size()
		for ; i+n < len(ranges); n++ {
			next := ranges[i+n]
			if uint64(next.Start-span.End) > gap || uint64(next.End-span.Start) > maxGather {
				break
			}
			span.End = next.End
			own += next.Size()
		}
		batch = append(batch, Piece{Addr: span.Start, Data: arena.Take(span.Size())})
		first = append(first, i)
		bytes += own
		i += n
		if bytes >= maxBatch || i == len(ranges) {
			if err := flush(i); err != nil {
				return nil, nil, err
			}
		}
	}
	return data, holes, nil
}

// settle cuts the ranges out of a piece that was read. If the read stopped
// early, it reads the remaining ranges one by one.
func settle(mem Memory, p *Piece, ranges []Range, data [][]byte) (holes []Range, err error) {
	for i, r := range ranges {
		from, to := uint64(r.Start-p.Addr), uint64(r.End-p.Addr)
		data[i] = p.Data[from:to:to]
		if to <= uint64(p.N) {
			continue
		}
		good := uint64(max(p.N, int(from))) - from
		more, err := patch(mem, r, data[i], good)
		if err != nil {
			return nil, err
		}
		holes = append(holes, more...)
	}
	return holes, nil
}

// patch reads r from its byte at good, page by page if necessary.
func patch(mem Memory, r Range, data []byte, good uint64) (holes []Range, err error) {
	for good < r.Size() {
		p := []Piece{{Addr: r.Start.Add(good), Data: data[good:]}}
		if err := ReadBatch(mem, p); err != nil {
			return nil, err
		}
		if good += uint64(p[0].N); good == r.Size() {
			break
		}
		bad := r.Start.Add(good)
		end := min(r.End, bad.Add(pageBytes-uint64(bad)%pageBytes))
		if n := len(holes); n > 0 && holes[n-1].End == bad {
			holes[n-1].End = end
		} else {
			holes = append(holes, Range{bad, end})
		}
		clear(data[good : end-r.Start])
		good = uint64(end - r.Start)
	}
	return holes, nil
}
