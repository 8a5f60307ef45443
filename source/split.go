package source

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// defaultFragmentSize is the cap of a SplitConfig that names none, in bytes. KVS
// takes fragments of up to 50 MB.
const defaultFragmentSize Size = 64 << 20

// SplitConfig is what a Splitter needs to know.
type SplitConfig struct {
	// Stream is the name that the fragments carry.
	Stream string
	// MaxFragmentSize is the largest fragment that is taken into memory, in
	// bytes; 0 means 64 MiB.
	MaxFragmentSize Size
	// Chunks says that the payload comes from KVS: a cluster that has no fragment
	// number or no timestamps before it is a gap, and no plain MKV file.
	Chunks bool
	// Size is the number of bytes that the payload has for certain, 0 if that is not known.
	// The memory for a Cluster inside of it is taken in one piece, and used again when a
	// fragment is given back (media.Fragment.Recycle).
	Size int64
}

// Splitter cuts a payload into fragments while it arrives. It walks from element
// to element by their declared sizes and never searches for a pattern of bytes,
// which could also occur inside a picture.
//
// A GetMedia payload is a row of small Matroska documents, the chunks:
//
//	EBML header
//	Segment               of unknown size
//	  Info, Tracks
//	  Tags                fragment number, server and producer timestamp
//	  Cluster             of known or unknown size; rarely none, or several
//	  Tags                the producer's own
//	  Tags                millis behind now, continuation token
//	EBML header           the next chunk
//
// One chunk is one fragment, and its MKV is the chunk, byte for byte. A chunk
// ends with the Tags that hold its continuation token, so that a live fragment
// need not wait for the next one; without a token it ends where the next chunk
// or the end of the payload is. What follows the token is skipped.
//
// A document whose first Cluster comes before any fragment number is a plain
// MKV file: see plain.go for its fragments, and SplitConfig.Chunks.
//
// Memory is taken for bytes that arrived or are certain to, for the fragment at
// work or for the one before it, never for bytes that were only declared.
type Splitter struct {
	stream string
	max    int64
	strict bool // SplitConfig.Chunks
	input  *meter
	in     *ebml.Reader
	state  state
	doc    document
	// chunks counts documents and clusters the clusters of plain ones, both from
	// the start of the input.
	chunks, clusters int
	// expect is the memory that the next fragment may take before its bytes have
	// arrived: a little more than the last one had.
	expect int
	// size is SplitConfig.Size; spare holds the memory of a fragment that was given back.
	size  int64
	spare chan []byte
	ready []result
	err   error
	// whole says that the input ended cleanly, and not inside an element of known size.
	whole bool
}

// result is one answer of Next.
type result struct {
	fragment *media.Fragment
	err      error
}

// state is where in a document the next element stands.
type state int

const (
	atDocument    state = iota // an EBML header is due
	beforeSegment              // a Segment is due
	inSegment                  // a child of the Segment is due
	inCluster                  // a child of a Cluster is due
	afterToken                 // the chunk is finished, the next EBML header is not there yet
)

// document is what is known of the EBML document that is being read.
type document struct {
	// segmentEnd and clusterEnd are input offsets, or ebml.UnknownSize.
	segmentEnd, clusterEnd int64
	// part is the fragment that is being put together. It begins with the
	// header of the document.
	part *part
	// header, info and tracks are places in part.mkv, until the first Cluster.
	header, info, tracksAt span
	scale                  int64
	tracks                 []track
	tags                   chunkTags
	hasCluster             bool
	// badHead is the first thing that makes no sense in Info or Tracks.
	badHead error

	// plain says that this is no chunk of KVS; head is what each of its
	// fragments begins with, waiting the one that the next cluster may join.
	plain   bool
	head    []byte
	waiting *part
}

// meter counts what is read of the input and keeps why reading ended.
type meter struct {
	in    io.Reader
	bytes atomic.Int64
	err   error
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	m.bytes.Add(int64(n))
	if err != nil {
		m.err = err
	}
	return n, err
}

// NewSplitter returns a Splitter of the payload that r yields.
func NewSplitter(r io.Reader, cfg SplitConfig) *Splitter {
	if cfg.MaxFragmentSize == 0 {
		cfg.MaxFragmentSize = defaultFragmentSize
	}
	input := &meter{in: r}
	return &Splitter{
		stream: cfg.Stream, max: int64(cfg.MaxFragmentSize), strict: cfg.Chunks,
		input: input, in: ebml.NewReader(input), size: cfg.Size, spare: make(chan []byte, 1),
	}
}

// BytesRead is the number of bytes that were read of the payload. It may be
// called while Next is at work.
func (s *Splitter) BytesRead() int64 { return s.input.bytes.Load() }

// EndedWhole says, once Next has returned io.EOF, that the payload ended between two
// elements. A fragment that is Cut all the same was cut only as far as its Cluster, of
// unknown size, does not say where it ends.
func (s *Splitter) EndedWhole() bool { return s.whole }

