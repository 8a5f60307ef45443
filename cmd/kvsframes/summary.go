package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
)

// summary is what a run came to, or has come to until now; as JSON it is the file that --summary
// writes.
type summary struct {
	Status pipeline.Status `json:"status"`
	// ExitCode is -1 while the run goes on: a run that is killed never looks like one that was done.
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error"`
	// Started and Ended are as media.Timestamp writes them; Ended is empty while the run goes on.
	Started string  `json:"started"`
	Ended   string  `json:"ended"`
	Elapsed float64 `json:"elapsed_s"`
	Version string  `json:"version"`
	// Config is 8 hex digits that stand for all settings, "" when they could not be read.
	Config  string                      `json:"config"`
	Streams map[string]pipeline.Summary `json:"streams"`
	Sinks   map[string]sinkSummary      `json:"sinks"`
}

// sinkSummary is what one sink did, for all streams together.
type sinkSummary struct {
	// Status is failed when an error of the sink's own ended the run of a stream, else that of the
	// run: a sink has all that it should have only when the run is complete.
	Status pipeline.Status `json:"status"`
	Error  string          `json:"error"`
	// Objects and Bytes count what was written, manifest parts too, however often one key was.
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// stillRunning is the exit code of a run that goes on.
const stillRunning = -1

// counted is a sink that counts what it writes.
type counted interface {
	Name() string
	Written() (objects, bytes int64)
}

// journal is what a run comes to. Its methods may be called by several goroutines.
type journal struct {
	started time.Time
	names   []string // of the sinks

	mu      sync.Mutex
	end     summary // status, exit code, error, ended, version and config
	streams map[string]*pipeline.Account
	sinks   []counted
	broken  map[string]error // the first error of each sink that failed
}

// newJournal begins the journal of a run. c is nil when its settings could not be read.
func newJournal(c *config.Config) (*journal, error) {
	j := &journal{started: time.Now(), streams: map[string]*pipeline.Account{}, broken: map[string]error{}}
	j.end = summary{Status: pipeline.StatusRunning, ExitCode: stillRunning, Started: media.Timestamp(j.started), Version: programVersion()}
	if c == nil {
		return j, nil
	}
	for _, s := range c.Sinks {
		j.names = append(j.names, s.Name)
	}
	var err error
	j.end.Config, err = c.Digest()
	return j, err
}

// open begins the account of a stream.
func (j *journal) open(stream string) *pipeline.Account {
	a := pipeline.NewAccount(j.names...)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.streams[stream] = a
	return a
}

// count tells where the numbers of the sinks come from.
func (j *journal) count(sinks []counted) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sinks = sinks
}

// blame notes the sink that is the cause of an error, if one is.
func (j *journal) blame(err error) {
	var sink *pipeline.SinkError
	if !errors.As(err, &sink) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken[sink.Sink] == nil {
		j.broken[sink.Sink] = sink
	}
}

// close ends the journal and returns the summary of the whole run.
func (j *journal) close(status pipeline.Status, code int, err error) summary {
	now := time.Now()
	j.mu.Lock()
	j.end.Status, j.end.ExitCode, j.end.Ended, j.end.Elapsed = status, code, media.Timestamp(now), now.Sub(j.started).Seconds()
	if text := said(err); text != nil {
		j.end.Error = text.Error()
	}
	j.mu.Unlock()
	return j.summary()
}

// summary returns what the run has come to.
func (j *journal) summary() summary {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.end
	if s.Ended == "" {
		s.Elapsed = time.Since(j.started).Seconds()
	}
	s.Streams, s.Sinks = map[string]pipeline.Summary{}, map[string]sinkSummary{}
	for name, a := range j.streams {
		s.Streams[name] = a.Summary()
	}
	for _, name := range j.names {
		s.Sinks[name] = sinkSummary{Status: s.Status}
	}
	for _, c := range j.sinks {
		sum := s.Sinks[c.Name()]
		sum.Objects, sum.Bytes = c.Written()
		s.Sinks[c.Name()] = sum
	}
	for name, err := range j.broken {
		sum := s.Sinks[name]
		sum.Status, sum.Error = pipeline.StatusFailed, err.Error()
		s.Sinks[name] = sum
	}
	return s
}

// json returns the summary as the text of a file.
func (s summary) json() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// maxShownGaps is the number of gaps of one stream that a person is shown; the
// JSON names more.
const maxShownGaps = 20

// print writes the summary for a person. What cannot be written to the screen is
// not worth an error of the run.
func (s summary) print(w io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		printStream(w, name, s.Streams[name])
	}
	fmt.Fprintf(w, "done in %.1f s\n", s.Elapsed)
}

func printStream(w io.Writer, name string, st pipeline.Summary) {
	fmt.Fprintf(w, "%s: %d fragments, %d frames decoded, %s read\n", inLine(name), st.Fragments, st.FramesDecoded, byteCount(st.BytesRead))
	for _, sink := range slices.Sorted(maps.Keys(st.FramesWritten)) {
		skipped := ""
		if n := st.FramesSkipped[sink]; n > 0 {
			skipped = fmt.Sprintf(", %d more were there already", n)
		}
		fmt.Fprintf(w, "  %s: %d images%s\n", sink, st.FramesWritten[sink], skipped)
	}
	if st.FramesConcealed > 0 {
		fmt.Fprintf(w, "  %d of the frames are concealed in part: their records say so\n", st.FramesConcealed)
	}
	if st.Pauses > 0 {
		fmt.Fprintf(w, "  the producer paused %d times\n", st.Pauses)
	}
	for _, g := range st.GapList[:min(len(st.GapList), maxShownGaps)] {
		fmt.Fprintf(w, "  gap: %s%s (frames lost: %d)\n", place(g), inLine(oneLine(g.Detail)), g.FramesLost)
	}
	if more := st.Gaps - maxShownGaps; more > 0 {
		fmt.Fprintf(w, "  %d more gaps: --summary FILE names the first %d\n", more, pipeline.MaxListedGaps)
	}
	if u := st.Undelivered; u.Fragments > 0 {
		fmt.Fprintf(w, "  %d fragments were read and not delivered, from %s to %s\n", u.Fragments, inLine(u.From), inLine(u.To))
	}
	if st.Error != "" {
		fmt.Fprintf(w, "  %s: %s\n", st.Status, inLine(oneLine(st.Error)))
	}
}

// place tells where a gap lies, as the start of a sentence.
func place(g media.Gap) string {
	text := ""
	if g.FragmentNumber != "" { // a gap in time lies between fragments
		text = "fragment " + inLine(g.FragmentNumber) + ": "
	}
	switch {
	case g.FrameIndex == media.WholeFragment:
	case g.FramesLost > 1:
		text += fmt.Sprintf("frames %d to %d: ", g.FrameIndex, g.FrameIndex+g.FramesLost-1)
	default:
		text += fmt.Sprintf("frame %d: ", g.FrameIndex)
	}
	return text
}

// byteCount shows a number of bytes for a person.
func byteCount(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
