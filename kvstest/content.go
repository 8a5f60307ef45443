package kvstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// content is the bytes of a chunk: in memory, or a range of a file that is read when the
// chunk is sent. It does not change.
type content struct {
	bytes []byte
	// file holds the range of size bytes from offset on; nil means bytes.
	file         *storedFile
	offset, size int64
}

// len is how many bytes there are.
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

// storedFile is an open file that the chunks of a recording lie in.
type storedFile struct {
	*os.File
	size     int64
	modified time.Time
}

// errChanged is why a recording cannot be served any more.
var errChanged = errors.New("the file has changed since the stream was added")

// copyTo writes n bytes of the file from offset on. It is an error if the file is not what
// it was, before or afterwards: then other bytes may have been read.
func (f *storedFile) copyTo(w io.Writer, offset, n int64) error {
	if err := f.unchanged(); err != nil {
		return err
	}
	// The writer's own way of reading files must not pass by faults and the pace of a link.
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

// scratch takes the chunks that do not stand in a recording as they are sent.
type scratch interface {
	// add returns data, which it may keep, as content.
	add(data []byte) (content, error)
}

// inMemory is the scratch of recordings that are in memory themselves.
type inMemory struct{}

func (inMemory) add(data []byte) (content, error) { return content{bytes: data}, nil }

// onDisk is a temporary file without a name, made with the first chunk.
type onDisk struct{ file *storedFile }

func (d *onDisk) add(data []byte) (content, error) {
	if d.file == nil {
		f, err := os.CreateTemp("", "kvsframes-emulate-")
		if err != nil {
			return content{}, err
		}
		if err := os.Remove(f.Name()); err != nil { // nothing of it stays, however the process ends
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
