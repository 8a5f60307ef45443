package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/media"
)

// report is what inspect says of one recording or stream: File or Stream names it.
type report struct {
	File      string           `json:"file,omitempty"`
	Stream    string           `json:"stream,omitempty"`
	Fragments []fragmentReport `json:"fragments"`
	Gaps      []gapReport      `json:"gaps"`
	Totals    totals           `json:"totals"`

	// expected is where on the producer clock the next fragment should start.
	expected time.Time
}

// fragmentReport is what inspect says of one fragment.
type fragmentReport struct {
	FragmentNumber string     `json:"fragment_number"`
	ProducerTime   *time.Time `json:"producer_timestamp"`
	ServerTime     *time.Time `json:"server_timestamp"`
	Codec          string     `json:"codec"`
	CodecID        string     `json:"codec_id"`
	Width          int        `json:"width"`
	Height         int        `json:"height"`
	VideoFrames    int        `json:"video_frames"`
	KeyFrames      int        `json:"key_frames"`
	// GOPFrames is the length of the longest group of pictures: the frames from one key
	// frame up to the next, or to the fragment's end.
	GOPFrames   int         `json:"gop_frames"`
	FrameRate   float64     `json:"frame_rate"` // frames per second, 0 when unknown
	DurationMS  int64       `json:"duration_ms"`
	OtherBlocks int         `json:"other_blocks"`
	Bytes       int         `json:"bytes"`
	Tags        []media.Tag `json:"tags"`
	Cut         bool        `json:"cut"`
	// LagMS is the distance to the newest fragment of the stream when this one was
	// sent; null when unknown.
	LagMS *int64   `json:"lag_ms"`
	Notes []string `json:"notes"`
}

// gapReport is a part of the recording that gave no fragment.
type gapReport struct {
	FragmentNumber string `json:"fragment_number"`
	// After is the number of fragments before it.
	After  int    `json:"after"`
	Reason string `json:"reason"`
}

// totals are the sums over one recording.
type totals struct {
	Fragments   int   `json:"fragments"`
	VideoFrames int   `json:"video_frames"`
	KeyFrames   int   `json:"key_frames"`
	DurationMS  int64 `json:"duration_ms"`
	Bytes       int64 `json:"bytes"`
	Gaps        int   `json:"gaps"`
	Cut         int   `json:"cut"`
}

func (r *report) addGap(g gapReport) {
	g.After = len(r.Fragments)
	r.Gaps = append(r.Gaps, g)
	r.Totals.Gaps++
}

