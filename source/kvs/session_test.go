package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

var quiet = slog.New(slog.DiscardHandler)

// epoch is when the synthetic stream begins, on the producer's clock.
var epoch = time.Date(2026, time.March, 4, 5, 6, 7, 890e6, time.UTC)

const chunkCount = 5

func number(i int) string { return fmt.Sprintf("9134385233318143239268206260774392014626489%04d", i+1) }

func chunk(i int) []byte {
	return kvstest.AppendChunk(nil, kvstest.Chunk{
		FragmentNumber: number(i),
		ProducerTime:   epoch.Add(time.Duration(i) * time.Second),
		ServerTime:     epoch.Add(time.Hour + time.Duration(i)*time.Second),
		Tracks:         []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16}},
		Blocks: []kvstest.Block{
			{Track: 1, Key: true, Data: []byte("first")},
			{Track: 1, Time: 500 * time.Millisecond, Data: []byte("second")},
		},
		ContinuationToken: number(i),
	})
}

func savedPayload() []byte {
	var all []byte
	for i := range chunkCount {
		all = append(all, chunk(i)...)
	}
	return all
}

// endpoint is a server and the handlers of it that have returned.
type endpoint struct {
	url      string
	returned chan string
}

func serve(t *testing.T, h http.Handler) *endpoint {
	t.Helper()
	e := &endpoint{returned: make(chan string, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { e.returned <- r.URL.Path }()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	e.url = srv.URL
	return e
}

// gone waits until a GetMedia handler has returned.
func (e *endpoint) gone() {
	for path := range e.returned {
		if path == "/getMedia" {
			return
		}
	}
}

func emulate(t *testing.T, opts kvstest.Options) (*kvstest.Server, *endpoint) {
	t.Helper()
	opts.Quotas.GetMediaCalls = -1 // tests make more calls in a second than the service takes
	s := kvstest.NewServer(opts)
	if err := s.AddRecording("cam", bytes.NewReader(savedPayload())); err != nil {
		t.Fatal(err)
	}
	return s, serve(t, s.Handler())
}

func awsConfig() aws.Config {
	return aws.Config{
		Region:      "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "session"),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	}
}

func fromEarliest(url string) Config {
	return Config{Stream: "cam", EndpointURL: url, Start: source.StartSelector{Type: source.StartEarliest}}
}

// openSession opens the one session that cfg names.
func openSession(ctx context.Context, awsCfg aws.Config, cfg Config) (*session, error) {
	cfg.AWS = awsCfg
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	s, err := d.Dial(ctx, d.cfg.Start, false)
	if err != nil {
		return nil, err
	}
	return s.(*session), nil
}

// readAll reads a session to its end and closes it.
func readAll(t *testing.T, s *session) []*media.Fragment {
	t.Helper()
	defer s.Close()
	var fragments []*media.Fragment
	for {
		f, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return fragments
		}
		if err != nil {
			t.Fatal(err)
		}
		fragments = append(fragments, f)
	}
}

func TestEachSelectorStartsAtItsFragment(t *testing.T) {
	emulator, e := emulate(t, kvstest.Options{})
	cases := []struct {
		start source.StartSelector
		first int
	}{
		{source.StartSelector{}, chunkCount - 1},
		{source.StartSelector{Type: source.StartNow}, chunkCount - 1},
		{source.StartSelector{Type: source.StartEarliest}, 0},
		{source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: number(1)}, 2},
		{source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: number(chunkCount - 1)}, chunkCount},
		{source.StartSelector{Type: source.StartContinuationToken, ContinuationToken: number(2)}, 3},
		{source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: epoch.Add(2 * time.Second)}, 2},
		{source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: epoch.Add(1999 * time.Millisecond)}, 1},
		{source.StartSelector{Type: source.StartServerTimestamp, Timestamp: epoch.Add(time.Hour + 2*time.Second)}, 2},
	}
	for _, c := range cases {
		for _, stream := range []string{"cam", emulator.StreamARN("cam")} {
			t.Run(fmt.Sprintf("%s %v of %s", c.start.Type, c.start.Timestamp, stream), func(t *testing.T) {
				s, err := openSession(t.Context(), awsConfig(), Config{Stream: stream, EndpointURL: e.url, Start: c.start})
				if err != nil {
					t.Fatal(err)
				}
				fragments := readAll(t, s)
				if len(fragments) != chunkCount-c.first {
					t.Fatalf("%d fragments, want %d", len(fragments), chunkCount-c.first)
				}
				for i, f := range fragments {
					want := epoch.Add(time.Duration(c.first+i) * time.Second)
					if f.Stream != "cam" || f.Number != number(c.first+i) || !f.ProducerTime.Equal(want) || !bytes.Equal(f.MKV, chunk(c.first+i)) {
						t.Errorf("fragment %d is %s %s of %v", i, f.Stream, f.Number, f.ProducerTime)
					}
				}
				if n := s.Stats().BytesRead; n != int64(len(savedPayload())/chunkCount*len(fragments)) {
					t.Errorf("%d bytes read", n)
				}
				if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
					t.Errorf("after the end comes %v", err)
				}
			})
		}
	}
	if n := emulator.Active(); n != 0 {
		t.Errorf("%d handlers are left", n)
	}
}

func TestAnARNGoesToItsOwnRegion(t *testing.T) {
	emulator, e := emulate(t, kvstest.Options{Region: "ap-south-1"})
	cfg := fromEarliest(e.url)
	cfg.Stream = emulator.StreamARN("cam")
	for _, region := range []string{"", "eu-central-1"} {
		awsCfg := awsConfig()
		awsCfg.Region = region
		s, err := openSession(t.Context(), awsCfg, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(readAll(t, s)); n != chunkCount {
			t.Errorf("%d fragments", n)
		}
	}
}

func TestRealRecordingsArriveWhole(t *testing.T) {
	cases := []struct {
		file              string
		fragments, blocks int
		cut               bool
	}{
		{"output_get_media.mkv", 5, 300, false},
		{"output-get-media-non-increasing-timecode.mkv", 12, 358, true},
		{"test_mixed_tags.mkv", 10, 100, false},
		{"clusters.mkv", 8, 444, false},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join("..", "..", "..", "shared", "kvs", c.file)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("no recordings here: %v", err)
			}
			emulator, e := emulate(t, kvstest.Options{})
			if err := emulator.AddFile("real", path); err != nil {
				t.Fatal(err)
			}
			cfg := fromEarliest(e.url)
			cfg.Stream = "real"
			s, err := openSession(t.Context(), awsConfig(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			fragments := readAll(t, s)
			blocks := 0
			for _, f := range fragments {
				blocks += len(f.Blocks)
			}
			last := fragments[len(fragments)-1]
			if len(fragments) != c.fragments || blocks != c.blocks || last.Cut != c.cut {
				t.Errorf("%d fragments, %d blocks, cut: %v; want %d, %d, %v", len(fragments), blocks, last.Cut, c.fragments, c.blocks, c.cut)
			}
		})
	}
}

func TestBytesMayComeOneByOne(t *testing.T) {
	emulator, _ := emulate(t, kvstest.Options{})
	byByte := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		emulator.Handler().ServeHTTP(&byteWriter{ResponseWriter: w}, r)
	}))
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(byByte.url))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, s)); n != chunkCount {
		t.Errorf("%d fragments", n)
	}
}

// byteWriter sends every byte in a chunk of its own.
type byteWriter struct{ http.ResponseWriter }

func (w *byteWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *byteWriter) Write(p []byte) (int, error) {
	flush := http.NewResponseController(w.ResponseWriter).Flush
	for i := range p {
		if _, err := w.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if err := flush(); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// mediaServer answers GetDataEndpoint with its own address and GetMedia by media.
func mediaServer(t *testing.T, media http.HandlerFunc) *endpoint {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/getDataEndpoint" {
			fmt.Fprintf(w, `{"DataEndpoint":"http://%s"}`, r.Host)
			return
		}
		// The body must be read for the server to notice when the client goes.
		_, _ = io.Copy(io.Discard, r.Body)
		media(w, r)
	}))
}

// sendAndHang sends bytes and then nothing more until the client is gone.
func sendAndHang(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(data)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func TestASilentConnectionIsAStall(t *testing.T) {
	half := slices.Concat(chunk(0), chunk(1)[:len(chunk(1))/2])
	e := mediaServer(t, sendAndHang(half))
	cfg := fromEarliest(e.url)
	cfg.StallTimeout = 30 * time.Millisecond
	s, err := openSession(t.Context(), awsConfig(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if f, err := s.Next(t.Context()); err != nil || f.Number != number(0) {
		t.Fatal(f, err)
	}
	begin := time.Now()
	f, err := s.Next(t.Context())
	if err == nil && f.Cut { // what had come of it
		f, err = s.Next(t.Context())
	}
	if !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "stream cam") {
		t.Errorf("got %v, %v, want a stall", f, err)
	}
	if took := time.Since(begin); took < cfg.StallTimeout {
		t.Errorf("the stall was noticed after %v", took)
	}
	e.gone()
	if _, again := s.Next(t.Context()); !errors.Is(again, ErrStalled) {
		t.Errorf("the next call returns %v", again)
	}
}

func TestCancellingEndsAWaitingRead(t *testing.T) {
	for name, data := range map[string][]byte{"before the first byte": nil, "between fragments": chunk(0), "inside a fragment": chunk(0)[:300]} {
		t.Run(name, func(t *testing.T) {
			reading := make(chan struct{})
			hang := sendAndHang(data)
			e := mediaServer(t, func(w http.ResponseWriter, r *http.Request) {
				close(reading)
				hang(w, r)
			})
			s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-reading
				cancel()
			}()
			for err == nil {
				_, err = s.Next(ctx)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			e.gone()
		})
	}
}

func TestClosingEndsAWaitingRead(t *testing.T) {
	e := mediaServer(t, sendAndHang(chunk(0)))
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		_, err := s.Next(t.Context())
		result <- err
	}()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("error is %v", err)
	}
	e.gone()
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := mediaServer(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := openSession(ctx, awsConfig(), fromEarliest(e.url)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	e.gone()
}

func TestASessionOutlivesTheContextThatOpenedIt(t *testing.T) {
	_, e := emulate(t, kvstest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := openSession(ctx, awsConfig(), fromEarliest(e.url))
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, s)); n != chunkCount {
		t.Errorf("%d fragments", n)
	}
}

func TestABrokenConnectionIsNoEnd(t *testing.T) {
	e := mediaServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(slices.Concat(chunk(0), chunk(1)[:len(chunk(1))-100]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var numbers []string
	for err == nil {
		var f *media.Fragment
		if f, err = s.Next(t.Context()); err == nil {
			numbers = append(numbers, fmt.Sprint(f.Number, " ", f.Cut))
		}
	}
	if errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the session ends with %v", err)
	}
	if want := []string{number(0) + " false", number(1) + " true"}; !slices.Equal(numbers, want) {
		t.Errorf("fragments are %q, want %q", numbers, want)
	}
}

func TestAnErrorTagEndsTheSession(t *testing.T) {
	e := mediaServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-RequestId", "req-7")
		_, _ = w.Write(slices.Concat(chunk(0), kvstest.AppendChunk(nil, kvstest.Chunk{FragmentNumber: number(1), ErrorID: 4501, ErrorCode: "KEY_DISABLED"})))
	})
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Next(t.Context())
	var tag *payload.ErrorTag
	if !errors.As(err, &tag) || tag.ID != 4501 || !strings.Contains(err.Error(), "stream cam (request id req-7)") {
		t.Errorf("error is %v", err)
	}
}

func TestALostFragmentIsAGapAndTheSessionGoesOn(t *testing.T) {
	e := mediaServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(slices.Concat(kvstest.AppendChunk(nil, kvstest.Chunk{FragmentNumber: number(0), ErrorID: 4000}), chunk(1)))
	})
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	var gap *media.GapError
	if _, err := s.Next(t.Context()); !errors.As(err, &gap) || gap.Gap.FragmentNumber != number(0) {
		t.Errorf("error is %v, want a gap", err)
	}
	if fragments := readAll(t, s); len(fragments) != 1 || fragments[0].Number != number(1) {
		t.Errorf("%d fragments follow", len(fragments))
	}
}
