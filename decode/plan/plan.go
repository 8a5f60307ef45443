// Package plan decides which frames of a stream are wanted, and which packets must be decoded for them. It reads headers
// alone, decodes nothing, and is pure Go.
//
// A [Planner] sees the fragments of one stream in order and makes a [Plan] of each. It alone holds what samplers
// remember from one fragment to the next:
//
//	planner := plan.NewPlanner(plan.SkipAuto, []plan.Output{{Sink: "thumbs", Sample: sample}})
//	for fragment := range fragments {
//		p := planner.Plan(fragment)
//		...
//	}
//	gaps := planner.End()
//
// What an output wants is a [Sample]: all frames, key frames, every nth, a grid in time, the frames for a list of
// times, or frames by their number.
package plan

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// Plan states which frames of one fragment are wanted, and which packets must be decoded for them. The planner makes it in
// stream order; any goroutine may use it afterwards. Its exported fields must not be changed.
//
// The plan of a fragment whose last frame may be the nearest to a requested time is completed later (see Pending). Until then
// it is not known which frames are wanted and which packets are fed.
type Plan struct {
	// Track is the video track; hasVideo is false when there is none.
	Track    media.Track
	hasVideo bool
	// Frames are the frames of the video track in decode order. Each is one access unit, and one packet for the decoder.
	Frames []Frame
	// Pictures holds, for each frame, what its headers state about the picture.
	Pictures []Picture
	// Samples is the number of frames that at least one output wants.
	Samples int
	// InOrder holds the indexes in Frames of the wanted frames, in presentation order.
	InOrder []int
	// KeysOnly reports whether only key frames are decoded for all outputs, to catch up. LeftOut are the samples that catching up
	// leaves out.
	KeysOnly bool
	LeftOut  []media.Gap
	// Form is the form in which the decoder needs packets and codec data.
	Form Form
	// LengthSize is the size in bytes of the length prefixes of the packets' NAL units; 0 means start codes.
	LengthSize int
	// begin are the parameter sets in force where the fragment begins.
	begin [][]byte
	// Chain links the fragment to the ones around it; nil if it is decoded by itself.
	Chain *Chain
	// Refresh is the fragment's gradual refresh.
	Refresh Refresh
	// Footprint is an estimate of the memory that the decoder takes, in bytes.
	Footprint int64
	// Refused is why the fragment cannot be decoded; nil if it can.
	Refused error
	// Ahead reports whether the plan is of a part of a fragment that is still arriving: a decoder that finds anything wrong gives up.
	Ahead bool
	// Skipped reports whether no frame of this fragment can be wanted. Only the planner still needs it, for bookkeeping.
	Skipped bool

	// decided is closed when the plan is complete; nil if it was complete from the start. undecided reports whether it was
	// closed because the planner was interrupted.
	decided   chan struct{}
	undecided bool
	// owners counts how many of {planner, caller} have given up a plan that is completed later; the second one releases its links.
	owners *atomic.Int32
	// hold counts the users of the fragment's media.
	hold *hold
	// blocks are those of the video track.
	blocks []media.Block
}

// Wait returns when the plan is complete, or with the context's error. It returns media.ErrUndecided when the planner was
// interrupted before.
func (pl *Plan) Wait(ctx context.Context) error {
	if pl.decided == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pl.decided:
		if pl.undecided {
			return media.ErrUndecided
		}
		return nil
	}
}

// Pending reports whether the plan is not complete yet: the next frame of the stream, or its end, decides which frames are wanted.
func (pl *Plan) Pending() bool {
	if pl.decided == nil {
		return false
	}
	select {
	case <-pl.decided:
		return false
	default:
		return true
	}
}

// Release releases the fragment's media, which is recycled once it has no other user. It must be called at most once.
func (pl *Plan) Release() { pl.hold.drop() }

