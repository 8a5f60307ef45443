package main

import "time"

// reading is how far a stream is at a moment.
type reading struct {
	at     time.Time
	frames int64
	// media is the place on the clock of the media, zero before the first fragment. share is the part of the stream that was read, 0 where
	// its end is not known.
	media time.Time
	share float64
}

// pace is how fast a stream is read.
type pace struct {
	// fps is the number of frames a second, speed that of seconds of media; 0 is unknown.
	fps, speed float64
	// left is the time until the end, 0 if that is not known.
	left time.Duration
}

// Rates are measured over about the last ten seconds, long enough for a fragment of a slow stream to end, and the time left over the last
// minute.
const (
	rateWindow = 10 * time.Second
	leftWindow = time.Minute
	// readEvery is the distance of the readings that are kept.
	readEvery = time.Second
)

// history holds the readings of the last minute.
type history struct{ readings []reading }

func newHistory(first reading) *history { return &history{readings: []reading{first}} }

// add adds a reading and returns the pace.
func (h *history) add(r reading) (p pace) {
	for len(h.readings) > 1 && r.at.Sub(h.readings[1].at) >= leftWindow {
		h.readings = h.readings[1:]
	}
	recent := h.readings[0]
	for _, earlier := range h.readings {
		if r.at.Sub(earlier.at) < rateWindow {
			break
		}
		recent = earlier
	}
	if elapsed := r.at.Sub(recent.at).Seconds(); elapsed > 0 {
		p.fps = float64(r.frames-recent.frames) / elapsed
	}
	for _, earlier := range h.readings { // since the first fragment, if that is later
		if recent.media.IsZero() {
			recent = earlier
		}
	}
	if elapsed := r.at.Sub(recent.at).Seconds(); elapsed > 0 && !recent.media.IsZero() {
		p.speed = max(0, r.media.Sub(recent.media).Seconds()) / elapsed
	}
	first := h.readings[0]
	if read := r.share - first.share; read > 0 {
		p.left = time.Duration((1 - r.share) / read * float64(r.at.Sub(first.at)))
	}
	if last := h.readings[len(h.readings)-1]; r.at.Sub(last.at) >= readEvery || last.media.IsZero() && !r.media.IsZero() {
		h.readings = append(h.readings, r)
	}
	return p
}
