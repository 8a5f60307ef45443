package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
)

// reel is a file that has what belongs to whole fragments only.
type reel struct {
	out io.Writer
	// file is out, or nil if that is standard output. fresh reports whether the file is new.
	file  *os.File
	fresh bool
	bytes int64
}

// createReel opens a file. An existing file is not changed until there is a fragment to replace it.
func createReel(path string, force bool) (*reel, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	fresh := err == nil
	switch {
	case errors.Is(err, fs.ErrExist) && !force:
		return nil, fmt.Errorf("%s exists already; --force replaces it", path)
	case errors.Is(err, fs.ErrExist):
		f, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	return &reel{out: f, file: f, fresh: fresh}, nil
}

// add adds what belongs to a fragment. If writing fails, the part that was written is removed where possible.
func (r *reel) add(data []byte) error {
	if r.bytes == 0 {
		if err := r.truncate(); err != nil {
			return err
		}
	}
	if _, err := r.out.Write(data); err != nil {
		return errors.Join(err, r.truncate())
	}
	r.bytes += int64(len(data))
	return nil
}

// truncate shortens the file to what was added.
func (r *reel) truncate() error {
	if r.file == nil {
		return nil
	}
	info, err := r.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return r.file.Truncate(r.bytes)
}

// close closes the file. It removes a new file that is empty.
func (r *reel) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	if r.fresh && r.bytes == 0 {
		err = errors.Join(err, os.Remove(r.file.Name()))
	}
	return err
}

// stopwatch records when the bytes of a recording arrive.
type stopwatch struct {
	reel *reel
	// start is the first arrival, payload the size of the recording so far.
	start   time.Time
	payload int64
	// number is that of the fragment that is arriving, parts what has arrived of it: bytes, and when.
	number string
	parts  []arrivedPart
}

type arrivedPart struct {
	bytes int
	at    time.Time
}

// arrived is told by the source when more of a fragment has arrived. A fragment that is read again has the times of the last reading.
func (s *stopwatch) arrived(f *media.Fragment) {
	if n := len(s.parts); f.Number != s.number || n > 0 && s.parts[n-1].bytes >= len(f.MKV) {
		s.number, s.parts = f.Number, s.parts[:0]
	}
	s.parts = append(s.parts, arrivedPart{len(f.MKV), time.Now()})
}

// add writes the times of a fragment that has been saved.
func (s *stopwatch) add(f *media.Fragment) error {
	if f.Number != s.number { // nothing was told of it
		s.parts = s.parts[:0]
	}
	if n := len(s.parts); n == 0 || s.parts[n-1].bytes < len(f.MKV) {
		s.parts = append(s.parts, arrivedPart{len(f.MKV), time.Now()})
	}
	if s.start.IsZero() {
		s.start = s.parts[0].at
	}
	var lines []byte
	for _, part := range s.parts {
		line, err := json.Marshal(kvstest.Arrival{Bytes: s.payload + int64(part.bytes), After: part.at.Sub(s.start)})
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	s.payload += int64(len(f.MKV))
	s.number, s.parts = "", s.parts[:0]
	return s.reel.add(lines)
}
