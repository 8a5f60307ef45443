package payload

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// Damage shows where the walk from element to element meets something that makes no
// sense: an id or a size that cannot be there, or the end of the input inside an
// element. The element before it may be at fault, with a size that has led the walk
// astray over other ones. So the search for something to continue with begins inside of
// it.
//
// Reading continues at the next header of a document, or element of a Segment, that is
// followed by what must follow it. All others, blocks above all, have ids that are too
// short to be distinguished from the bytes of a picture.

// maxHeadElement is the largest element of a Segment's header that reading continues at, in
// bytes: Tracks with codec data of 1 MiB fit.
const maxHeadElement = 4 << 20

// rereads is how many times more bytes than the input has may be read again, on average.
// Without a limit, an input of nothing but damage would take forever.
const rereads = 4

// lastElement is the element that was read last, as long as its size may be wrong.
type lastElement struct {
	offset int64
	data   []byte
	// part is what it is in, nil if it was only read, behind a number of blocks.
	part   *part
	blocks int
	// broken reports whether it is known to make no sense.
	broken bool
	// before is the length of the element before it in its part, whose size may be wrong as
	// well, 0 if there is none; earlier is the number of blocks before that one.
	before, earlier int
}

// next returns an element of a part that begins at offset.
func (e lastElement) next(offset int64, p *part) lastElement {
	n := lastElement{offset: offset, part: p, blocks: len(p.blocks)}
	if e.part == p && e.offset+int64(len(e.data)) == offset {
		n.before, n.earlier = len(e.data), e.blocks
	}
	return n
}

// hole is a stretch of the payload that makes no sense.
type hole struct {
	// from is where it begins, seen where it was found, behind last.
	from, seen int64
	last       lastElement
	// cause is what makes no sense, cut the error with which the input ended there.
	cause error
	cut   error
	was   state // before it
}

// damaged begins to search for the end of the damage that the walk has met.
func (s *Splitter) damaged(cause error) {
	if s.chunks == 0 {
		name := s.format()
		if name != "" {
			cause = s.syntax("this is %s and not Matroska: ffmpeg -i FILE -c copy FILE.mkv makes of it what can be read", name)
		}
		if name != "" || s.cfg.Chunks { // which is asked for again
			s.err = &SplitError{Where: s.where(), Err: cause}
			return
		}
	}
	s.hole = &hole{from: s.in.Offset(), seen: s.in.Offset(), cause: cause}
	s.goBack()
	s.state = inHole
}

// format names what a payload is that does not begin as Matroska does, "" if that is not known.
func (s *Splitter) format() string {
	const packet = 188 // of MPEG-TS, in bytes
	b, _ := s.in.Ahead(packet + 1)
	switch {
	case s.in.Offset() > 0:
	case len(b) > 8 && string(b[4:8]) == "ftyp":
		return "MP4"
	case len(b) > packet && b[0] == 0x47 && b[packet] == 0x47:
		return "MPEG-TS"
	case bytes.HasPrefix(b, []byte("FLV\x01")):
		return "FLV"
	case len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "AVI ":
		return "AVI"
	case bytes.HasPrefix(b, []byte{0, 0, 1}), bytes.HasPrefix(b, []byte{0, 0, 0, 1}):
		return "a bare stream of H.264 or H.265"
	}
	return ""
}

// goBack makes the search begin inside the last element, if that may be at fault. The
// number of bytes that are read again is bounded.
func (s *Splitter) goBack() {
	last := s.last
	s.last = lastElement{}
	if len(last.data) == 0 || last.offset+int64(len(last.data)) != s.in.Offset() {
		if errors.Is(s.hole.cause, ErrTooLarge) {
			_ = s.in.Skip(1) // it makes sense, and would be found again
		}
		return
	}
	if last.broken {
		s.hole.from, s.hole.last = last.offset, last
	}
	again := last.data
	if p := last.part; last.before > 0 {
		again = p.mkv[len(p.mkv)-len(last.data)-last.before:]
	}
	if credit := rereads*s.input.bytes.Load() - s.reread; len(again) == 0 || int64(len(again)) > credit {
		return
	}
	s.reread += int64(len(again))
	s.hole.last = last
	s.in.Unread(again[1:])
}

