// Package payload cuts bytes into fragments: GetMedia payloads, live or saved in files, and plain MKV files.
//
// NewSplitter takes any io.Reader. Its Next returns one *media.Fragment after the other, then io.EOF:
//
//	s := payload.NewSplitter(file, payload.Config{Stream: "cam"})
//	for {
//		f, err := s.Next()
//		...
//	}
//
// Damage stays local: for a fragment that cannot be used Next returns a *media.GapError, and then continues.
// Errors that KVS reports inside a payload are *ErrorTags. A Remuxer combines many fragments into one file for
// players.
//
// The package neither calls a service nor joins sessions: see packages source and source/kvs.
package payload

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
)

// defaultFragmentSize is the default of Config.MaxFragmentSize. KVS accepts fragments
// of up to 50 MB.
const defaultFragmentSize media.Size = 64 << 20

// Config holds the settings of a Splitter. Its zero value reads any payload.
type Config struct {
	// Stream is the stream's name in the fragments.
	Stream string
	// MaxFragmentSize is the largest fragment that is read into memory, in bytes; 0 means 64 MiB.
	MaxFragmentSize media.Size
	// Chunks reports whether the payload is known to come from KVS. A Cluster without a fragment number or
	// timestamps before it is then a gap, rather than a plain MKV file.
	Chunks bool
	// Size is the known size of the payload in bytes, 0 if unknown. Within that size, memory for a whole
	// Cluster is allocated at once, and reused after media.Fragment.Recycle. If the payload is also an
	// io.ReaderAt, Tracks that follow the Clusters are looked up in it.
	Size int64
	// Track is the number of the wanted video track, 0 for the first one that can be decoded.
	Track uint64
	// StartTime is the instant of timestamp zero of plain MKV files; the zero time means the time in the file
	// (DateUTC), or else the Unix epoch.
	StartTime time.Time
	// FirstCluster is the index of the payload's first Cluster, for the fragment numbers of plain MKV files. It is
	// above 0 when other files precede this one.
	FirstCluster int
	// Log receives warnings about the payload; nil discards them.
	Log *slog.Logger
}

// Splitter cuts a payload into fragments as it arrives. It walks from element to element by their declared
// sizes. It does not search for patterns of bytes, which may also occur inside a picture, except after damage
// (see resync.go).
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
// One chunk is one fragment, and its MKV is the chunk, byte for byte. A chunk ends with the Tags that have its
// continuation token, so that a live fragment need not wait for the next one. Without a token it ends where the
// next chunk begins or the payload ends.
//
// In merged recordings, one header precedes alternating Tags and Clusters. A fragment then also ends with its
// continuation token, or else where Tags with another number follow its Cluster, and it begins with the EBML
// header, Info and Tracks of the document. Tags without a number belong to the previous fragment, unless that
// has its token. A document whose first Cluster precedes any number is a plain MKV file (see plain.go, and
// Config.Chunks), unless Tags with a number follow: then each Cluster begins a fragment and the Tags after it
// belong to it.
//
// The sizes of Segments are not relied on, and those of Clusters only if their blocks confirm them.
//
// Memory is allocated only for bytes that have arrived or certainly will, never for a declared size.
type Splitter struct {
	cfg   Config
	max   int64 // Config.MaxFragmentSize
	input *meter
	in    *ebml.Reader
	state state
	doc   document
	// chunks counts documents, from the start of the input, and clusters the clusters of plain ones, from
	// Config.FirstCluster. recording reports whether the input has had a fragment number.
	chunks, clusters int
	recording        bool
	// expect is the memory that the next fragment may allocate before its bytes have arrived: slightly more
	// than the size of the last one.
	expect int
	// spare holds the memory of a recycled fragment.
	spare chan []byte
	// last is the latest element, hole the current damage.
	last  lastElement
	hole  *hole
	aside []byte // see readAside
	// reread is the number of bytes that may be read again (see goBack).
	reread int64
	warned map[string]bool
	choice choice
	ready  []result
	err    error
	arrivals
	// whole reports whether the input ended cleanly, and not inside an element of known size.
	whole bool
}

// result is one result of Next.
type result struct {
	fragment *media.Fragment
	err      error
}