// GiveUp releases the plan's links to other fragments. It must be called once if the fragment is not decoded, unless the plan is
// Skipped, and may be called while the plan is Pending.
func (pl *Plan) GiveUp() {
	if pl.owners != nil && pl.owners.Add(1) < 2 || pl.Chain == nil {
		return
	}
	pl.ReleaseLeads()
	// This fragment takes no decoder and gives none to the next one.
	if pl.Chain.After != nil {
		pl.Chain.After.release()
	}
	if pl.Chain.Next != nil {
		pl.Chain.Next.GiveUp()
	}
}

// LastBlock returns the last block of frame k, as an index into those of the video track that are not empty (see VideoBlocks).
func (pl *Plan) LastBlock(k int) int { return pl.Frames[k].last }

// VideoBlocks returns the number of the blocks of the fragment's video track that are not empty.
func VideoBlocks(f *media.Fragment) (n int) {
	track, ok := f.VideoTrack()
	for _, b := range f.Blocks {
		if ok && b.Track == track.Number && b.Size > 0 {
			n++
		}
	}
	return n
}

// Frame is one frame of the video track, and what happens to its packet.
type Frame struct {
	// Info names the frame, with its times.
	Info media.FrameInfo
	// last is the index of the frame's last block.
	last int
	// packet replaces that block's data unless it is nil. tail is the incomplete NAL unit at its end (see accessUnit).
	packet, tail []byte
	// Cut reports whether the picture's only slice is known to be cut. Decoders report no error if only a few bytes are missing.
	Cut bool
	// Feed reports whether the packet must go to the decoder.
	Feed bool
	// HeaderOnly replaces the packet unless it is nil: no wanted picture refers to this one, so the decoder needs only its headers.
	HeaderOnly []byte
	// Fast reports whether the loop filter may be left out.
	Fast bool
	// Group is the number of the frame's group of pictures, from 0 in each fragment.
	Group int
	// Leads reports whether the frame follows a random access point in the stream and is shown before it: no picture that is shown
	// later refers to it.
	Leads bool
	// Disposable reports whether no other picture refers to this one.
	Disposable bool
	// Broken reports whether something that the picture may refer to is missing.
	Broken bool
	// Outputs are the outputs that want the frame, in ascending order.
	Outputs []Asked
}

// Asked is one output's request for a frame.
type Asked struct {
	// Output is the output's index.
	Output int
	// Begins reports whether the frame is in another window than the one before that the output asked for in the fragment (see Best).
	Begins bool
	// answers are the requests that the frame answers, for type timestamps.
	answers []stampRequest
}

// ask records that an output wants the frame, as the answer to some requests. The result is valid until another output asks.
func (f *Frame) ask(output int, answers ...stampRequest) *Asked {
	i, found := f.search(output)
	if !found {
		f.Outputs = slices.Insert(f.Outputs, i, Asked{Output: output})
	}
	asked := &f.Outputs[i]
	asked.answers = append(asked.answers, answers...)
	return asked
}

// search returns the place of an output in f.Outputs, and whether it is there.
func (f *Frame) search(output int) (i int, found bool) {
	return slices.BinarySearchFunc(f.Outputs, output, func(a Asked, o int) int { return cmp.Compare(a.Output, o) })
}

// Asked returns what an output asked of frame k, and whether it asked for it.
func (pl *Plan) Asked(k, output int) (Asked, bool) {
	f := &pl.Frames[k]
	i, found := f.search(output)
	if !found {
		return Asked{}, false
	}
	return f.Outputs[i], true
}

// Wanted returns the number of frames that an output asked for.
func (pl *Plan) Wanted(output int) (n int) {
	for _, k := range pl.InOrder {
		if _, wanted := pl.Asked(k, output); wanted {
			n++
		}
	}
	return n
}

// Packet returns the packet of frame k. mkv is the fragment's media, of which the packet may be a part.
func (pl *Plan) Packet(mkv []byte, k int) []byte {
	if header := pl.Frames[k].HeaderOnly; header != nil {
		return header
	}
	return pl.whole(mkv, k)
}

// whole returns the packet of frame k with all of its data.
func (pl *Plan) whole(mkv []byte, k int) []byte {
	f := &pl.Frames[k]
	if f.packet != nil {
		return f.packet
	}
	b := pl.blocks[f.last]
	return mkv[b.Offset : b.Offset+b.Size]
}
