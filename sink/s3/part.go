package s3

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/sink"
)

// partsInMemory is how much of all large objects that are being written a store keeps in memory, in bytes. Parts for which that has no room are files.
const partsInMemory = 64 << 20

// room is what is left of a budget, in bytes.
type room struct{ left atomic.Int64 }

// take takes n bytes if there are so many.
func (r *room) take(n int) bool {
	if r.left.Add(-int64(n)) >= 0 {
		return true
	}
	r.left.Add(int64(n))
	return false
}

func (r *room) give(n int) { r.left.Add(int64(n)) }

// part is what a request sends: a part of a large object, or a whole one. While it is written it is in memory if the store has room for it, and
// otherwise a file without a name in the folder for temporary files, if there is one.
type part struct {
	room *room // nil for a part that is not written
	mem  []byte
	file *os.File // nil in memory
	size int
}

// whole returns a part that consists of a body.
func whole(body []byte) *part { return &part{mem: body, size: len(body)} }

// add appends as much of b as fits into a part, and returns how much that is.
func (p *part) add(b []byte) (n int, err error) {
	n = min(len(b), partSize-p.size)
	if p.file == nil && !p.grow(p.size+n, false) {
		if err := p.spill(); err != nil {
			if err = fmt.Errorf("keep a part in a file: %w", err); sink.Passing(err) {
				return 0, err
			}
			p.grow(p.size+n, true) // there is no folder for files
		}
	}
	if p.file == nil {
		p.mem = append(p.mem, b[:n]...)
	} else if _, err := p.file.WriteAt(b[:n], int64(p.size)); err != nil {
		return 0, fmt.Errorf("keep a part in a file: %w", err)
	}
	p.size += n
	return n, nil
}

// grow makes room in memory for a size in bytes, if the store has any, or must have it.
func (p *part) grow(size int, must bool) bool {
	if size <= cap(p.mem) {
		return true
	}
	size = min(partSize, max(size, 2*cap(p.mem))) // append could allocate more than a part
	if more := size - cap(p.mem); must {
		p.room.give(-more)
	} else if !p.room.take(more) {
		return false
	}
	grown := make([]byte, len(p.mem), size)
	copy(grown, p.mem)
	p.mem = grown
	return true
}

// spill moves the part into a file.
func (p *part) spill() error {
	file, err := os.CreateTemp("", "kvsframes-part-")
	if err != nil {
		return err
	}
	if err = os.Remove(file.Name()); err == nil { // it lives as long as it is open
		_, err = file.WriteAt(p.mem, 0)
	}
	if err != nil {
		_ = file.Close()
		return err
	}
	p.room.give(cap(p.mem))
	p.mem, p.file = nil, file
	return nil
}

// setHead replaces the first bytes.
func (p *part) setHead(head []byte) error {
	if p.file == nil {
		copy(p.mem, head)
		return nil
	}
	_, err := p.file.WriteAt(head, 0)
	return err
}

// reader reads the part. A request reads it again for each attempt.
func (p *part) reader() io.ReadSeeker {
	if p.file == nil {
		return bytes.NewReader(p.mem[:p.size])
	}
	return io.NewSectionReader(p.file, 0, int64(p.size))
}

// digest returns what a hash makes of the part.
func (p *part) digest(h hash.Hash) ([]byte, error) {
	if _, err := io.Copy(h, p.reader()); err != nil {
		return nil, fmt.Errorf("read a part from its file: %w", err)
	}
	return h.Sum(nil), nil
}

func (p *part) md5() ([]byte, error) { return p.digest(md5.New()) }

func (p *part) crc32() (uint32, error) {
	h := crc32.NewIEEE()
	_, err := p.digest(h)
	return h.Sum32(), err
}

// clear empties the part. What it has of memory, or its file, remains for more.
func (p *part) clear() {
	p.size = 0
	p.mem = p.mem[:0]
}

// free gives back what the part has. It is empty then.
func (p *part) free() {
	if p.room != nil {
		p.room.give(cap(p.mem))
	}
	if p.file != nil {
		_ = p.file.Close() // nothing needs it any more
	}
	*p = part{room: p.room}
}