// Next returns the next fragment, and io.EOF after the last one, again and again.
//
// A payload that ends inside a fragment is normal: the fragment holds the whole
// blocks and says Cut. When reading fails, the fragment that was being read
// comes first, cut, and the error after it.
//
// Three kinds of error leave the stream readable, so that Next can be called on:
// a *media.GapError for a fragment that is lost (its content makes no sense, or
// KVS reports that it cannot be read), and an *ErrorTag of another class than
// ClassGap. A *SyntaxError outside of a GapError, and an error that is
// ErrTooLarge, end the stream, as do errors of reading; Next then repeats them.
func (s *Splitter) Next() (*media.Fragment, error) {
	for len(s.ready) == 0 {
		if s.err != nil {
			return nil, s.err
		}
		s.step()
	}
	r := s.ready[0]
	s.ready[0] = result{} // or the array would hold on to the fragment
	s.ready = s.ready[1:]
	return r.fragment, r.err
}

// step reads one element, or leaves one that has ended.
func (s *Splitter) step() {
	var err error
	switch s.state {
	case atDocument:
		err = s.readDocument()
	case beforeSegment:
		err = s.readSegment()
	case inSegment:
		err = s.readInSegment()
	case inCluster:
		err = s.readInCluster()
	case afterToken:
		err = s.readAfterToken()
	}
	var syntax *SyntaxError
	switch {
	case err == nil:
	case errors.As(err, &syntax) || errors.Is(err, ErrTooLarge):
		failure := &SplitError{Where: s.where(), FragmentNumber: s.number(), Err: err}
		s.flushWaiting()
		s.err = failure
	default:
		s.endInput(err)
	}
}

// where names what is being read, for errors.
func (s *Splitter) where() string {
	name := fmt.Sprintf("chunk %d", s.chunks)
	if s.stream != "" {
		name = "stream " + s.stream + " " + name
	}
	if number := s.number(); number != "" {
		name += " fragment " + number
	}
	return name
}

// number is the number of the fragment that is being put together, if known.
func (s *Splitter) number() string {
	if s.state == atDocument || s.state == afterToken {
		return ""
	}
	if s.doc.plain {
		return s.doc.part.number
	}
	return s.doc.tags.number
}

// syntax returns a SyntaxError about the next element.
func (s *Splitter) syntax(format string, args ...any) error {
	return &SyntaxError{Offset: s.in.Offset(), Reason: fmt.Sprintf(format, args...)}
}

// peek returns the next header; one that makes no sense is a SyntaxError.
func (s *Splitter) peek() (ebml.Header, error) {
	h, err := s.in.Peek()
	if errors.Is(err, ebml.ErrID) || errors.Is(err, ebml.ErrSize) {
		return h, s.syntax("%v", err)
	}
	return h, err
}

// child returns the next header inside a parent that ends at end. Sizes that
// the parent cannot hold and unknown sizes of other elements than Clusters are
// errors.
func (s *Splitter) child(end int64) (ebml.Header, error) {
	h, err := s.peek()
	if err != nil || end == ebml.UnknownSize {
		return h, err
	}
	if left := end - s.in.Offset() - int64(h.Len); left < 0 || h.Size > left {
		return h, s.syntax("element %#x size (%d) runs past the end of its parent, %d left", h.ID, h.Size, left)
	}
	return h, nil
}

// keep reads an element whole into the fragment and returns its payload, which
// is valid until the next call. It checks the size first.
func (s *Splitter) keep(h ebml.Header) ([]byte, error) {
	if h.Size == ebml.UnknownSize {
		return nil, s.syntax("element %#x of unknown size", h.ID)
	}
	p := s.doc.part
	if err := s.fits(int64(h.Len) + h.Size); err != nil {
		return nil, err
	}
	s.makeRoom(int64(h.Len) + h.Size)
	start := len(p.mkv) + h.Len
	var err error
	if p.mkv, err = s.in.Append(p.mkv, int64(h.Len)+h.Size); err != nil {
		return nil, err
	}
	p.whole = len(p.mkv)
	return p.mkv[start:], nil
}

// fits returns an error when more bytes would make the fragment too big.
func (s *Splitter) fits(more int64) error {
	if size := int64(len(s.doc.part.mkv)) + more; size > s.max {
		return tooLarge("fragment size", size, s.max)
	}
	return nil
}

// skip reads an element whole and forgets it.
func (s *Splitter) skip(h ebml.Header) error {
	if h.Size == ebml.UnknownSize {
		return s.syntax("element %#x of unknown size", h.ID)
	}
	return s.in.Skip(int64(h.Len) + h.Size)
}

// isSegmentChild says whether an element belongs directly into a Segment, and so
// ends a Cluster of unknown size.
func isSegmentChild(id uint32) bool {
	switch id {
	case ebml.IDSeekHead, ebml.IDInfo, ebml.IDTracks, ebml.IDCluster, ebml.IDCues,
		ebml.IDAttachments, ebml.IDChapters, ebml.IDTags:
		return true
	}
	return false
}
