package memory

// maxGather is how many bytes are read in one piece: more gains nothing.
const maxGather = 1 << 20

// pageBytes is the least unit in which memory can be read or not.
const pageBytes = 4096

// Gather reads ranges, which are sorted and share no byte, and returns the
// bytes of each. Ranges with at most gap bytes between them are read as one,
// which is quicker by far than the system's price of a piece when there are
// thousands; the caller sees none of what stands between.
//
// What cannot be read is in holes, sorted, in whole pages as far as the ranges
// go, and zero in data; what stands behind a hole is read all the same. The
// error is for what concerns the whole memory: see Batcher. The bytes are from
// arena as far as it goes. each, when not nil, is told how many bytes of the
// ranges are done, now and then.
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

// settle cuts the ranges out of a piece that was read. Where the reading
// stopped short, the ranges behind are read one by one.
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

// patch reads r from its byte at good on, page by page where it must.
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
