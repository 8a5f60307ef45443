package ebml

import (
	"bufio"
	"errors"
	"io"
	"slices"
)

const (
	// bufferSize is what the Reader reads ahead, in bytes. Payloads that are
	// larger go past it, straight to where they are kept.
	bufferSize = 32 << 10
	// firstGrowth is the least by which a payload's memory grows, in bytes.
	firstGrowth = 4 << 10
)

// Reader reads elements one after the other from a stream of bytes. It takes
// memory for what has arrived, never for what was declared.
type Reader struct {
	in     *bufio.Reader
	offset int64
}

// NewReader returns a Reader of in. It reads ahead of what it hands out.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, bufferSize)}
}

// Offset is the number of bytes that were handed out or skipped.
func (r *Reader) Offset() int64 { return r.offset }

// Peek returns the next element's header and leaves it unread. It waits for no
// byte beyond that header. It returns io.EOF at the end of the input,
// io.ErrUnexpectedEOF when the input ends inside the header, ErrID or ErrSize
// when there is none, and otherwise what reading the input returned.
func (r *Reader) Peek() (Header, error) {
	for n := 1; n <= maxHeader; n++ {
		b, err := r.in.Peek(n)
		if len(b) < n {
			if errors.Is(err, io.EOF) && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, err
		}
		h, err := ParseHeader(b)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return h, err
		}
	}
	return Header{}, ErrSize
}

// Append reads the next n bytes and appends them to dst. When the input ends
// early it returns what it could read with io.ErrUnexpectedEOF, or with what
// reading the input returned.
func (r *Reader) Append(dst []byte, n int64) ([]byte, error) {
	for n > 0 {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, int(min(n, max(firstGrowth, int64(len(dst))))))
		}
		room := int(min(n, int64(cap(dst)-len(dst))))
		got, err := io.ReadFull(r.in, dst[len(dst):len(dst)+room])
		dst = dst[:len(dst)+got]
		r.offset += int64(got)
		n -= int64(got)
		if err != nil {
			return dst, early(err)
		}
	}
	return dst, nil
}

// Skip reads n bytes and forgets them. Errors are those of Append.
func (r *Reader) Skip(n int64) error {
	got, err := io.CopyN(io.Discard, r.in, n)
	r.offset += got
	return early(err)
}

// early turns the end of the input into an end that came too early.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
