package kvstest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// timed is an answer with the times at which its bytes arrived.
type timed struct {
	data []byte
	// arrivals[i] states that the first size bytes had arrived at the time at.
	arrivals []arrival
}

type arrival struct {
	size int
	at   time.Time
}

// readTimed reads an answer to its end. It is read in small pieces, so that bytes that came apart are not counted together.
func readTimed(t *testing.T, body io.Reader) timed {
	t.Helper()
	var got timed
	for buffer := make([]byte, 64); ; {
		n, err := body.Read(buffer)
		if n > 0 {
			got.data = append(got.data, buffer[:n]...)
			got.arrivals = append(got.arrivals, arrival{len(got.data), time.Now()})
		}
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// at returns when the byte at an offset arrived.
func (g timed) at(offset int) time.Time {
	i, _ := slices.BinarySearchFunc(g.arrivals, offset+1, func(a arrival, n int) int { return a.size - n })
	return g.arrivals[i].at
}

// last returns when the last byte of a text arrived, since begin.
func (g timed) last(t *testing.T, text string, begin time.Time) time.Duration {
	t.Helper()
	i := bytes.Index(g.data, []byte(text))
	if i < 0 {
		t.Fatalf("%q did not arrive", text)
	}
	return g.at(i + len(text) - 1).Sub(begin)
}

// pipes is a network within the process, on which time can be virtual.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

// inBubble serves s on a network within the process until the test ends, and returns a function that makes a call and reads its answer.
func inBubble(t *testing.T, s *Server) func(call) timed {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: s.Handler()}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(p) }) // ended by Close
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			p.conns <- there
			return here, nil
		},
	}}
	t.Cleanup(func() {
		_ = srv.Close()
		serving.Wait()
	})
	return func(c call) timed {
		t.Helper()
		resp, err := client.Do(c.request(t, "http://kvs.test"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("answer is %s", resp.Status)
		}
		return readTimed(t, resp.Body)
	}
}

// wantTimes checks when the last bytes of texts arrive.
func wantTimes(t *testing.T, got timed, begin time.Time, want map[string]time.Duration) {
	t.Helper()
	for text, at := range want {
		if came := got.last(t, text, begin); came != at*time.Millisecond {
			t.Errorf("%q came after %v, want %v", text, came, at*time.Millisecond)
		}
	}
}

const fromNow = `{"StartSelectorType":"NOW"}`

// bframes are blocks in the order of decoding: the second one is shown after the next two.
func bframes(name string) []Block {
	var blocks []Block
	for i, ms := range []time.Duration{0, 120, 40, 80, 240, 160, 200} {
		blocks = append(blocks, Block{Track: 1, Key: i == 0, Time: ms * time.Millisecond, Data: []byte(name + string(rune('0'+i)))})
	}
	return blocks
}