func (r *report) add(f *media.Fragment) {
	fr := fragmentReport{FragmentNumber: f.Number, Bytes: len(f.MKV), Tags: f.Tags, Cut: f.Cut, Notes: []string{}}
	fr.ProducerTime, fr.ServerTime = instant(f.ProducerTime), instant(f.ServerTime)
	if fr.Tags == nil {
		fr.Tags = []media.Tag{}
	}
	if lag := f.MillisBehindNow; lag >= 0 {
		fr.LagMS = &lag // not f's own, which would keep its media
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

// video fills in what the video track tells, and returns the time of its first frame in
// presentation order and the duration of its frames: from that to the last, and one frame
// more at their mean distance.
func (fr *fragmentReport) video(f *media.Fragment) (first, length time.Duration) {
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

func (fr *fragmentReport) note(f *media.Fragment) {
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

// clockSlack is the distance between two fragments that is taken for jitter.
const clockSlack = 100 * time.Millisecond

// follow notes where the producer clock does not go on from fragment to fragment. The first
// frame may be shown before the fragment's own timecode, in an open group of pictures.
func (r *report) follow(f *media.Fragment, fr *fragmentReport, first, length time.Duration) {
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

// codecName is the name of a track's codec as people write it, with profile and
// level where the codec data tells them.
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

// h264Profile names a profile (ITU-T H.264, A.2).
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

// print writes the report as a table that fits a terminal of so many columns; 0 is no terminal.
func (r *report) print(w io.Writer, width int) error {
	table := r.wide()
	if width > 0 && slices.ContainsFunc(table, func(line string) bool { return utf8.RuneCountInString(line) > width }) {
		table = r.narrow()
	}
	fmt.Fprintf(w, "%s\n", inLine(cmp.Or(r.File, r.Stream)))
	for _, line := range table {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(w, "gap after fragment %d: %s %s\n", g.After, inLine(g.FragmentNumber), inLine(oneLine(g.Reason)))
	}
	if r.Stream != "" {
		fmt.Fprintf(w, "lag: %s\n", r.lag())
	}
	_, err := fmt.Fprintf(w, "total: %d fragments, %d video frames, %d key frames, %s of video, %d bytes, %d gaps, %d cut\n",
		r.Totals.Fragments, r.Totals.VideoFrames, r.Totals.KeyFrames, time.Duration(r.Totals.DurationMS)*time.Millisecond, r.Totals.Bytes, r.Totals.Gaps, r.Totals.Cut)
	return err
}

// wide returns the fragments as lines of a table, a line for each.
func (r *report) wide() []string {
	rows := []string{"FRAGMENT\tPRODUCER\tSERVER\tCODEC\tSIZE\tFRAMES\tKEY\tGOP\tFPS\tDURATION\tBYTES\tTAGS\tNOTES"}
	for _, f := range r.Fragments {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%dx%d\t%d\t%d\t%d\t%.2f\t%s\t%d\t%d\t%s",
			inLine(f.FragmentNumber), clock(f.ProducerTime), clock(f.ServerTime), inLine(f.Codec), f.Width, f.Height, f.VideoFrames, f.KeyFrames, f.GOPFrames,
			f.FrameRate, time.Duration(f.DurationMS)*time.Millisecond, f.Bytes, len(f.Tags), inLine(strings.Join(f.Notes, ", "))))
	}
	return aligned(rows)
}

// narrow returns the fragments as lines of a table, for each the number and the producer's clock,
// what it holds with the server's clock as the time since the producer's, and its notes.
func (r *report) narrow() []string {
	heads, rows := []string{"FRAGMENT\tPRODUCER"}, []string{"  CODEC\tSIZE\tFRAMES\tKEY\tGOP\tFPS\tTIME\tBYTES\tSERVER\tTAGS"}
	for _, f := range r.Fragments {
		server := "-"
		if f.ServerTime != nil && f.ProducerTime != nil {
			server = f.ServerTime.Sub(*f.ProducerTime).String()
		}
		heads = append(heads, inLine(f.FragmentNumber)+"\t"+clock(f.ProducerTime))
		rows = append(rows, fmt.Sprintf("  %s\t%dx%d\t%d\t%d\t%d\t%.2f\t%s\t%d\t%s\t%d",
			inLine(f.Codec), f.Width, f.Height, f.VideoFrames, f.KeyFrames, f.GOPFrames, f.FrameRate, time.Duration(f.DurationMS)*time.Millisecond, f.Bytes, server, len(f.Tags)))
	}
	heads, rows = aligned(heads), aligned(rows)
	var lines []string
	for i := range heads {
		if lines = append(lines, heads[i], rows[i]); i > 0 && len(r.Fragments[i-1].Notes) > 0 {
			lines = append(lines, "  "+inLine(strings.Join(r.Fragments[i-1].Notes, ", ")))
		}
	}
	return lines
}

// aligned returns rows of cells that end with tabs as lines with their cells below each other.
func aligned(rows []string) []string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(rows, "\n"))
	t.Flush() // a strings.Builder takes everything
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// lag says how far behind the newest fragment of the stream the last one is.
func (r *report) lag() string {
	if len(r.Fragments) == 0 {
		return "unknown, no fragment has come (--start EARLIEST reads what is stored)"
	}
	last := r.Fragments[len(r.Fragments)-1].LagMS
	if last == nil {
		return "unknown"
	}
	return (time.Duration(*last) * time.Millisecond).String()
}

func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
