package source

import (
	"bytes"
	"errors"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// part is a fragment that is being put together.
type part struct {
	mkv []byte
	// likely is the length that mkv is likely to have at the end, 0 before the first Cluster.
	likely int
	// certain: the input is known to have all of it.
	certain bool
	// whole is the length of mkv up to the end of its last whole element.
	whole int
	// blocks have times that still count from the start of the time line.
	blocks []media.Block
	// clock is the timestamp of the cluster that is being read, timed says that
	// it was told; first is the one of the first cluster, if hasFirst.
	clock, first    time.Duration
	timed, hasFirst bool
	// number is the fragment's number in a plain document.
	number string
	// bad is the first thing that makes no sense in the content.
	bad           error
	cut, cutBlock bool
}

// spoil notes in bad what is wrong with the content of the element at offset,
// unless something was wrong before. The walk goes on, because the sizes around
// the element hold.
func spoil(bad *error, offset int64, err error) {
	if *bad != nil {
		return
	}
	if !errors.Is(err, ErrTooLarge) {
		err = &SyntaxError{Offset: offset, Reason: err.Error()}
	}
	*bad = err
}

// setTimestamp takes the timestamp of the cluster that is being read.
func (p *part) setTimestamp(t time.Duration) {
	p.clock, p.timed = t, true
	if !p.hasFirst {
		p.first, p.hasFirst = t, true
	}
}

// addBlocks adds the frames of one block, whose data begins at at. Frames that
// share a block share its time.
func (p *part) addBlocks(head blockHead, frames []span, at int, scale int64, key bool) error {
	if !p.timed {
		return errors.New("block before the timestamp of its cluster")
	}
	if total := len(p.blocks) + len(frames); total > maxBlocks {
		return tooLarge("number of blocks", int64(total), maxBlocks)
	}
	for _, f := range frames {
		p.blocks = append(p.blocks, media.Block{
			Track:  head.track,
			Time:   p.clock + time.Duration(head.time)*time.Duration(scale),
			Key:    key,
			Offset: at + f.at,
			Size:   f.len,
		})
	}
	return nil
}

// cutOff drops the element that the input ended in.
func (p *part) cutOff(tracks []track) {
	p.cutBlock = cutsVideo(p.mkv[p.whole:], tracks)
	p.mkv = p.mkv[:p.whole]
}

// fragment returns the finished fragment, without the clocks and what only tags
// tell.
func (p *part) fragment(stream string, tracks []track) *media.Fragment {
	f := &media.Fragment{
		Stream:          stream,
		Number:          p.number,
		MillisBehindNow: -1,
		Cut:             p.cut,
		CutBlock:        p.cutBlock,
		Timecode:        p.first,
		Blocks:          p.blocks,
		MKV:             p.mkv,
	}
	// Growing leaves room at the end; fragments wait in queues that are
	// budgeted by the bytes that they hold.
	if cap(f.MKV)-len(f.MKV) > len(f.MKV)/2 {
		f.MKV = bytes.Clone(f.MKV)
	}
	for i := range f.Blocks {
		f.Blocks[i].Time -= p.first
	}
	f.Tracks = make([]media.Track, len(tracks))
	for i, t := range tracks {
		if t.privateLen > 0 {
			end := t.privateAt + t.privateLen
			t.CodecPrivate = f.MKV[t.privateAt:end:end]
		}
		f.Tracks[i] = t.Track
	}
	return f
}

// videoBlocks counts the blocks of the video track, with one that was cut off.
func (p *part) videoBlocks(tracks []track) int {
	number, found := videoTrack(tracks)
	count := 0
	for _, b := range p.blocks {
		if found && b.Track == number {
			count++
		}
	}
	if p.cutBlock {
		count++
	}
	return count
}

// emit hands on a part: as a fragment, which it returns, or as the gap that it
// has become.
func (s *Splitter) emit(p *part) *media.Fragment {
	if p.bad != nil {
		s.ready = append(s.ready, result{err: s.gap(p.number, p.bad, p.videoBlocks(s.doc.tracks))})
		return nil
	}
	s.expect = len(p.mkv) + len(p.mkv)/4
	f := p.fragment(s.stream, s.doc.tracks)
	f.TimeScale = time.Duration(s.doc.scale)
	s.recycle(f)
	s.ready = append(s.ready, result{fragment: f})
	return f
}

// gap returns the error for a fragment that is lost.
func (s *Splitter) gap(number string, err error, lost int) error {
	return newGap(s.stream, number, err, lost)
}

// newGap returns the error for a fragment that is lost, with the number of
// frames that are known to be in it.
func newGap(stream, number string, err error, lost int) error {
	return &media.GapError{
		Gap: media.Gap{
			Stream:         stream,
			FragmentNumber: number,
			FrameIndex:     media.WholeFragment,
			Reason:         GapReason(err),
			Detail:         err.Error(),
			FramesLost:     lost,
		},
		Err: err,
	}
}
