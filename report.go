package kvsframes

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// Report describes the fragments of one recording or stream, named by File or Stream. Its JSON is the
// output of `kvsframes inspect --json`.
type Report struct {
	File      string           `json:"file,omitempty" doc:"the file; absent of a stream"`
	Stream    string           `json:"stream,omitempty" doc:"the stream; absent of a file"`
	Fragments []FragmentReport `json:"fragments" doc:"the fragments"`
	Gaps      []GapReport      `json:"gaps" doc:"parts that yielded no fragment"`
	Totals    ReportTotals     `json:"totals" doc:"the sums over the recording"`

	// expected is the time on the producer clock at which the next fragment should start.
	expected time.Time
}

// FragmentReport describes one fragment.
type FragmentReport struct {
	FragmentNumber string      `json:"fragment_number" doc:"the number of the fragment"`
	ProducerTime   *time.Time  `json:"producer_timestamp" doc:"when it begins on the clock of the producer; null when unknown"`
	ServerTime     *time.Time  `json:"server_timestamp" doc:"when it begins on the clock of the server; null when unknown"`
	Codec          string      `json:"codec" doc:"the codec of the video, with profile and level"`
	CodecID        string      `json:"codec_id" doc:"the name of the codec in Matroska"`
	Width          int         `json:"width" doc:"the width in pixels"`
	Height         int         `json:"height" doc:"the height in pixels"`
	VideoFrames    int         `json:"video_frames" doc:"the number of video frames"`
	KeyFrames      int         `json:"key_frames" doc:"how many of them are key frames"`
	GOPFrames      int         `json:"gop_frames" doc:"the length of the longest group of pictures: frames from a key frame to the next one, or to the end of the fragment"`
	FrameRate      float64     `json:"frame_rate" doc:"frames per second; 0 when unknown"`
	DurationMS     int64       `json:"duration_ms" doc:"the duration of the video, in milliseconds"`
	OtherBlocks    int         `json:"other_blocks" doc:"blocks of other tracks"`
	Bytes          int         `json:"bytes" doc:"the size of the fragment"`
	Tags           []media.Tag `json:"tags" doc:"the tags of the fragment, in order; names may repeat"`
	Cut            bool        `json:"cut" doc:"whether the recording ends inside the fragment"`
	LagMS          *int64      `json:"lag_ms" doc:"the distance to the newest fragment of the stream when KVS sent this one; null when unknown"`
	Notes          []string    `json:"notes" doc:"what is conspicuous, for a person"`
}

// GapReport describes a part of the recording that yielded no fragment.
type GapReport struct {
	FragmentNumber string `json:"fragment_number" doc:"the fragment, where it is known"`
	After          int    `json:"after" doc:"the number of fragments before the gap"`
	Reason         string `json:"reason" doc:"what happened, for a person"`
}

// ReportTotals holds the sums over one recording.
type ReportTotals struct {
	Fragments   int   `json:"fragments" doc:"the number of fragments"`
	VideoFrames int   `json:"video_frames" doc:"the number of video frames"`
	KeyFrames   int   `json:"key_frames" doc:"how many of them are key frames"`
	DurationMS  int64 `json:"duration_ms" doc:"the sum of the durations, in milliseconds"`
	Bytes       int64 `json:"bytes" doc:"the bytes that were read"`
	Gaps        int   `json:"gaps" doc:"the number of gaps"`
	Cut         int   `json:"cut" doc:"the number of fragments that are cut"`
}

// NewReport returns the report of a recording or stream of which nothing has been read.
func NewReport(file, stream string) *Report {
	return &Report{File: file, Stream: stream, Fragments: []FragmentReport{}, Gaps: []GapReport{}}
}

// Read adds all fragments and gaps that next returns (see source.Each).
func (r *Report) Read(next func() (*media.Fragment, error)) error {
	return source.Each(next, func(f *media.Fragment) error {
		r.add(f)
		return nil
	}, func(g media.Gap) { r.addGap(GapReport{FragmentNumber: g.FragmentNumber, Reason: g.Detail}) })
}

func (r *Report) addGap(g GapReport) {
	g.After = len(r.Fragments)
	r.Gaps = append(r.Gaps, g)
	r.Totals.Gaps++
}