// TestRealtimeSendsEachBlockInItsTime reads streams on a virtual clock, on which nothing takes time but waiting.
func TestRealtimeSendsEachBlockInItsTime(t *testing.T) {
	chunks, steady := synthetic(3)
	number := []string{syntheticNumber(0), syntheticNumber(1), syntheticNumber(2)}
	at := func(ms int64, c Chunk) []byte {
		c.ProducerTime, c.ServerTime = epoch.Add(time.Duration(ms)*time.Millisecond), epoch
		return AppendChunk(nil, c)
	}
	two := func(name string, second time.Duration) []Block {
		return []Block{{Track: 1, Key: true, Data: []byte(name + "0")}, {Track: 1, Time: second * time.Millisecond, Data: []byte(name + "1")}}
	}
	cases := []struct {
		name      string
		recording []byte
		opts      Options
		// start is the selector; the call is made after the time late.
		start   string
		late    time.Duration
		faults  []string
		want    map[string]time.Duration // in ms
		skipped int                      // of three fragments
		end     time.Duration
	}{
		{
			name: "a steady camera", recording: steady, start: fromEarliest,
			want: map[string]time.Duration{
				number[0]: 0, "chunk 0 block 0": 0, "chunk 0 block 1": 250, "chunk 0 block 2": 500, "chunk 0 block 3": 750,
				number[1]: 1000, "chunk 1 block 0": 1000, "chunk 1 block 3": 1750, number[2]: 2000, "chunk 2 block 3": 2750,
			},
			end: 6 * time.Second,
		},
		{
			name: "NOW is the fragment that is arriving", recording: steady, start: fromNow, late: 1600 * time.Millisecond, skipped: len(chunks[0]),
			want: map[string]time.Duration{number[1]: 1600, "chunk 1 block 2": 1600, "chunk 1 block 3": 1750, number[2]: 2000},
			end:  6 * time.Second,
		},
		{
			name: "what is over is sent at once", recording: steady, start: fromEarliest, late: time.Minute,
			want: map[string]time.Duration{number[0]: 60000, "chunk 0 block 3": 60000, "chunk 2 block 3": 60000},
			end:  63 * time.Second,
		},
		{
			name: "B-frames", start: fromEarliest,
			recording: slices.Concat(at(0, Chunk{FragmentNumber: "1", Blocks: bframes("a")}), at(280, Chunk{FragmentNumber: "2", Blocks: bframes("b"), ContinuationToken: "the end"})),
			want: map[string]time.Duration{
				"a0": 0, "a1": 120, "a2": 120, "a3": 120, "a4": 240, "a5": 240, "a6": 240, "b0": 280, "b1": 400, "b3": 400, "b6": 520, "the end": 560,
			},
			end: 3560 * time.Millisecond,
		},
		{
			name: "closing tags follow when the fragment is whole", start: fromEarliest,
			recording: slices.Concat(
				at(0, Chunk{FragmentNumber: "1", Blocks: two("a", 500), TrailingTags: []media.Tag{{Name: "mine", Value: "trailing"}}, ContinuationToken: "first"}),
				at(1000, Chunk{FragmentNumber: "2", Blocks: two("b", 400), ContinuationToken: "before a pause"}),
				at(3000, Chunk{FragmentNumber: "3", Blocks: two("c", 500)[:1], ContinuationToken: "of one frame"}),
				at(4000, Chunk{FragmentNumber: "4", Blocks: two("d", 500), ContinuationToken: "last"})),
			want: map[string]time.Duration{
				"a1": 500, "trailing": 1000, "first": 1000, "b1": 1400, "before a pause": 1800, "c0": 3000, "of one frame": 4000, "d0": 4000, "last": 5000,
			},
			end: 8 * time.Second,
		},
		{
			name: "frames before the fragment's start, and after that of the next", start: fromEarliest,
			recording: slices.Concat(
				at(0, Chunk{FragmentNumber: "1", Timecode: time.Second, Blocks: two("a", -40)}),
				at(1000, Chunk{FragmentNumber: "number of 2", Timecode: time.Second, Blocks: two("b", 1100)}),
				at(2000, Chunk{FragmentNumber: "number of 3", Timecode: time.Second, Blocks: two("c", 500), ContinuationToken: "last"})),
			want: map[string]time.Duration{"a0": 0, "a1": 0, "number of 2": 1000, "b1": 2100, "number of 3": 2100, "c0": 2100, "c1": 2500, "last": 3000},
			end:  6 * time.Second,
		},
		{
			name: "NOW is the fragment whose last frame is still to come", start: fromNow, late: 1050 * time.Millisecond,
			recording: slices.Concat(
				at(0, Chunk{FragmentNumber: "number of 1", Blocks: two("a", 1100)}),
				at(1000, Chunk{FragmentNumber: "number of 2", Blocks: two("b", 500)})),
			want: map[string]time.Duration{"number of 1": 1050, "a0": 1050, "a1": 1100, "number of 2": 1100, "b0": 1100, "b1": 1500},
			end:  5 * time.Second,
		},
		{
			name: "a stall counts bytes, and later blocks keep their times", recording: steady, start: fromEarliest, faults: []string{"stall:bytes=400,for=600ms"},
			want: map[string]time.Duration{"chunk 0 block 1": 250, "chunk 0 block 2": 1100, number[1]: 1100, "chunk 1 block 1": 1250},
			end:  6 * time.Second,
		},
		{
			name: "a slow link delays", recording: steady, start: fromEarliest, opts: Options{Link: Link{Latency: 100 * time.Millisecond}},
			want: map[string]time.Duration{"chunk 0 block 0": 100, "chunk 0 block 1": 250},
			end:  6 * time.Second,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.opts.Pace = PaceRealtime
				e := &emulator{Server: NewServer(c.opts)}
				begin := time.Now()
				e.add(t, "cam", c.recording)
				setFaults(t, e, c.faults...)
				get := inBubble(t, e.Server)
				time.Sleep(c.late)
				got := get(getMedia(c.start))
				wantTimes(t, got, begin, c.want)
				if !bytes.Equal(got.data, c.recording[c.skipped:]) {
					t.Errorf("%d bytes came, which are not those of the recording", len(got.data))
				}
				if ended := time.Since(begin); ended != c.end {
					t.Errorf("the session ended after %v, want %v", ended, c.end)
				}
			})
		})
	}
}