// search looks for the end of a hole in what is there of the input.
func (s *Splitter) search() error {
	for {
		b, err := s.in.Ahead(4)
		if len(b) < 4 {
			_ = s.in.Skip(int64(len(b))) // it is there
			return err
		}
		n := nextSync(b)
		if err := s.in.Skip(int64(n)); err != nil {
			return err
		}
		if n+4 > len(b) {
			continue
		}
		last := s.hole.last // which has led here, and would again
		if (len(last.data) == 0 || s.in.Offset() != last.offset) && s.isSync() {
			s.resume()
			return nil
		}
		_ = s.in.Skip(1) // it is there
	}
}

// nextSync returns the place in b of an id to continue at, or how many bytes of b cannot be
// the start of one.
func nextSync(b []byte) int {
	for i := 0; i+4 <= len(b); i++ {
		if b[i] > 0x1F || b[i] < 0x10 { // no id of four bytes
			continue
		}
		id := uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3])
		if id == ebml.IDEBML || id == ebml.IDSegment || isSegmentChild(id) {
			return i
		}
	}
	return len(b) - 3
}

// isSync reports whether what follows makes sense as an element to continue at, judged by
// its header and the one after it.
func (s *Splitter) isSync() bool {
	h, err := s.in.Peek()
	if err != nil {
		return false
	}
	switch h.ID {
	case ebml.IDEBML:
		return h.Size > 0 && h.Size <= maxEBMLHeader && s.isEBMLHeader(h)
	case ebml.IDSegment:
		next, ok := s.headerAt(h.Len)
		return ok && (isSegmentChild(next.ID) || isFiller(next))
	case ebml.IDCluster:
		if h.Size > s.max {
			return false
		}
		next, ok := s.headerAt(h.Len)
		return ok && isClusterChild(next) && next.ID != ebml.IDSimpleBlock && next.ID != ebml.IDBlockGroup && within(h, next)
	}
	first, known := firstChildren[h.ID]
	if !known || h.Size <= 0 || h.Size > maxHeadElement {
		return false
	}
	next, ok := s.headerAt(h.Len)
	return ok && within(h, next) && (first == 0 && next.ID > 0x1000 || next.ID == first || isFiller(next))
}

// firstChildren are the children that must come first in an element of a Segment's header, but for fillers; 0 is any.
var firstChildren = map[uint32]uint32{
	ebml.IDTracks: ebml.IDTrackEntry, ebml.IDTags: ebml.IDTag, ebml.IDSeekHead: ebml.IDSeek, ebml.IDInfo: 0,
}

// isFiller reports whether an element may stand anywhere and says nothing.
func isFiller(h ebml.Header) bool {
	return h.ID == ebml.IDVoid && h.Size >= 0 || h.ID == ebml.IDCRC32 && h.Size == 4
}

// within reports whether a child fits its parent.
func within(parent, child ebml.Header) bool {
	return child.Size >= 0 && (parent.Size == ebml.UnknownSize || int64(child.Len)+child.Size <= parent.Size)
}

// headerAt returns the header n bytes ahead.
func (s *Splitter) headerAt(n int) (ebml.Header, bool) {
	for more := 1; more <= 12; more++ {
		b, _ := s.in.Ahead(n + more) // what is missing shows
		if len(b) < n+more {
			return ebml.Header{}, false
		}
		h, err := ebml.ParseHeader(b[n:])
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return h, err == nil
		}
	}
	return ebml.Header{}, false
}

