// Package media holds the words of kvsframes as types: fragment, frame, image,
// record and gap. It imports the standard library alone and has no behaviour
// beyond describing itself, so that every stage can speak it without knowing
// any other stage.
//
// Sources return a Fragment at a time, or a GapError for one that is lost. The
// decode stage makes Images of it, and a FrameInfo says which frame each Image
// shows and when that was captured. Sinks return a Record for each Image that
// is durable, and a Gap states what could not be delivered, and why.
package media

import (
	"fmt"
	"time"
)

// Fragment is one chunk of a GetMedia payload: a complete small MKV with one
// run of blocks that starts at a key frame, its number, its clocks and its
// tags. A plain MKV file is cut into fragments of the same shape.
//
// A Fragment is immutable once a source has handed it on: every slice in it may
// be read by several goroutines and must not be changed.
type Fragment struct {
	// Stream is the name of the stream, as file names and records show it.
	Stream string
	// Number names the fragment within its stream. KVS numbers have 47 decimal
	// digits and grow; they do not fit an integer. Plain MKV files number their
	// fragments by the ordinal of their first cluster, six digits, from 000000.
	Number string
	// ProducerTime and ServerTime are the instants of the fragment's timecode on
	// the two clocks of KVS, in UTC, exact to the millisecond. ServerTime is zero
	// when the payload does not tell it.
	ProducerTime, ServerTime time.Time
	// ContinuationToken resumes a GetMedia session after this fragment. It is
	// empty when the chunk was cut before it, or came from a file without it.
	ContinuationToken string
	// MillisBehindNow is the distance from this fragment to the newest one of
	// the stream, in milliseconds, or -1 when the payload does not tell it.
	MillisBehindNow int64
	// Tags are the fragment's own tags (not the ones that AWS adds), in order
	// of appearance. Names may repeat.
	Tags []Tag
	// Cut reports whether the payload ended inside this fragment. Blocks then lists
	// the whole blocks that did arrive, and MKV ends with the last of them.
	Cut bool
	// CutBlock reports whether the payload ended inside a block of the video track,
	// which is lost. It is set only together with Cut.
	CutBlock bool
	// Damage states what ended the fragment before its end, and which bytes of the payload
	// are lost with it, when that was damage inside the payload. It is empty otherwise, and
	// set only together with Cut.
	Damage string
	// From and Until bound the frames that are wanted, by capture time: from From
	// on and before Until, on the clock that Clock names. A zero time is no bound.
	// A source sets them where a range begins or ends inside the fragment.
	From, Until time.Time
	// Clock is the clock of From and Until.
	Clock Clock
	// Unwanted reports whether no frame of the fragment is wanted. It is handed on all the same,
	// since frames of later ones may refer to its.
	Unwanted bool
	// Timecode is the timecode of the fragment's (first) cluster. It says where
	// the blocks lie on the MKV's own time line and nothing about the clocks.
	Timecode time.Duration
	// TimeScale is the step in which the times of the blocks are told, which stand for any instant
	// within half a step: Matroska's TimestampScale, and a millisecond at least where the
	// clocks of KVS place the fragment. It is 0 when the times are exact.
	TimeScale time.Duration
	// Tracks are the tracks of the MKV header, in its order.
	Tracks []Track
	// VideoTrackNumber is the number of the video track whose frames are wanted; 0 is the
	// first one.
	VideoTrackNumber uint64
	// Blocks are the blocks of all tracks, in file order (decode order).
	Blocks []Block
	// MKV is the fragment as a complete Matroska document.
	MKV []byte
	// Recycle lets the source use the memory of MKV for a later fragment; nil when it has
	// no use for it. Only who knows that nothing of MKV is read any more may call it, once.
	Recycle func()
}

// Clock is one of the two clocks of a fragment.
type Clock string

// The two clocks: the producer's, and the server's at the arrival of the fragment.
const (
	ClockProducer Clock = "producer"
	ClockServer   Clock = "server"
)

// Values returns the two clocks.
func (Clock) Values() []string { return []string{string(ClockProducer), string(ClockServer)} }

// Tag is one name and value that a producer attached to a fragment.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TrackType is the kind of a track, numbered as Matroska does (RFC 9559, TrackType).
type TrackType uint8

// The kinds of track that kvsframes tells apart; all others are ignored.
const (
	TrackVideo TrackType = 1
	TrackAudio TrackType = 2
)