// TestARealtimeCutIsAtItsByteAndTime has a cut by bytes and one by time in the middle of a fragment.
func TestARealtimeCutIsAtItsByteAndTime(t *testing.T) {
	chunks, saved := synthetic(2)
	third := bytes.Index(saved, []byte("chunk 0 block 2"))
	for text, want := range map[string]struct {
		last  string
		bytes int
		after time.Duration
	}{
		fmt.Sprint("cut:clean,bytes=", third+3): {"chu", third + 3, 500 * time.Millisecond},
		"cut:clean,after=600ms":                 {"chunk 0 block 2", third + len("chunk 0 block 2"), 600 * time.Millisecond},
		"cut:clean,after=1400ms":                {"chunk 1 block 1", len(chunks[0]) + bytes.Index(chunks[1], []byte("block 1")) + 7, 1400 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &emulator{Server: NewServer(Options{Pace: PaceRealtime})}
			e.add(t, "cam", saved)
			setFaults(t, e, text)
			begin := time.Now()
			got := inBubble(t, e.Server)(getMedia(fromEarliest))
			if !bytes.Equal(got.data, saved[:want.bytes]) || !bytes.HasSuffix(got.data, []byte(want.last)) {
				t.Errorf("%s: %d bytes came, want %d", text, len(got.data), want.bytes)
			}
			if took := time.Since(begin); took != want.after {
				t.Errorf("%s: it came after %v", text, took)
			}
		})
	}
}

// TestRealtimeSendsRecordingsFrameByFrame plays recordings of encoders, and compares the times of their blocks with what another parser
// reads of what was sent.
func TestRealtimeSendsRecordingsFrameByFrame(t *testing.T) {
	const jitter = 90 * time.Millisecond
	for _, name := range []string{"bframes.mkv", "opengop.mkv", "lists-pyramid.mkv", "hevc-open.mkv", "longgop.mkv"} {
		var delays [2][]time.Duration
		for run, most := range []time.Duration{0, jitter, jitter} {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(Options{Pace: PaceRealtime, Jitter: most, IdleEnd: time.Hour})
				begin := time.Now()
				if err := s.AddFile("cam", filepath.Join("..", "decode", "testdata", name)); err != nil {
					t.Fatal(err)
				}
				got := inBubble(t, s)(getMedia(fromEarliest))
				late := checkBlocks(t, name, got, begin, most)
				if run > 0 {
					delays[run-1] = late
				}
			})
		}
		if !slices.Equal(delays[0], delays[1]) || slices.Max(delays[0]) < jitter/2 || slices.Min(delays[0]) > jitter/2 {
			t.Errorf("%s: blocks are late by %v, and the next time by %v", name, delays[0], delays[1])
		}
	}
}