// state is the position in a document before the next element.
type state int

const (
	atDocument    state = iota // an EBML header comes next
	beforeSegment              // a Segment comes next
	inSegment                  // a child of the Segment comes next
	inCluster                  // a child of a Cluster comes next
	inHole                     // damage is searched for an element at which reading can continue
)

// document is the state of the EBML document that is being read.
type document struct {
	// segmentEnd and clusterEnd are input offsets, or ebml.UnknownSize.
	segmentEnd, clusterEnd int64
	segmentStart           int64 // the offset of its first child
	head                   head
	// part is the fragment under construction, nil between two. The first one begins with the header of the
	// document, unchanged.
	part *part
	// plain reports whether this is not a payload of KVS; waiting is the fragment that the next cluster may join.
	plain   bool
	waiting *part
	// tagged reports whether Tags have arrived; in a plain document they are those of the file.
	tagged bool
	// tagsBehind reports whether the tags of a fragment follow its cluster.
	tagsBehind bool
	// orphans are finished parts that wait for Tracks, orphaned is their size in bytes.
	orphans  []*part
	orphaned int64
	// hurt reports whether bytes of the document were lost, counted whether a fragment of it was returned.
	hurt, counted bool
}

// meter counts the bytes read from the input and keeps the error of the input.
type meter struct {
	in    io.Reader
	bytes atomic.Int64
	err   error
	// waits, if it is not nil, is called before the input is read.
	waits func()
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	if m.waits != nil {
		m.waits()
	}
	n, err := m.in.Read(p)
	m.bytes.Add(int64(n))
	if err != nil {
		m.err = err
	}
	return n, err
}

// NewSplitter returns a Splitter of the payload in r.
func NewSplitter(r io.Reader, cfg Config) *Splitter {
	if cfg.MaxFragmentSize == 0 {
		cfg.MaxFragmentSize = defaultFragmentSize
	}
	cfg.Log = logging.OrSilent(cfg.Log)
	input := &meter{in: r}
	return &Splitter{
		cfg: cfg, max: int64(cfg.MaxFragmentSize), input: input, in: ebml.NewReader(input), spare: make(chan []byte, 1),
		warned: map[string]bool{}, choice: choice{wanted: cfg.Track}, clusters: cfg.FirstCluster,
	}
}

// BytesRead returns the number of bytes that were read from the payload. It may be called while Next is running.
func (s *Splitter) BytesRead() int64 { return s.input.bytes.Load() }

// Clusters returns the index of the next Cluster of a plain MKV file (see Config.FirstCluster). It must not be
// called while Next is running.
func (s *Splitter) Clusters() int { return s.clusters }

// EndedWhole reports, after Next has returned io.EOF, whether the payload ended between two elements. If the
// last fragment is Cut even then, it is probably complete: the end of a Cluster of unknown size is not visible.
func (s *Splitter) EndedWhole() bool { return s.whole }

// Next returns the next fragment, and io.EOF after the last one.
//
// It is normal for a payload to end inside a fragment: the fragment then has the whole blocks, and Cut is set.
// When reading fails, Next first returns the current fragment, cut, and then the error.
//
// After damage, reading continues at the next valid element. The damaged fragment is returned up to the damage,
// with Cut set and the range of lost bytes in its Damage, or as a *media.GapError if no part of it can be used.
//
// After two kinds of error Next may be called again: a *media.GapError for a fragment that is lost, and an
// *ErrorTag. (The error tag with ID 4000 concerns only its fragment, and is the cause of a *media.GapError.)
// All other errors are final, and Next repeats them: errors of reading, and a *SplitError for a payload that
// cannot be read at all.
func (s *Splitter) Next() (*media.Fragment, error) {
	for len(s.ready) == 0 {
		if s.err != nil {
			return nil, s.err
		}
		s.step()
	}
	r := s.ready[0]
	s.ready[0] = result{} // the array must not keep the fragment alive
	s.ready = s.ready[1:]
	return r.fragment, r.err
}

// step reads one element, or closes one that has ended.
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
	case inHole:
		err = s.search()
	}
	var syntax *SyntaxError
	switch {
	case err == nil:
	case errors.As(err, &syntax) || errors.Is(err, ErrTooLarge):
		s.damaged(err)
	default:
		s.endInput(err)
	}
}

