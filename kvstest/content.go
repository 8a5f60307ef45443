package kvstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// content holds the bytes of a chunk: in memory, or as a range of a file that is read when the chunk is sent.
// It does not change.
type content struct {
	bytes []byte
	// file, if not nil, holds the content: the range of size bytes from offset on. Otherwise bytes does.
	file         *storedFile
	offset, size int64
}

// len returns the number of bytes.
func (c content) len() int64 {
	if c.file == nil {
		return int64(len(c.bytes))
	}
	return c.size
}

// writeTo writes the bytes from begin up to end.
func (c content) writeTo(w io.Writer, begin, end int64) error {
	if begin == end {
		return nil
	}
	if c.file == nil {
		_, err := w.Write(c.bytes[begin:end])
		return err
	}
	return c.file.copyTo(w, c.offset+begin, end-begin)
}

// storedFile is an open file that contains the chunks of a recording.
type storedFile struct {
	*os.File
	size     int64
	modified time.Time
}

// errChanged is the error for a recording whose file has changed.
var errChanged = errors.New("the file has changed since the stream was added")

// copyTo writes n bytes of the file from offset on. It returns an error if the file has changed, before or
// afterwards: then the bytes may be wrong.
func (f *storedFile) copyTo(w io.Writer, offset, n int64) error {
	if err := f.unchanged(); err != nil {
		return err
	}
	// The struct hides the writer's ReadFrom, which would bypass faults and the pace of a link.
	copied, err := io.Copy(struct{ io.Writer }{w}, io.NewSectionReader(f, offset, n))
	if err == nil && copied < n {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.unchanged())
}

func (f *storedFile) unchanged() error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() != f.size || !info.ModTime().Equal(f.modified):
		return fmt.Errorf("%s: %w", f.Name(), errChanged)
	}
	return nil
}

// scratch stores the chunks that differ from the bytes of the recording.
type scratch interface {
	// add stores data, which it may keep, and returns it as content.
	add(data []byte) (content, error)
}

// inMemory is the scratch of recordings in memory.
type inMemory struct{}

func (inMemory) add(data []byte) (content, error) { return content{bytes: data}, nil }

// onDisk is a temporary file without a name, created for the first chunk.
type onDisk struct{ file *storedFile }

func (d *onDisk) add(data []byte) (content, error) {
	if d.file == nil {
		f, err := os.CreateTemp("", "kvsframes-emulate-")
		if err != nil {
			return content{}, err
		}
		if err := os.Remove(f.Name()); err != nil { // nothing is left behind, however the process ends
			return content{}, errors.Join(err, f.Close())
		}
		d.file = &storedFile{File: f}
	}
	if _, err := d.file.WriteAt(data, d.file.size); err != nil {
		return content{}, err
	}
	c := content{file: d.file, offset: d.file.size, size: int64(len(data))}
	d.file.size += c.size
	info, err := d.file.Stat()
	if err != nil {
		return content{}, err
	}
	d.file.modified = info.ModTime()
	return c, nil
}

func (d *onDisk) close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
