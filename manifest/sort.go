package manifest

import (
	"bufio"
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// runBytes is about how much memory records take before they go into a file.
var runBytes = 32 << 20

// maxRuns is the largest number of files at once. So many are merged into one.
const maxRuns = 64

// sorter sorts any number of entries in bounded memory, by runs in temporary files that have no name.
type sorter struct {
	temp    string
	entries []entry
	size    int
	runs    []*os.File
}

// add adds an entry, which belongs to the sorter then.
func (s *sorter) add(e entry) error {
	s.entries = append(s.entries, e)
	if s.size += e.cost(); s.size < runBytes {
		return nil
	}
	if err := s.spill(s.inMemory()); err != nil {
		return err
	}
	s.entries, s.size = s.entries[:0], 0
	if len(s.runs) < maxRuns {
		return nil
	}
	full := s.runs
	s.runs = nil
	err := s.spill(merge(sources(full)))
	return errors.Join(err, closeAll(full))
}

// inMemory yields the entries that are in no file, in order.
func (s *sorter) inMemory() iter.Seq2[entry, error] {
	slices.SortFunc(s.entries, byPlace)
	return func(yield func(entry, error) bool) {
		for _, e := range s.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// sorted yields all entries in order.
func (s *sorter) sorted() iter.Seq2[entry, error] {
	return merge(append(sources(s.runs), s.inMemory()))
}

// each calls visit with the line of each entry in order, and once for entries of the same place.
func (s *sorter) each(ctx context.Context, visit func(line []byte) error) error {
	return s.eachEntry(ctx, func(e entry) error { return visit(e.line) })
}

// eachEntry is like each, with the whole entries.
func (s *sorter) eachEntry(ctx context.Context, visit func(entry) error) error {
	var last string
	for e, err := range s.sorted() {
		if err != nil {
			return err
		}
		if e.place == last {
			continue
		}
		last = e.place
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *sorter) close() error { return closeAll(s.runs) }

// byPlace compares what is equal by its lines, so that the order never depends on that of reading.
func byPlace(a, b entry) int {
	return cmp.Or(cmp.Compare(a.place, b.place), slices.Compare(a.line, b.line))
}

// spill writes entries into a new file.
func (s *sorter) spill(entries iter.Seq2[entry, error]) error {
	f, err := os.CreateTemp(s.temp, "kvsframes-manifest-")
	if err != nil {
		return fmt.Errorf("sort records: %w", err)
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return fmt.Errorf("sort records: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var head []byte
	for e, err := range entries {
		if err != nil {
			return err
		}
		head = binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(e.place))), uint64(len(e.line)))
		for _, piece := range [][]byte{head, []byte(e.place), e.line} {
			if _, err := w.Write(piece); err != nil {
				return fmt.Errorf("sort records: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort records: %w", err)
	}
	return nil
}

// sources returns what files hold.
func sources(files []*os.File) []iter.Seq2[entry, error] {
	var all []iter.Seq2[entry, error]
	for _, f := range files {
		all = append(all, func(yield func(entry, error) bool) {
			_, err := f.Seek(0, io.SeekStart)
			for r := bufio.NewReaderSize(f, 64<<10); err == nil; {
				var e entry
				if e, err = readEntry(r); err == nil && !yield(e, nil) {
					return
				}
			}
			if !errors.Is(err, io.EOF) {
				yield(entry{}, fmt.Errorf("sort records: %w", err))
			}
		})
	}
	return all
}

// readEntry returns the next entry of a file, or io.EOF at its end.
func readEntry(r *bufio.Reader) (entry, error) {
	place, err := binary.ReadUvarint(r)
	if err != nil {
		return entry{}, err
	}
	line, err := binary.ReadUvarint(r)
	data := make([]byte, place+line)
	if err == nil {
		_, err = io.ReadFull(r, data)
	}
	if err != nil {
		return entry{}, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return entry{string(data[:place]), data[place:]}, nil
}

func closeAll(files []*os.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// merge yields the entries of sources that are in order, in order.
func merge(from []iter.Seq2[entry, error]) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var h heads
		for _, source := range from {
			next, stop := iter.Pull2(source)
			defer stop()
			if e, err, ok := next(); err != nil {
				yield(entry{}, err)
				return
			} else if ok {
				h = append(h, head{e, next})
			}
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].entry, nil) {
				return
			}
			switch e, err, ok := h[0].next(); {
			case err != nil:
				yield(entry{}, err)
				return
			case ok:
				h[0].entry = e
				heap.Fix(&h, 0)
			default:
				heap.Pop(&h)
			}
		}
	}
}

// head is the next entry of a source.
type head struct {
	entry
	next func() (entry, error, bool)
}

// heads is a heap of sources, the one with the first entry on top.
type heads []head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return byPlace(h[i].entry, h[j].entry) < 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *heads) Push(x any) { *h = append(*h, x.(head)) }

// Pop implements heap.Interface.
func (h *heads) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
