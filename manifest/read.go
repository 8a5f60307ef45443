package manifest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/sink"
)

const (
	partExt = ".jsonl"
	// readers is the number of parts that are read at once: a bucket answers each request after some time.
	readers = 16
	// maxLine bounds a line of a part, in bytes. Tags of KVS have a tenth of it.
	maxLine = 1 << 20
	// batchBytes is how much of the records a reader hands on at a time.
	batchBytes = 64 << 10
)

// entry is a record: its line, without the end of the line, and a text by which records are sorted.
type entry struct {
	place string
	line  []byte
}

// cost returns about how much memory an entry takes, in bytes.
func (e entry) cost() int { return len(e.place) + len(e.line) + 64 }

// kind is a kind of part: what its lines are sorted by, and where they go. placeOf fails for lines of other kinds.
type kind struct {
	placeOf func(line []byte) (string, error)
	to      *sorter
}

// batch is some lines of a part.
type batch struct {
	kind
	entries []entry
}

// read gives the lines of all parts of some kinds to their sorters, in any order, and returns the number of parts.
func read(ctx context.Context, from Objects, except string, kinds ...kind) (int64, error) {
	group, ctx := errgroup.WithContext(ctx)
	keys, batches := make(chan string), make(chan batch)
	var parts atomic.Int64
	group.Go(func() error {
		defer close(keys)
		return from.List(ctx, func(key string) error {
			if path.Ext(key) != partExt || key == except {
				return nil
			}
			select {
			case keys <- key:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	all, within := errgroup.WithContext(ctx)
	for range readers {
		all.Go(func() error {
			for key := range keys {
				is, err := readPart(within, from, key, kinds, batches)
				if err != nil {
					return fmt.Errorf("read %s: %w", key, err)
				}
				if is {
					parts.Add(1)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(batches)
		return all.Wait()
	})
	group.Go(func() error {
		for b := range batches {
			for _, e := range b.entries {
				if err := b.to.add(e); err != nil {
					return err
				}
			}
		}
		return nil
	})
	err := group.Wait()
	return parts.Load(), err
}

// readPart sends the lines of a part, whose first line tells of which kind it is. It returns false for an object that is no part.
func readPart(ctx context.Context, from Objects, key string, kinds []kind, to chan<- batch) (bool, error) {
	in, err := from.Open(ctx, key)
	if err != nil {
		return false, err
	}
	defer in.Close()
	lines := bufio.NewReaderSize(in, batchBytes)
	var b batch
	size := 0
	send := func() error {
		select {
		case to <- b:
			b.entries, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			if len(b.entries) > 0 {
				return n > 1, send()
			}
			return n > 1, nil
		}
		place := ""
		switch {
		case err != nil:
		case n == 1:
			b.kind, place, err = kindOf(line, kinds)
		default:
			place, err = b.placeOf(line)
		}
		switch {
		case err == nil:
		case n == 1 && (errors.Is(err, errNoPart) || errors.Is(err, errLongLine)):
			return false, nil // something else
		default:
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		e := entry{place, line}
		b.entries = append(b.entries, e)
		if size += e.cost(); size >= batchBytes {
			if err := send(); err != nil {
				return false, err
			}
		}
	}
}

// kindOf returns the kind of a part by its first line, and the place of that line.
func kindOf(line []byte, kinds []kind) (kind, string, error) {
	for _, k := range kinds {
		if place, err := k.placeOf(line); err == nil {
			return k, place, nil
		}
	}
	return kind{}, "", errNoPart
}

var (
	errLongLine = fmt.Errorf("the line has more than %d bytes", maxLine)
	errNoRecord = errors.New("the line is no record of a manifest")
	errNoGap    = errors.New("the line is no gap of a ledger")
	errNoPart   = errors.New("the line is of no kind of part")
)

// readLine returns the next line, in memory of its own, without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxLine:
			return nil, errLongLine
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		}
		return line[:len(line)-1], nil
	}
}

// placeOf returns the text by which a record is sorted: stream, capture time, fragment, frame, sink and key. It is the same for records of the
// same image, and fails for a line that is no record.
func placeOf(line []byte) (string, error) {
	r, err := parse(line)
	if err != nil {
		return "", err
	}
	return place(r.Stream, r.ProducerTimestamp, r.FragmentNumber, r.FrameIndex, r.Sink, r.Key), nil
}

// placeOfGap returns the text by which a gap of the ledger is sorted, as placeOf does for records. It is the same for lines that are the
// same, and fails for a line that is no gap.
func placeOfGap(line []byte) (string, error) {
	var g struct {
		Stream            string `json:"stream"`
		Sink              string `json:"sink"`
		FragmentNumber    string `json:"fragment_number"`
		FromFrame         int    `json:"from_frame"`
		ProducerTimestamp string `json:"producer_timestamp"`
		Reason            string `json:"reason"`
	}
	if err := json.Unmarshal(line, &g); err != nil {
		return "", fmt.Errorf("%w: %w", errNoGap, err)
	}
	if g.Reason == "" {
		return "", errNoGap
	}
	return place(g.Stream, g.ProducerTimestamp, g.FragmentNumber, g.FromFrame+1, g.Sink, string(line)), nil
}

// place returns a text that sorts as its parts do. Times have one width, and so do the numbers here. Fragment numbers are numbers, of any width.
func place(stream, timestamp, fragment string, frame int, sink, last string) string {
	return strings.Join([]string{stream, timestamp, fmt.Sprintf("%04d%s", len(fragment), fragment), fmt.Sprintf("%010d", frame), sink, last}, "\x00")
}

// parse reads a record. Lines of the ledger, and of the metadata of an image folder, are none.
func parse(line []byte) (*sink.ManifestRecord, error) {
	var r struct {
		sink.ManifestRecord
		Reason   string `json:"reason"`
		FileName string `json:"file_name"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRecord, err)
	}
	if r.Key == "" || r.SHA256 == "" || r.FragmentNumber == "" || r.Reason != "" || r.FileName != "" {
		return nil, errNoRecord
	}
	return &r.ManifestRecord, nil
}