func (r *Report) add(f *media.Fragment) {
	fr := FragmentReport{FragmentNumber: f.Number, Bytes: len(f.MKV), Tags: f.Tags, Cut: f.Cut, Notes: []string{}}
	fr.ProducerTime, fr.ServerTime = instant(f.ProducerTime), instant(f.ServerTime)
	if fr.Tags == nil {
		fr.Tags = []media.Tag{}
	}
	if lag := f.MillisBehindNow; lag >= 0 {
		fr.LagMS = &lag // a copy: a pointer into f would keep its media alive
	}
	first, length := fr.video(f)
	fr.DurationMS = length.Milliseconds()
	fr.note(f)
	r.follow(f, &fr, first, length)

	r.Fragments = append(r.Fragments, fr)
	r.Totals.Fragments++
	r.Totals.VideoFrames += fr.VideoFrames
	r.Totals.KeyFrames += fr.KeyFrames
	r.Totals.DurationMS += fr.DurationMS
	if fr.Cut {
		r.Totals.Cut++
	}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// video fills in the facts about the video track. It returns the time of the first frame in presentation
// order and the duration of all frames: up to the last one, plus the mean distance of two frames.
func (fr *FragmentReport) video(f *media.Fragment) (first, length time.Duration) {
	track, ok := f.VideoTrack()
	fr.Codec, fr.CodecID, fr.Width, fr.Height = codecName(track), track.CodecID, track.Width, track.Height
	var last time.Duration
	group := 0
	for _, b := range f.Blocks {
		if !ok || b.Track != track.Number {
			fr.OtherBlocks++
			continue
		}
		if fr.VideoFrames == 0 {
			first, last = b.Time, b.Time
		}
		first, last = min(first, b.Time), max(last, b.Time)
		fr.VideoFrames++
		group++
		if b.Key {
			fr.KeyFrames++
			group = 1
		}
		fr.GOPFrames = max(fr.GOPFrames, group)
	}
	distance := track.DefaultDuration
	if n := fr.VideoFrames - 1; n > 0 && last > first {
		distance = (last - first) / time.Duration(n)
	}
	if distance > 0 {
		fr.FrameRate = float64(time.Second/time.Microsecond) / float64(distance/time.Microsecond)
	}
	if fr.VideoFrames == 0 {
		return 0, 0
	}
	return first, last - first + distance
}

func (fr *FragmentReport) note(f *media.Fragment) {
	if f.Damage != "" {
		fr.Notes = append(fr.Notes, f.Damage)
	} else if f.Cut {
		fr.Notes = append(fr.Notes, "cut")
	}
	if _, ok := f.VideoTrack(); !ok {
		fr.Notes = append(fr.Notes, "no video track")
	} else if fr.VideoFrames == 0 {
		fr.Notes = append(fr.Notes, "no video frames")
	} else if fr.KeyFrames == 0 {
		fr.Notes = append(fr.Notes, "no key frame")
	}
}

// clockSlack is the largest distance between two fragments that counts as jitter.
const clockSlack = 100 * time.Millisecond

// follow notes jumps of the producer clock between fragments. In an open group of pictures the first frame
// may be presented before the timecode of the fragment.
func (r *Report) follow(f *media.Fragment, fr *FragmentReport, first, length time.Duration) {
	if !r.expected.IsZero() && !f.ProducerTime.IsZero() {
		slack := clockSlack
		if fr.FrameRate > 0 {
			slack = max(slack, time.Duration(2*float64(time.Second)/fr.FrameRate))
		}
		switch hole := f.ProducerTime.Add(first).Sub(r.expected); {
		case hole > slack:
			fr.Notes = append(fr.Notes, fmt.Sprintf("%s missing before it", hole.Round(time.Millisecond)))
		case hole < -slack:
			fr.Notes = append(fr.Notes, fmt.Sprintf("starts %s before the end of the last one", (-hole).Round(time.Millisecond)))
		}
	}
	r.expected = time.Time{}
	if length > 0 && !f.ProducerTime.IsZero() {
		r.expected = f.ProducerTime.Add(first + length)
	}
}

// codecName returns the common name of a track's codec, with profile and level where the codec data has
// them.
func codecName(t media.Track) string {
	private := t.CodecPrivate
	switch t.CodecID {
	case "":
		return "-"
	case "V_MPEG4/ISO/AVC":
		if len(private) < 4 { // AVCDecoderConfigurationRecord, ISO/IEC 14496-15
			return "H.264"
		}
		return fmt.Sprintf("H.264 %s %d.%d", h264Profile(private[1], private[2]), private[3]/10, private[3]%10)
	case "V_MPEGH/ISO/HEVC":
		if len(private) < 13 { // HEVCDecoderConfigurationRecord, ISO/IEC 14496-15
			return "H.265"
		}
		profile := map[byte]string{1: "Main", 2: "Main 10", 3: "Main Still Picture"}[private[1]&0x1f]
		return strings.TrimSpace(fmt.Sprintf("H.265 %s", profile)) + fmt.Sprintf(" %d.%d", private[12]/30, private[12]%30/3)
	case "V_MS/VFW/FOURCC":
		if len(private) < 20 { // BITMAPINFOHEADER, biCompression
			return t.CodecID
		}
		return fourCC(binary.BigEndian.Uint32(private[16:20])) + " (VfW)"
	}
	return t.CodecID
}

// h264Profile returns the name of a profile (ITU-T H.264, A.2).
func h264Profile(profile, constraints byte) string {
	const set1 = 0x40
	switch {
	case profile == 66 && constraints&set1 != 0:
		return "Constrained Baseline"
	case profile == 66:
		return "Baseline"
	case profile == 77:
		return "Main"
	case profile == 88:
		return "Extended"
	case profile == 100:
		return "High"
	case profile == 110:
		return "High 10"
	case profile == 122:
		return "High 4:2:2"
	case profile == 244:
		return "High 4:4:4"
	}
	return fmt.Sprintf("profile %d", profile)
}

func fourCC(v uint32) string {
	b := binary.BigEndian.AppendUint32(nil, v)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '.'
		}
	}
	return string(b)
}