// isEBMLHeader reports whether an EBML header holds what it must, and a Segment follows.
func (s *Splitter) isEBMLHeader(h ebml.Header) bool {
	end := h.Len + int(h.Size)
	b, _ := s.in.Ahead(end) // what is missing shows
	if len(b) < end {
		return false
	}
	for e, err := range ebml.Elements(b[h.Len:end]) {
		if err != nil || e.ID>>8 != 0x42 && e.ID != ebml.IDVoid && e.ID != ebml.IDCRC32 {
			return false
		}
	}
	next, ok := s.headerAt(end)
	return ok && (next.ID == ebml.IDSegment || isFiller(next))
}

// resume ends the hole where reading continues.
func (s *Splitter) resume() {
	s.endHole(s.in.Offset())
	h, _ := s.in.Peek() // was peeked before
	switch {
	case h.ID == ebml.IDEBML || h.ID == ebml.IDSegment:
		s.finishDocument()
		s.state = atDocument
		return
	case s.chunks == 0 || s.doc.head.ebml == nil:
		s.beginDocument(nil)
		s.doc.head.ebml = defaultHeader()
		fallthrough
	case s.doc.part != nil && s.doc.part.body == 0: // without a Segment
		s.doc.part = nil
	}
	s.doc.segmentEnd = ebml.UnknownSize
	s.doc.hurt = true
	s.state = inSegment
}

// endHole ends the fragment that the hole lies in, at the hole's beginning, and reports the
// bytes that are lost, up to end.
func (s *Splitter) endHole(end int64) {
	d, h := &s.doc, s.hole
	s.hole = nil
	p := d.part
	if d.hurt = true; end < h.seen || h.last.broken {
		// The last element was at fault, or the one before it.
		n, blocks := len(h.last.data), h.last.blocks
		h.from = min(h.from, h.last.offset)
		if end < h.last.offset {
			n, blocks = n+h.last.before, h.last.earlier
			h.from -= int64(h.last.before)
		}
		if p != nil && n > 0 && h.last.part == p {
			p.whole = min(p.whole, len(p.mkv)-n)
			p.blocks = p.blocks[:blocks]
		}
	}
	cause := &DamageError{From: h.from, To: end, Err: h.cause}
	if p != nil {
		p.mkv = p.mkv[:min(p.whole, len(p.mkv))]
		if p.hurt(cause); errors.Is(cause, ErrTooLarge) && p.bad == nil {
			p.bad, p.blocks = cause, nil // most of it is whole, and not wanted
		}
	}
	switch {
	case p != nil && d.plain && len(p.blocks) > 0 && p.bad == nil:
		s.finishPart(p)
		d.part = nil
		s.flushWaiting()
	case p != nil && d.plain && p.bad != nil:
		s.flushWaiting()
		d.waiting, d.part = p, nil
		s.flushWaiting()
	case p != nil && (len(p.blocks) > 0 || p.bad != nil):
		s.finishChunk()
	default:
		s.flushWaiting()
		number := s.number()
		d.part = nil
		s.ready = append(s.ready, result{err: s.gap(number, cause, 0)})
	}
}

// defaultHeader is an EBML header for documents that have lost theirs.
func defaultHeader() []byte {
	return ebml.AppendElement(nil, ebml.IDEBML, bytes.Join([][]byte{
		ebml.AppendString(nil, ebml.IDDocType, "matroska"),
		ebml.AppendUint(nil, ebml.IDDocTypeVersion, 4),
		ebml.AppendUint(nil, ebml.IDDocTypeReadVersion, 2),
	}, nil))
}

// DamageError is about a stretch of the payload that makes no sense as Matroska.
type DamageError struct {
	// From and To bound it: it begins with byte From and ends before byte To.
	From, To int64
	// Err is what makes no sense.
	Err error
}

// Error implements error.
func (e *DamageError) Error() string {
	if e.From >= e.To {
		return fmt.Sprintf("damaged at byte %d: %v", e.From, e.Err)
	}
	return fmt.Sprintf("bytes %d to %d are damaged: %v", e.From, e.To-1, e.Err)
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }
