// Package media defines the types that all stages share: fragment, frame, image, record and gap. It
// imports only the standard library and has no behaviour of its own, so that a stage that uses it depends
// on no other stage.
//
// A source returns Fragments, and a GapError for each fragment that is lost. The decode stage turns a
// Fragment into Images; the FrameInfo of an Image names its frame and the capture time. A sink returns a
// Record for each Image that is durable. A Gap states what could not be delivered, and why.
package media

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Fragment is one chunk of a GetMedia payload: a complete small MKV whose blocks start at a key frame,
// with its number, its clocks and its tags. A plain MKV file is cut into fragments of the same shape.
//
// A Fragment is immutable once a source has returned it: several goroutines may read its slices.
type Fragment struct {
	// Stream is the name of the stream, as in file names and records.
	Stream string
	// Number identifies the fragment within its stream. KVS numbers have 47 decimal digits and grow; they do
	// not fit an integer. The fragments of a plain MKV file have six digits: the index of their first
	// cluster, from 000000.
	Number string
	// ProducerTime and ServerTime are the fragment's timecode on the two clocks of KVS, in UTC, exact to the
	// millisecond. ServerTime is zero when the payload lacks it.
	ProducerTime, ServerTime time.Time
	// ContinuationToken resumes a GetMedia session after this fragment. It is empty when the chunk was cut
	// before it, or came from a file without it.
	ContinuationToken string
	// MillisBehindNow is the distance from this fragment to the newest one of the stream, in milliseconds,
	// or -1 when the payload lacks it.
	MillisBehindNow int64
	// Tags are the fragment's own tags, without those that AWS adds, in order of appearance. Names may repeat.
	Tags []Tag
	// Cut reports whether the payload ended inside this fragment. Blocks then lists the whole blocks that
	// arrived, and MKV ends after the last of them.
	Cut bool
	// CutBlock reports whether the payload ended inside a block of the video track, so that the block is
	// lost. It is set only together with Cut.
	CutBlock bool
	// Damage describes the damage inside the payload that ended the fragment early, and which bytes are lost.
	// It is empty otherwise, and set only together with Cut.
	Damage string
	// From and Until bound the wanted frames by capture time, From inclusive and Until exclusive, on the
	// clock that Clock names. A zero time is no bound. A source sets them where a range begins or ends inside
	// the fragment.
	From, Until time.Time
	// Clock is the clock of From and Until.
	Clock Clock
	// Unwanted reports whether no frame of the fragment is wanted. Sources return such a fragment because
	// later frames may refer to its frames.
	Unwanted bool
	// Timecode is the timecode of the fragment's first cluster: its place on the MKV's own time line, which
	// is independent of the clocks.
	Timecode time.Duration
	// TimeScale is the resolution of the times of the blocks: each stands for any instant within half a
	// step. It is Matroska's TimestampScale, but at least a millisecond where the clocks of KVS place the
	// fragment. It is 0 when the times are exact.
	TimeScale time.Duration
	// Tracks are the tracks of the MKV header, in its order.
	Tracks []Track
	// VideoTrackNumber is the number of the wanted video track; 0 is the first one.
	VideoTrackNumber uint64
	// Blocks are the blocks of all tracks, in file order (decode order).
	Blocks []Block
	// MKV is the fragment as a complete Matroska document.
	MKV []byte
	// Recycle lets the source reuse the memory of MKV for a later fragment. It is nil when the source does
	// not want it. Call it at most once, when no code reads MKV any more.
	Recycle func()
}

// ErrUndecided is the error of decoding a fragment of which a later fragment decides what is wanted, when the stream was
// interrupted before that one came. A later run decodes it.
var ErrUndecided = errors.New("the stream was interrupted before it was clear which frames are wanted")

// ErrReaderClosed is the error of a sink whose reader has closed the pipe. It wants no more, which is no failure.
var ErrReaderClosed = errors.New("the reader has closed the pipe")

// Place is the position of a fragment in its stream.
type Place struct {
	// Number is the fragment's number; "" is before the first one.
	Number string `json:"fragment_number"`
	// ProducerTime and ServerTime are the fragment's start on the two clocks, zero when unknown.
	ProducerTime time.Time `json:"producer_timestamp,omitzero"`
	ServerTime   time.Time `json:"server_timestamp,omitzero"`
}

// At returns the place's time on a clock.
func (p Place) At(c Clock) time.Time {
	if c == ClockServer {
		return p.ServerTime
	}
	return p.ProducerTime
}

// Place returns the fragment's position.
func (f *Fragment) Place() Place { return Place{f.Number, f.ProducerTime, f.ServerTime} }

// Progress is how far the reader of a stream was when another one continues. The zero value is the beginning.
type Progress struct {
	// After is the fragment after which reading continues. If it has no number, reading begins again with First, the
	// first fragment that was read.
	After Place `json:"after"`
	First Place `json:"first"`
	// Wanted is the number of wanted fragments up to After, and Begun the first of them.
	Wanted int   `json:"wanted"`
	Begun  Place `json:"begun"`
}

// CompareNumbers compares two fragment numbers by value: it is negative when a is before b, and 0 when they are equal.
func CompareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
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
	Name  string `json:"name" doc:"the name"`
	Value string `json:"value" doc:"the value"`
}

// TrackType is the kind of a track, numbered as Matroska does (RFC 9559, TrackType).
type TrackType uint8

// The kinds of track that kvsframes uses; it ignores all others.
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
	// CodecID is the Matroska codec ID, such as V_MPEG4/ISO/AVC, cut at its first NUL byte.
	CodecID string
	// CodecPrivate is the codec data (avcC, hvcC); it aliases Fragment.MKV.
	CodecPrivate []byte
	// Width and Height are the size of the coded picture in pixels, 0 when unknown.
	Width, Height int
	// DefaultDuration is the nominal duration of one frame, 0 when unknown.
	DefaultDuration time.Duration
	// Encoded reports whether the payloads are compressed or encrypted by Matroska (ContentEncodings), so
	// that their first bytes are not the codec's. Sources undo compression where they can.
	Encoded bool
	// Encrypted reports whether the payloads are encrypted.
	Encrypted bool
	// Disabled reports whether the track is marked as unused (FlagEnabled).
	Disabled bool
}

// Block is one SimpleBlock or Block of a fragment.
type Block struct {
	// Track is the number of the track that the block belongs to.
	Track uint64
	// Time is the presentation time, relative to the fragment's timecode. It may be negative.
	Time time.Duration
	// Key reports whether the block is marked as a key frame.
	Key bool
	// Offset and Size locate the payload in Fragment.MKV, in bytes.
	Offset, Size int
}

// VideoTrack returns the video track with the number VideoTrackNumber, and false if there is none.
func (f *Fragment) VideoTrack() (Track, bool) {
	for _, t := range f.Tracks {
		if t.Type == TrackVideo && (f.VideoTrackNumber == 0 || f.VideoTrackNumber == t.Number) {
			return t, true
		}
	}
	return Track{}, false
}

// Extent returns the times of the first and the last frame of the video track in presentation order, and
// the number of frames. Without a video track it counts all blocks.
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

// At returns the fragment's timecode on the given clock, or on the producer's if the server's is unknown.
func (f *Fragment) At(c Clock) time.Time {
	if c == ClockServer && !f.ServerTime.IsZero() {
		return f.ServerTime
	}
	return f.ProducerTime
}

// FrameInfo identifies one frame of the video track and its capture time.
type FrameInfo struct {
	// Stream and FragmentNumber name the fragment.
	Stream, FragmentNumber string
	// Index is the frame's index in presentation order within its fragment, from 0. It counts every frame of
	// the video track, sampled or not.
	Index int
	// PTS is the presentation timestamp, relative to the fragment's timecode.
	PTS time.Duration
	// ProducerTime and ServerTime are the frame's capture time on the two clocks: that of the fragment plus
	// PTS. ServerTime is zero when unknown.
	ProducerTime, ServerTime time.Time
	// Key reports whether the frame is a key frame.
	Key bool
}

// At returns the frame's capture time on the given clock, or on the producer's if the server's is unknown.
func (f FrameInfo) At(c Clock) time.Time {
	if c == ClockServer && !f.ServerTime.IsZero() {
		return f.ServerTime
	}
	return f.ProducerTime
}

// Image is one sample, rendered and encoded for one sink.
type Image struct {
	FrameInfo
	// Sink is the name of the sink that the image is for.
	Sink string
	// Format is the format of Data: jpeg, png or npy, or for bare pixels the pixel format.
	Format string
	// Ext is the file name extension for Data, without a dot.
	Ext string
	// ContentType is the media type of Data.
	ContentType string
	// Width and Height are the image's size in pixels.
	Width, Height int
	// Shape is the shape of the array that Data is; nil for a JPEG or PNG. The slice is shared: do not change it.
	Shape []int
	// FullRange reports whether luma and chroma have the full range of values and not the limited one, in raw frames of yuv420p and nv12.
	FullRange bool
	// Concealed reports whether data or a reference was missing, so that the decoder guessed parts of the
	// picture.
	Concealed bool
	// Answers are the requested times that the image answers, in order; empty unless the sink requests times.
	Answers []time.Time
	// Label is the text that sample.file has for these times.
	Label string
	// Tags are the tags of the fragment. The slice is shared: do not change it. They are not known in an image that is made before the end of its
	// fragment.
	Tags []Tag
	// Arrived is when the last byte of the picture was read, if the image was made before the end of its fragment; else zero.
	Arrived time.Time
	// Scores are what a sink that chooses by pixels has measured, and Measured what it decides by; nil for other sinks.
	Scores   []Score
	Measured *Measured
	// Data is the encoded image. It belongs to the receiver of the image. It is empty in an image that was measured and is certainly not chosen.
	Data []byte
}

// Record states that an image is durable at its destination.
type Record struct {
	FrameInfo
	// Sink, Key and Format are the sink that wrote the image, its key and its format.
	Sink, Key, Format string
	// Width and Height are the image's size in pixels, Shape is that of the array that it is, if it is one.
	Width, Height int
	Shape         []int
	// Bytes is the size of the image, SHA256 its digest in lower-case hex.
	Bytes  int64
	SHA256 string
	// Concealed, Answers and Label are those of the image.
	Concealed bool
	Answers   []time.Time
	Label     string
	// Skipped reports whether an object of that key existed and was kept, so that the image was not written.
	// That object equals the image, byte for byte, unless Differs is set; then the record does not describe
	// the object.
	Skipped, Differs bool
	// Tags are the tags of the fragment, Scores those of the image.
	Tags   []Tag
	Scores []Score
}

// Receipt states that all images of one fragment are durable at one sink.
type Receipt struct {
	// Written is the number of images that the sink wrote, Skipped the number of those whose object existed
	// and was kept.
	Written, Skipped int
	// Next, if it has a number, states that of a later fragment a part is durable, too.
	Next Split
	// More reports whether the fragment became durable together with the one after it: no object begins between them, and so no later
	// run can continue there.
	More bool
	// Chosen is the state of the sink's Chooser after the fragment; nil without a Chooser. Sinks leave it unset.
	Chosen json.Marshaler
}

// Split is the place inside a fragment at which an object of several samples ends, and the next one begins. The zero value is none.
type Split struct {
	// Number is the fragment's number.
	Number string `json:"fragment_number"`
	// Index is the frame with which the next object begins. The samples before it are in the object Key.
	Index int    `json:"frame_index"`
	Key   string `json:"key"`
	// Differs reports whether another object of that key was kept in place of theirs, so that they have no records.
	Differs bool `json:"differs,omitzero"`
}

// WholeFragment is the FrameIndex of a Gap that concerns no frame in particular.
const WholeFragment = -1

// Gap is a fragment or a run of frames that could not be delivered, with its reason.
type Gap struct {
	// Stream and FragmentNumber name the fragment. The number is empty when the payload lacks it, and when
	// the gap is outside any fragment.
	Stream, FragmentNumber string
	// FrameIndex is the index of the first of the consecutive missing frames, or WholeFragment.
	FrameIndex int
	// FramesLost is the number of frames known to be missing.
	FramesLost int
	// Sink is the name of the sink that lacks the frames; empty when all sinks do.
	Sink string
	// ProducerTime is the capture time of the first missing frame on the producer's clock; zero when unknown.
	ProducerTime time.Time
	// Until is the first fragment after a hole, whose FragmentNumber is that of the fragment before it. It has no number
	// in other gaps.
	Until Place
	// AskedFor are the times that a sink requested and no frame answers, and AskedPlaces such places, as FRAGMENT@OFFSET.
	AskedFor    []time.Time
	AskedPlaces []string
	// Reason is the kind of the gap.
	Reason GapReason
	// Detail describes in a few words what is missing and why.
	Detail string
}

// String returns the gap as one line for a log.
func (g Gap) String() string {
	frame := ""
	if g.FrameIndex != WholeFragment {
		frame = fmt.Sprintf(" frame %d", g.FrameIndex)
	}
	return fmt.Sprintf("stream %s fragment %s%s: %s (frames lost: %d)", g.Stream, g.FragmentNumber, frame, g.Detail, g.FramesLost)
}

// SourceStats describes the progress of a source and the state of its service.
type SourceStats struct {
	// BytesRead is the number of payload bytes read so far. Bytes that were read twice count twice.
	BytesRead int64
	// Reconnects is how often the stream was opened again.
	Reconnects int
	// Pauses is how often the producer paused.
	Pauses int
	// Lag is the distance of the last fragment from the newest one of a live stream; 0 for others.
	Lag time.Duration
	// Share is the part of the stream that was read, 0 to 1, where the end is known: the size of files, and the limits of the settings. It
	// is 0 where that is not known.
	Share float64
	// Unwanted is the number of fragments that were returned as Unwanted because of their tags.
	Unwanted int
	// AtEnd reports whether the source has ended because a limit of its settings was reached, so that nothing more
	// will follow.
	AtEnd bool
	// Reach states whether the service answers.
	Reach Reach
}

// Reach states whether the service that a source reads answers, and since when.
type Reach struct {
	// Since is when this state began; zero when it has lasted from the start.
	Since time.Time
	// Err is the last error of a service that does not answer as it should. It is nil when the service does,
	// and for a source without a service, such as a file.
	Err error
}

// GapError is returned by a source when a fragment is lost and the stream continues: the caller records
// the gap and asks for the next fragment.
type GapError struct {
	Gap Gap
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *GapError) Error() string { return fmt.Sprintf("read fragment: %s: %v", e.Gap, e.Err) }

// Unwrap returns the cause.
func (e *GapError) Unwrap() error { return e.Err }

// Outcome is the result of decoding one fragment.
type Outcome struct {
	// FramesDecoded is the number of frames that the decoder returned.
	FramesDecoded int
	// FramesConcealed is the number of samples that were delivered although parts of them are guessed.
	FramesConcealed int
	// Gaps are the samples (or the whole fragment) that could not be delivered.
	Gaps []Gap
}
