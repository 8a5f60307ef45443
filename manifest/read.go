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

// read gives the records of all parts to s, in any order, and returns the number of parts.
func read(ctx context.Context, from Objects, except string, s *sorter) (int64, error) {
	group, ctx := errgroup.WithContext(ctx)
	keys, batches := make(chan string), make(chan []entry)
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
				is, err := readPart(within, from, key, batches)
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
		for batch := range batches {
			for _, e := range batch {
				if err := s.add(e); err != nil {
					return err
				}
			}
		}
		return nil
	})
	err := group.Wait()
	return parts.Load(), err
}

// readPart sends the records of a part. It returns false for an object that is none.
func readPart(ctx context.Context, from Objects, key string, to chan<- []entry) (bool, error) {
	in, err := from.Open(ctx, key)
	if err != nil {
		return false, err
	}
	defer in.Close()
	lines := bufio.NewReaderSize(in, batchBytes)
	var batch []entry
	size := 0
	send := func() error {
		select {
		case to <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			if len(batch) > 0 {
				return n > 1, send()
			}
			return n > 1, nil
		}
		place := ""
		if err == nil {
			place, err = placeOf(line)
		}
		switch {
		case err == nil:
		case n == 1 && (errors.Is(err, errNoRecord) || errors.Is(err, errLongLine)):
			return false, nil // something else
		default:
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		e := entry{place, line}
		batch = append(batch, e)
		if size += e.cost(); size >= batchBytes {
			if err := send(); err != nil {
				return false, err
			}
		}
	}
}

var (
	errLongLine = fmt.Errorf("the line has more than %d bytes", maxLine)
	errNoRecord = errors.New("the line is no record of a manifest")
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
	// Times have one width, and so do these numbers. Fragment numbers are numbers, of any width.
	return strings.Join([]string{
		r.Stream, r.ProducerTimestamp, fmt.Sprintf("%04d%s", len(r.FragmentNumber), r.FragmentNumber), fmt.Sprintf("%010d", r.FrameIndex), r.Sink, r.Key,
	}, "\x00"), nil
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
