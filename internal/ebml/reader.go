package ebml

import (
	"errors"
	"io"
	"slices"
)

const (
	// bufferSize is the size of the read-ahead buffer, in bytes. Larger payloads bypass it and are read directly into
	// their final memory.
	bufferSize = 32 << 10
	// firstGrowth is the smallest growth of a payload's memory, in bytes.
	firstGrowth = 4 << 10
	// maxEmptyReads is how often in a row an input may return neither bytes nor an error.
	maxEmptyReads = 100
)

// Reader reads elements one after the other from a stream of bytes. It allocates memory for bytes that have
// arrived, never for a declared size.
type Reader struct {
	in  io.Reader
	err error // the input's error, after which it is not read again
	// buffer holds the bytes read ahead, between next and end. The passed bytes before next are those returned last.
	buffer            []byte
	next, end, passed int
	// unread are bytes to read before those of the input; the last slice comes first.
	unread [][]byte
	offset int64
}

// NewReader returns a Reader of in. It reads ahead.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: in, buffer: make([]byte, bufferSize)}
}

// Offset returns the number of bytes that were returned or skipped.
func (r *Reader) Offset() int64 { return r.offset }

// Peek returns the header of the next element without consuming it. It waits for no byte after that header. It
// returns io.EOF at the end of the input, io.ErrUnexpectedEOF when the input ends inside the header, ErrID or
// ErrSize when the header is not valid, and otherwise the input's error.
func (r *Reader) Peek() (Header, error) { return r.PeekAt(0) }

// PeekAt does the same for a header that begins at bytes further on, at most 32 KiB less its length.
func (r *Reader) PeekAt(at int) (Header, error) {
	for n := at + 1; n <= at+MaxHeader; {
		b, err := r.Ahead(n)
		if len(b) < n {
			if errors.Is(err, io.EOF) && len(b) > at {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, err
		}
		h, err := ParseHeader(b[at:])
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return h, err
		}
		n = len(b) + 1
	}
	return Header{}, ErrSize
}

// Ahead returns the next bytes without consuming them: at least n, which must not be more than 32 KiB, or fewer
// and the error after them. It waits for no byte after the nth. The bytes are valid until the next call of any
// method.
func (r *Reader) Ahead(n int) ([]byte, error) {
	for r.end-r.next < n {
		if r.next > 0 && r.next+n > len(r.buffer) {
			r.end = copy(r.buffer, r.buffer[r.next:r.end])
			r.next, r.passed = 0, 0
		}
		got, err := r.read(r.buffer[r.end:])
		r.end += got
		if err != nil {
			return r.buffer[r.next:r.end], err
		}
	}
	return r.buffer[r.next:r.end], nil
}

// read reads the unread bytes, then the input. It returns either bytes or an error.
func (r *Reader) read(p []byte) (int, error) {
	if last := len(r.unread) - 1; last >= 0 {
		n := copy(p, r.unread[last])
		if r.unread[last] = r.unread[last][n:]; len(r.unread[last]) == 0 {
			r.unread[last] = nil
			r.unread = r.unread[:last]
		}
		return n, nil
	}
	for range maxEmptyReads {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		if n, r.err = r.in.Read(p); n > 0 {
			return n, nil
		}
	}
	return 0, io.ErrNoProgress
}

// pass consumes n bytes of the buffer.
func (r *Reader) pass(n int) {
	r.next += n
	r.passed += n
	r.offset += int64(n)
}

// Append reads the next n bytes and appends them to dst. When the input ends early it returns the bytes before
// that, and io.ErrUnexpectedEOF or the input's error.
func (r *Reader) Append(dst []byte, n int64) ([]byte, error) {
	for n > 0 {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, int(min(n, max(firstGrowth, int64(len(dst))))))
		}
		room := dst[len(dst):min(int64(cap(dst)), int64(len(dst))+n)]
		var got int
		var err error
		switch {
		case r.end > r.next:
			got = copy(room, r.buffer[r.next:r.end])
			r.pass(got)
		case len(room) >= bufferSize:
			got, err = r.read(room)
			r.passed = 0
			r.offset += int64(got)
		default:
			r.next, r.end, r.passed = 0, 0, 0
			_, err = r.Ahead(1)
		}
		dst = dst[:len(dst)+got]
		n -= int64(got)
		if err != nil {
			return dst, early(err)
		}
	}
	return dst, nil
}

// Skip reads and discards n bytes. Its errors are those of Append.
func (r *Reader) Skip(n int64) error {
	for n > 0 {
		if r.end == r.next {
			r.next, r.end, r.passed = 0, 0, 0
			if _, err := r.Ahead(1); err != nil {
				return early(err)
			}
		}
		got := min(n, int64(r.end-r.next))
		r.pass(int(got))
		n -= got
	}
	return nil
}

// Unread makes b, the bytes that were returned last, the next bytes to read.
func (r *Reader) Unread(b []byte) {
	r.offset -= int64(len(b))
	if len(b) <= r.passed {
		r.next -= len(b)
		r.passed -= len(b)
		return
	}
	if r.end > r.next {
		r.unread = append(r.unread, slices.Clone(r.buffer[r.next:r.end]))
	}
	r.next, r.end, r.passed = 0, 0, 0
	r.unread = append(r.unread, slices.Clone(b))
}

// early turns io.EOF into io.ErrUnexpectedEOF.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