// where describes the current position, for errors.
func (s *Splitter) where() string {
	name := fmt.Sprintf("chunk %d", s.chunks)
	if s.cfg.Stream != "" {
		name = "stream " + s.cfg.Stream + " " + name
	}
	if number := s.number(); number != "" {
		name += " fragment " + number
	}
	return name
}

// number returns the number of the current fragment, if known.
func (s *Splitter) number() string {
	if s.doc.part == nil {
		return ""
	}
	return s.doc.part.name()
}

// warn logs a message once for each subject.
func (s *Splitter) warn(subject, message string, args ...any) {
	if !s.warned[subject] {
		s.warned[subject] = true
		s.cfg.Log.Warn(message, append([]any{"stream", s.cfg.Stream}, args...)...)
	}
}

// syntax returns a SyntaxError about the next element.
func (s *Splitter) syntax(format string, args ...any) error {
	return &SyntaxError{Offset: s.in.Offset(), Reason: fmt.Sprintf(format, args...)}
}

// peek returns the next header, or a SyntaxError if it is not valid.
func (s *Splitter) peek() (ebml.Header, error) {
	h, err := s.in.Peek()
	if errors.Is(err, ebml.ErrID) || errors.Is(err, ebml.ErrSize) {
		return h, s.syntax("%v", err)
	}
	return h, err
}

// keep reads a whole element into the fragment and returns its payload, which is valid until the next call.
// It checks the size first.
func (s *Splitter) keep(h ebml.Header) ([]byte, error) {
	if h.Size == ebml.UnknownSize {
		return nil, s.syntax("element %#x of unknown size", h.ID)
	}
	p := s.doc.part
	if err := s.fits(int64(h.Len) + h.Size); err != nil {
		return nil, err
	}
	s.makeRoom(int64(h.Len) + h.Size)
	at := len(p.mkv)
	s.last = s.last.next(s.in.Offset(), p)
	var err error
	p.mkv, err = s.in.Append(p.mkv, int64(h.Len)+h.Size)
	s.last.data = p.mkv[at:]
	if err != nil {
		return nil, err
	}
	p.whole = len(p.mkv)
	return p.mkv[at+h.Len:], nil
}

// fits returns an error if more bytes would make the fragment too large.
func (s *Splitter) fits(more int64) error {
	if size := int64(len(s.doc.part.mkv)) + more; size > s.max {
		return tooLarge("fragment size", size, s.max)
	}
	return nil
}

// readAside reads a whole element that is not part of a fragment, and returns its payload, which is valid until
// the next call. It skips an element above the limit that is certainly inside the input; the payload is then
// nil.
func (s *Splitter) readAside(h ebml.Header) ([]byte, error) {
	size := int64(h.Len) + h.Size
	switch {
	case h.Size == ebml.UnknownSize:
		return nil, s.syntax("element %#x of unknown size", h.ID)
	case size > s.max && s.in.Offset()+size <= s.cfg.Size:
		s.last = lastElement{}
		return nil, s.in.Skip(size)
	case size > s.max:
		// A live reader must not wait for the end of an element that no producer sends.
		return nil, tooLarge("size of an element between fragments", size, s.max)
	}
	const usual = 64 << 10
	if cap(s.aside) > usual {
		s.aside = nil
	}
	s.last = lastElement{offset: s.in.Offset()}
	var err error
	s.aside, err = s.in.Append(s.aside[:0], size)
	s.last.data = s.aside
	if err != nil {
		return nil, err
	}
	return s.aside[h.Len:], nil
}

// isClusterChild reports whether an element is a direct child of a Cluster, with a valid size.
func isClusterChild(h ebml.Header) bool {
	switch h.ID {
	case ebml.IDSimpleBlock, ebml.IDBlockGroup, ebml.IDVoid, ebml.IDSilentTracks:
		return h.Size != ebml.UnknownSize
	case ebml.IDTimestamp, ebml.IDPosition, ebml.IDPrevSize:
		return h.Size >= 0 && h.Size <= 8
	case ebml.IDCRC32:
		return h.Size == 4
	}
	return false
}