// Track describes one track of a fragment (RFC 9559, TrackEntry).
type Track struct {
	// Number is the number that blocks refer to.
	Number uint64
	// Type is the kind of the track.
	Type TrackType
	// CodecID is the Matroska codec id, such as V_MPEG4/ISO/AVC, cut at its
	// first NUL byte.
	CodecID string
	// CodecPrivate is the codec data (avcC, hvcC); it aliases Fragment.MKV.
	CodecPrivate []byte
	// Width and Height are the coded picture's size in pixels, 0 when untold.
	Width, Height int
	// DefaultDuration is the nominal duration of one frame, 0 when untold.
	DefaultDuration time.Duration
	// Encoded reports whether the payloads are compressed or encrypted at the Matroska
	// level (ContentEncodings), so that their first bytes are not the codec's. Sources undo
	// compression where they can.
	Encoded bool
	// Encrypted reports whether the payloads are encrypted.
	Encrypted bool
	// Disabled reports whether the track is marked as not to be used (FlagEnabled).
	Disabled bool
}

// Block is one SimpleBlock or Block of a fragment.
type Block struct {
	// Track is the number of the track that the block belongs to.
	Track uint64
	// Time is the presentation time, from the fragment's timecode. It may be
	// negative.
	Time time.Duration
	// Key reports whether the block is marked as a key frame.
	Key bool
	// Offset and Size are the place of the payload in Fragment.MKV, in bytes.
	Offset, Size int
}

// VideoTrack returns the video track that VideoTrackNumber names, and false if there is none.
func (f *Fragment) VideoTrack() (Track, bool) {
	for _, t := range f.Tracks {
		if t.Type == TrackVideo && (f.VideoTrackNumber == 0 || f.VideoTrackNumber == t.Number) {
			return t, true
		}
	}
	return Track{}, false
}

// Extent returns the times of the first and the last frame of the video track in
// presentation order, and their number; of all blocks when there is no video.
func (f *Fragment) Extent() (first, last time.Duration, count int) {
	track, video := f.VideoTrack()
	for _, b := range f.Blocks {
		if video && b.Track != track.Number {
			continue
		}
		if count == 0 {
			first, last = b.Time, b.Time
		}
		first, last = min(first, b.Time), max(last, b.Time)
		count++
	}
	return first, last, count
}

// At returns the instant of the fragment's timecode on the given clock; on the
// producer's when the payload did not tell the server's.
func (f *Fragment) At(c Clock) time.Time {
	if c == ClockServer && !f.ServerTime.IsZero() {
		return f.ServerTime
	}
	return f.ProducerTime
}

// FrameInfo names one frame of the video track and says when it was taken.
type FrameInfo struct {
	// Stream and FragmentNumber name the fragment.
	Stream, FragmentNumber string
	// Index is the frame's place in presentation order within its fragment,
	// counting every frame of the video track, sampled or not, from 0.
	Index int
	// PTS is the presentation timestamp, from the start of the fragment (its
	// timecode).
	PTS time.Duration
	// ProducerTime and ServerTime are the frame's capture time on the two
	// clocks: the fragment's plus PTS. ServerTime is zero when unknown.
	ProducerTime, ServerTime time.Time
	// Key reports whether the frame is a key frame.
	Key bool
}

// At returns the frame's capture time on the given clock; on the producer's when
// the payload did not tell the server's.
func (f FrameInfo) At(c Clock) time.Time {
	if c == ClockServer && !f.ServerTime.IsZero() {
		return f.ServerTime
	}
	return f.ProducerTime
}

// Image is one sample, rendered and encoded for one sink.
type Image struct {
	FrameInfo
	// Sink is the name of the sink that asked for it.
	Sink string
	// Format is what Data holds: jpeg, or for raw frames the pixel format.
	Format string
	// Ext is the file name extension that fits Data, without a dot.
	Ext string
	// ContentType is the media type of Data.
	ContentType string
	// Width and Height are the image's size in pixels.
	Width, Height int
	// Concealed reports whether data or a reference was missing, so that parts of the
	// picture are guessed.
	Concealed bool
	// Answers are the times that the image was asked for, in order; empty unless the
	// sink asks for times.
	Answers []time.Time
	// Label is the text that sample.file gives for the times that the image answers.
	Label string
	// Tags are the tags of the fragment. The slice is shared: do not change it.
	Tags []Tag
	// Data is the encoded image. It belongs to the receiver of the image.
	Data []byte
}

// Record states that an image is durable at its destination.
type Record struct {
	FrameInfo
	// Sink, Key and Format say which sink wrote it, where, and as what.
	Sink, Key, Format string
	// Width and Height are the image's size in pixels.
	Width, Height int
	// Bytes is the size of the object, SHA256 its digest in lower-case hex.
	Bytes  int64
	SHA256 string
	// Concealed, Answers and Label are those of the image.
	Concealed bool
	Answers   []time.Time
	Label     string
	// Skipped reports whether an object of that key was there already and was left as it is, so
	// that the image was not written. The object then holds the image all the same, byte for
	// byte, unless Differs is set: in that case the record says nothing of it.
	Skipped, Differs bool
	// Tags are the tags of the fragment.
	Tags []Tag
}

