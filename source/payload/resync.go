package payload

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// Damage shows when the walk from element to element meets an ID or a size that is not valid there, or the end
// of the input inside an element. The cause may be the element before, if its wrong size made the walk skip
// other elements. So the search for the next valid element begins inside that element.
//
// Reading continues at the next header of a document, or element of a Segment, that is followed by a valid
// element. The IDs of other elements, such as blocks, are too short to be distinguished from the bytes of a
// picture.

// maxHeadElement is the largest element of a Segment's header at which reading continues, in bytes: it allows
// Tracks with codec data of 1 MiB.
const maxHeadElement = 4 << 20

// rereads limits the bytes that are read again, as a multiple of the input's size. Without a limit, an input
// that consists of damage would take forever.
const rereads = 4

// lastElement is the last element that was read, as long as its size may be wrong.
type lastElement struct {
	offset int64
	data   []byte
	// part contains the element; nil if the element was only read, after a number of blocks.
	part   *part
	blocks int
	// broken reports whether the element is known to be invalid.
	broken bool
	// before is the length of the previous element in the part, whose size may also be wrong, 0 if there is
	// none; earlier is the number of blocks before that one.
	before, earlier int
}

// next returns the lastElement for an element of a part that begins at offset.
func (e lastElement) next(offset int64, p *part) lastElement {
	n := lastElement{offset: offset, part: p, blocks: len(p.blocks)}
	if e.part == p && e.offset+int64(len(e.data)) == offset {
		n.before, n.earlier = len(e.data), e.blocks
	}
	return n
}

// hole is a damaged stretch of the payload.
type hole struct {
	// from is where it begins, seen where it was noticed, after last.
	from, seen int64
	last       lastElement
	// cause describes the damage, cut is the error with which the input ended there.
	cause error
	cut   error
	was   state // before it
}

// damaged starts the search for the end of the damage.
func (s *Splitter) damaged(cause error) {
	if s.chunks == 0 {
		name := s.format()
		if name != "" {
			cause = s.syntax("this is %s, not Matroska: convert it with ffmpeg -i FILE -c copy FILE.mkv", name)
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

// format returns the format of a payload that does not begin like Matroska, "" if unknown.
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

// goBack makes the search begin inside the last element, if that may be wrong. The number of bytes that are
// read again is limited.
func (s *Splitter) goBack() {
	last := s.last
	s.last = lastElement{}
	if len(last.data) == 0 || last.offset+int64(len(last.data)) != s.in.Offset() {
		if errors.Is(s.hole.cause, ErrTooLarge) {
			_ = s.in.Skip(1) // it is valid, and would be found again
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

// search looks for the end of a hole in the available input.
func (s *Splitter) search() error {
	for {
		b, err := s.in.Ahead(4)
		if len(b) < 4 {
			_ = s.in.Skip(int64(len(b))) // these bytes are available
			return err
		}
		n := nextSync(b)
		if err := s.in.Skip(int64(n)); err != nil {
			return err
		}
		if n+4 > len(b) {
			continue
		}
		last := s.hole.last // it led here, and would again
		if (len(last.data) == 0 || s.in.Offset() != last.offset) && s.isSync() {
			s.resume()
			return nil
		}
		_ = s.in.Skip(1) // this byte is available
	}
}

// nextSync returns the offset in b of an ID at which reading may continue, or the number of bytes of b in
// which none starts.
func nextSync(b []byte) int {
	for i := 0; i+4 <= len(b); i++ {
		if b[i] > 0x1F || b[i] < 0x10 { // not an ID of four bytes
			continue
		}
		id := uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3])
		if ebml.EndsCluster(id) {
			return i
		}
	}
	return len(b) - 3
}

// isSync reports whether the next bytes are a valid element at which to continue, by its header and the
// header after it.
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
		return ok && (ebml.IsSegmentChild(next.ID) || isFiller(next))
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

// firstChildren are the first children, apart from fillers, that elements of a Segment's header must have; 0 is any child.
var firstChildren = map[uint32]uint32{
	ebml.IDTracks: ebml.IDTrackEntry, ebml.IDTags: ebml.IDTag, ebml.IDSeekHead: ebml.IDSeek, ebml.IDInfo: 0,
}

// isFiller reports whether an element is allowed anywhere and has no content.
func isFiller(h ebml.Header) bool {
	return h.ID == ebml.IDVoid && h.Size >= 0 || h.ID == ebml.IDCRC32 && h.Size == 4
}

// within reports whether a child fits into its parent.
func within(parent, child ebml.Header) bool {
	return child.Size >= 0 && (parent.Size == ebml.UnknownSize || int64(child.Len)+child.Size <= parent.Size)
}

// headerAt returns the header n bytes ahead.
func (s *Splitter) headerAt(n int) (ebml.Header, bool) {
	h, err := s.in.PeekAt(n)
	return h, err == nil
}

// isEBMLHeader reports whether an EBML header is complete and a Segment follows.
func (s *Splitter) isEBMLHeader(h ebml.Header) bool {
	end := h.Len + int(h.Size)
	b, _ := s.in.Ahead(end) // the length of b is checked below
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
	h, _ := s.in.Peek() // the error was checked before
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

// endHole ends the fragment that contains the hole at the hole's beginning, and reports the lost bytes, up to end.
func (s *Splitter) endHole(end int64) {
	d, h := &s.doc, s.hole
	s.hole = nil
	p := d.part
	if d.hurt = true; end < h.seen || h.last.broken {
		// The last element was wrong, or the one before it.
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
			p.bad, p.blocks = cause, nil // too large: not returned, though mostly whole
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

// defaultHeader returns an EBML header for documents that have lost theirs.
func defaultHeader() []byte {
	return ebml.AppendElement(nil, ebml.IDEBML, bytes.Join([][]byte{
		ebml.AppendString(nil, ebml.IDDocType, "matroska"),
		ebml.AppendUint(nil, ebml.IDDocTypeVersion, 4),
		ebml.AppendUint(nil, ebml.IDDocTypeReadVersion, 2),
	}, nil))
}

// DamageError is about a damaged stretch of the payload.
type DamageError struct {
	// From and To bound the stretch, To exclusive.
	From, To int64
	// Err describes the damage.
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
