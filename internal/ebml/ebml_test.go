package ebml

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
)

// headers is the table of element headers that the tests and the fuzz target use.
var headers = []struct {
	name  string
	bytes []byte
	want  Header
	err   error
}{
	{"one byte of each", []byte{0xEC, 0x81}, Header{0xEC, 1, 2}, nil},
	{"a four byte id of unknown size in one byte", []byte{0x1F, 0x43, 0xB6, 0x75, 0xFF}, Header{IDCluster, UnknownSize, 5}, nil},
	{"an unknown size in eight bytes", []byte{0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255}, Header{IDSegment, UnknownSize, 12}, nil},
	{"a size in more bytes than it needs", []byte{0xA3, 0x08, 0, 0, 0, 2}, Header{IDSimpleBlock, 2, 6}, nil},
	{"the largest size", []byte{0xA3, 1, 255, 255, 255, 255, 255, 255, 254}, Header{IDSimpleBlock, 1<<56 - 2, 9}, nil},
	{"nothing", nil, Header{}, io.ErrUnexpectedEOF},
	{"half an id", []byte{0x1F, 0x43}, Header{}, io.ErrUnexpectedEOF},
	{"half a size", []byte{0xA3, 0x40}, Header{}, io.ErrUnexpectedEOF},
	{"an id that is too long", []byte{0x08, 1, 2, 3, 4, 0x81}, Header{}, ErrID},
	{"an id of zeros", []byte{0x80, 0x81}, Header{}, ErrID},
	{"an id of ones", []byte{0xFF, 0x81}, Header{}, ErrID},
	{"a size that is too long", []byte{0xEC, 0x00, 1, 1, 1, 1, 1, 1, 1, 1}, Header{}, ErrSize},
}

func TestParseHeader(t *testing.T) {
	for _, c := range headers {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseHeader(c.bytes)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestReaderPeeksWhatParseHeaderReads(t *testing.T) {
	for _, c := range headers {
		t.Run(c.name, func(t *testing.T) {
			want := c.err
			if len(c.bytes) == 0 {
				want = io.EOF
			}
			r := NewReader(iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(c.bytes))))
			for range 2 { // nothing is consumed
				if got, err := r.Peek(); got != c.want || err != want {
					t.Errorf("got %+v, %v; want %+v, %v", got, err, c.want, want)
				}
			}
			if r.Offset() != 0 {
				t.Errorf("offset %d after a peek", r.Offset())
			}
		})
	}
}

// A header must be there as soon as its bytes are, on a connection that then
// stays silent.
func TestPeekWaitsForNoByteBeyondTheHeader(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	go out.Write([]byte{0xEC, 0x81})
	if h, err := NewReader(in).Peek(); err != nil || h.ID != IDVoid {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestReaderAppendsAndSkips(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	r := NewReader(iotest.HalfReader(bytes.NewReader(data)))
	got, err := r.Append([]byte("x"), 100_000)
	if err != nil || !bytes.Equal(got[1:], data[:100_000]) || got[0] != 'x' {
		t.Fatalf("append: %d bytes, %v", len(got), err)
	}
	if err := r.Skip(50_005); err != nil || r.Offset() != 150_005 {
		t.Fatalf("skip: at %d, %v", r.Offset(), err)
	}
	got, err = r.Append(nil, 1<<40)
	if err != io.ErrUnexpectedEOF || !bytes.Equal(got, data[150_005:]) {
		t.Errorf("append past the end: %d bytes, %v", len(got), err)
	}
	if cap(got) > 2*len(got)+firstGrowth {
		t.Errorf("%d bytes taken for %d", cap(got), len(got))
	}
	if err := r.Skip(1); err != io.ErrUnexpectedEOF {
		t.Errorf("skip past the end: %v", err)
	}
}

func TestReaderHandsOnReadErrors(t *testing.T) {
	reset := errors.New("connection reset")
	r := NewReader(io.MultiReader(bytes.NewReader([]byte{0xEC}), iotest.ErrReader(reset)))
	if _, err := r.Peek(); err != reset {
		t.Errorf("peek: %v", err)
	}
	if got, err := r.Append(nil, 5); len(got) != 1 || err != reset {
		t.Errorf("append: %x, %v", got, err)
	}
}

func TestElements(t *testing.T) {
	b := AppendUint(AppendString(nil, IDTagName, "name"), IDTrackNumber, 300)
	for _, c := range []struct {
		name  string
		bytes []byte
		ids   []uint32
		fails bool
	}{
		{"nothing", nil, nil, false},
		{"two elements", b, []uint32{IDTagName, IDTrackNumber}, false},
		{"an element that is cut", b[:len(b)-1], []uint32{IDTagName}, true},
		{"a header that is cut", append(slices.Clone(b), 0xA3), []uint32{IDTagName, IDTrackNumber}, true},
		{"an unknown size", AppendHeader(nil, IDCluster, UnknownSize), nil, true},
		{"no id", []byte{0}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ids []uint32
			var failed error
			for e, err := range Elements(c.bytes) {
				if failed = err; err != nil {
					break
				}
				ids = append(ids, e.ID)
				if !bytes.Equal(c.bytes[e.Offset:e.Offset+len(e.Data)], e.Data) {
					t.Errorf("element %#x is not at %d", e.ID, e.Offset)
				}
			}
			if !slices.Equal(ids, c.ids) || (failed != nil) != c.fails {
				t.Errorf("got %x, %v", ids, failed)
			}
		})
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, size := range []int64{UnknownSize, 0, 1, 126, 127, 128, 16382, 16383, 1<<21 - 2, 1<<21 - 1, 1<<56 - 2} {
		for _, id := range []uint32{IDVoid, IDTag, IDTimestampScale, IDSegment} {
			if h, err := ParseHeader(AppendHeader(nil, id, size)); err != nil || h.ID != id || h.Size != size {
				t.Errorf("id %#x size %d: read %+v, %v", id, size, h, err)
			}
		}
	}
	for _, v := range []uint64{0, 1, 255, 256, math.MaxUint32, math.MaxUint64} {
		for e, err := range Elements(AppendUint(nil, IDTimestamp, v)) {
			if got, bad := Uint(e.Data); err != nil || bad != nil || got != v {
				t.Errorf("%d: read %d, %v, %v", v, got, err, bad)
			}
		}
	}
	for e, err := range Elements(AppendString(nil, IDCodecID, "V_X\x00\x00")) {
		if got := String(e.Data); err != nil || got != "V_X" {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if _, err := Uint(make([]byte, 9)); err == nil {
		t.Error("an integer of 9 bytes was read")
	}
}

// FuzzReader checks that the streaming reader, the parser of headers and the
// walk in memory agree about any bytes.
func FuzzReader(f *testing.F) {
	for _, h := range headers {
		f.Add(append(slices.Clone(h.bytes), "payload"...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(data)))
		for e, err := range Elements(data) {
			h, peeked := r.Peek()
			if err != nil {
				if peeked == nil && h.Size >= 0 && r.Offset()+int64(h.Len)+h.Size <= int64(len(data)) {
					t.Fatalf("memory says %v, the reader %+v", err, h)
				}
				return
			}
			parsed, bad := ParseHeader(data[r.Offset():])
			if peeked != nil || bad != nil || h != parsed || h.ID != e.ID || h.Size != int64(len(e.Data)) {
				t.Fatalf("memory says %#x, the reader %+v, %v, the parser %+v, %v", e.ID, h, peeked, parsed, bad)
			}
			whole, err := r.Append(nil, int64(h.Len)+h.Size)
			if err != nil || !bytes.Equal(whole[h.Len:], e.Data) {
				t.Fatalf("element %#x at %d: %v", e.ID, e.Offset, err)
			}
		}
		if _, err := r.Peek(); err != io.EOF {
			t.Fatalf("the reader goes on after the end: %v", err)
		}
	})
}

func TestBytesThatAreTakenBackComeAgain(t *testing.T) {
	data := make([]byte, 5*bufferSize)
	for i := range data {
		data[i] = byte(i / 251)
	}
	for _, size := range []int64{1, 12, 1000, bufferSize, 3*bufferSize + 7} {
		r := NewReader(iotest.HalfReader(bytes.NewReader(data)))
		if err := r.Skip(100); err != nil {
			t.Fatal(err)
		}
		taken, err := r.Append(nil, size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Ahead(5); err != nil {
			t.Fatal(err)
		}
		r.Unread(taken)
		r.Unread(data[90:100])
		rest, err := r.Append(nil, int64(len(data)-90))
		if err != nil || !bytes.Equal(rest, data[90:]) || r.Offset() != int64(len(data)) {
			t.Errorf("%d bytes taken back: %d come again, %v, at %d", size, len(rest), err, r.Offset())
		}
	}
}