// checkBlocks checks that no block came before its frame was captured, or more than most later, and returns how late they were.
func checkBlocks(t *testing.T, name string, got timed, begin time.Time, most time.Duration) (late []time.Duration) {
	t.Helper()
	split := payload.NewSplitter(bytes.NewReader(got.data), payload.Config{Chunks: true})
	offset, latest, first := 0, time.Duration(0), time.Time{}
	for {
		f, err := split.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = f.ProducerTime
		}
		if f.MillisBehindNow != 0 {
			t.Errorf("%s: fragment %s is %d ms behind, though it was read as it came", name, f.Number, f.MillisBehindNow)
		}
		for i, b := range f.Blocks {
			latest = max(latest, f.ProducerTime.Add(b.Time).Sub(first), f.ProducerTime.Sub(first))
			came := got.at(offset + b.Offset + b.Size - 1).Sub(begin)
			if came < latest || came > latest+most {
				t.Errorf("%s: block %d of fragment %s came after %v, want %v", name, i, f.Number, came, latest)
			}
			late = append(late, came-latest)
		}
		offset += len(f.MKV)
	}
	if offset != len(got.data) || len(late) < 20 {
		t.Errorf("%s: %d blocks in %d of %d bytes", name, len(late), offset, len(got.data))
	}
	return late
}

// TestRealtimeOnASocket reads a connection as it is.
func TestRealtimeOnASocket(t *testing.T) {
	const frame = 40 * time.Millisecond
	var recording []byte
	for i := range 3 {
		recording = AppendChunk(recording, Chunk{
			FragmentNumber: fragmentNumber(i), ProducerTime: epoch.Add(time.Duration(4*i) * frame), ServerTime: epoch,
			Blocks: syntheticBlocks(i, frame), ContinuationToken: fragmentNumber(i),
		})
	}
	s := NewServer(Options{Pace: PaceRealtime, IdleEnd: frame})
	url := start(t, s)
	begin := time.Now()
	if err := s.AddRecording("cam", bytes.NewReader(recording)); err != nil {
		t.Fatal(err)
	}
	added := time.Now()
	request := getMedia(fromEarliest).request(t, url)
	conn, err := net.Dial("tcp", request.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := readTimed(t, resp.Body)
	if !bytes.Equal(got.data, recording) {
		t.Errorf("%d bytes came, which are not those of the recording", len(got.data))
	}
	for i := range 3 {
		for j := range 4 {
			block := string(syntheticBlocks(i, frame)[j].Data)
			at := time.Duration(4*i+j) * frame
			// The first byte of a block may not come early, nor the last one late.
			if early := begin.Add(at).Sub(got.at(bytes.Index(recording, []byte(block)))); early > 0 {
				t.Errorf("%s came %v before its time", block, early)
			}
			if late := got.last(t, block, added) - at; late > 10*time.Second {
				t.Errorf("%s came %v after its time", block, late)
			}
		}
	}
}

// TestTheArchiveHasWholeFragmentsAlone asks for fragments while they arrive.
func TestTheArchiveHasWholeFragmentsAlone(t *testing.T) {
	_, saved := synthetic(3)
	synctest.Test(t, func(t *testing.T) {
		e := &emulator{Server: NewServer(Options{Pace: PaceRealtime})}
		e.add(t, "cam", saved)
		get := inBubble(t, e.Server)
		list := call{path: "/listFragments", body: `{"StreamName":"cam","FragmentSelector":{"FragmentSelectorType":"PRODUCER_TIMESTAMP","TimestampRange":{"StartTimestamp":0,"EndTimestamp":4e9}}}`}
		for i := range 4 {
			listed := get(list).data
			for j := range 3 {
				whole := j < i
				if has := bytes.Contains(listed, []byte(syntheticNumber(j))); has != whole {
					t.Errorf("after %d s fragment %d is listed: %v", i, j, has)
				}
				if has := bytes.Contains(get(fragmentList(syntheticNumber(j))).data, []byte("block 3")); has != whole {
					t.Errorf("after %d s the archive gives fragment %d: %v", i, j, has)
				}
			}
			time.Sleep(time.Second)
		}
	})
}