// Receipt states that all images of one fragment are durable at one sink.
type Receipt struct {
	// Written is the number of images that the sink wrote, Skipped that of the images for which an
	// object was there already and was left as it is.
	Written, Skipped int
}

// WholeFragment is the FrameIndex of a Gap that concerns no frame in particular.
const WholeFragment = -1

// Gap is a fragment or a frame that could not be delivered, with its reason.
type Gap struct {
	// Stream and FragmentNumber name the fragment; the number is empty when the
	// payload did not tell it, and when the gap lies in no fragment.
	Stream, FragmentNumber string
	// FrameIndex is the first of the frames that are missing, one after the other, or
	// WholeFragment.
	FrameIndex int
	// FramesLost is the number of frames that are known to be missing.
	FramesLost int
	// Sink is the name of the sink that misses the frames; empty when every sink does.
	Sink string
	// ProducerTime is the capture time of the first missing frame on the producer's clock;
	// zero when it is unknown.
	ProducerTime time.Time
	// AskedFor are the times that a sink asked for and no frame answers.
	AskedFor []time.Time
	// Reason is the kind of the gap, one of a documented list.
	Reason GapReason
	// Detail describes in a few words what is missing and why.
	Detail string
}

// GapReason is the kind of a gap. The values are part of the ledger's format.
type GapReason string

// The reasons of gaps.
const (
	// GapCut: the payload ended inside the fragment.
	GapCut GapReason = "cut"
	// GapDamaged: bytes of the payload could not be read as Matroska, or not decoded.
	GapDamaged GapReason = "damaged"
	// GapSource: KVS reported an error in place of the fragment.
	GapSource GapReason = "source_error"
	// GapMissing: the fragment is not in the stream any more, or was never read.
	GapMissing GapReason = "missing"
	// GapConflict: a fragment number came twice with other content.
	GapConflict GapReason = "conflict"
	// GapOutage: the source could not be read for a time.
	GapOutage GapReason = "outage"
	// GapUnsupported: the video is of a kind that is not decoded (codec, HDR, encryption, size).
	GapUnsupported GapReason = "unsupported"
	// GapNoVideo: the stream has no video track.
	GapNoVideo GapReason = "no_video"
	// GapConcealed: parts of the picture are guessed, and decode.concealed is drop.
	GapConcealed GapReason = "concealed"
	// GapNoFrame: no frame is near enough to a time that was asked for.
	GapNoFrame GapReason = "no_frame"
)

// String returns the gap as one line for a log.
func (g Gap) String() string {
	frame := ""
	if g.FrameIndex != WholeFragment {
		frame = fmt.Sprintf(" frame %d", g.FrameIndex)
	}
	return fmt.Sprintf("stream %s fragment %s%s: %s (frames lost: %d)", g.Stream, g.FragmentNumber, frame, g.Detail, g.FramesLost)
}

// SourceStats tell how far a source has come and how its service behaves.
type SourceStats struct {
	// BytesRead is the number of payload bytes read so far. What was read twice counts twice.
	BytesRead int64
	// Reconnects is how often the stream was opened again after the first time.
	Reconnects int
	// Pauses is how often the producer was seen to have paused.
	Pauses int
	// Unwanted is the number of fragments that were handed on as Unwanted because of their tags.
	Unwanted int
	// Reach states whether the service answers.
	Reach Reach
}

// Reach states whether the service that a source reads answers, and since when.
type Reach struct {
	// Since is when it began to be so; zero when it has been so from the start.
	Since time.Time
	// Err is the last error of a service that does not answer as it should; nil when it
	// does, and for a source without a service, such as a file.
	Err error
}

// GapError is returned by a source when one fragment is lost and the stream goes
// on: the caller notes the gap and asks for the next fragment.
type GapError struct {
	Gap Gap
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *GapError) Error() string { return fmt.Sprintf("read fragment: %s: %v", e.Gap, e.Err) }

// Unwrap returns the cause.
func (e *GapError) Unwrap() error { return e.Err }

// Outcome is what decoding one fragment came to.
type Outcome struct {
	// FramesDecoded is the number of frames that the decoder gave.
	FramesDecoded int
	// FramesConcealed is the number of samples that were delivered although parts of
	// them are guessed.
	FramesConcealed int
	// Gaps are the samples (or the whole fragment) that could not be delivered.
	Gaps []Gap
}
