package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// sendByBlocks sends payload up to the end of each of some texts in it, and goes on when told has a message.
func sendByBlocks(payload []byte, told <-chan string, texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rest := payload
		for _, text := range texts {
			n := bytes.Index(rest, []byte(text)) + len(text)
			_, _ = w.Write(rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
			select {
			case <-told:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = w.Write(rest)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// A server that sends no byte of the next element before a block was told of shows that its last byte suffices.
func TestABlockIsToldOfAsSoonAsItIsHere(t *testing.T) {
	told := make(chan string, 1)
	e := mediaServer(t, sendByBlocks(append(chunk(0), chunk(1)...), told, "first", "second", "first", "second"))
	cfg := fromEarliest(e.url)
	cfg.AWS = awsConfig()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var calls []string
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ctx := media.WithArrivals(limited, func(f *media.Fragment) {
		last := f.Blocks[len(f.Blocks)-1]
		calls = append(calls, fmt.Sprintf("%s %v %s", f.Number, f.ProducerTime.Add(last.Time).Sub(epoch), f.MKV[last.Offset:]))
		told <- f.Number
	})
	for i := range 2 {
		f, err := s.Next(ctx)
		if err != nil || f.Number != number(i) {
			t.Fatalf("fragment %v, %v", f, err)
		}
	}
	want := []string{number(0) + " 0s first", number(0) + " 500ms second", number(1) + " 1s first", number(1) + " 1.5s second"}
	if got := strings.Join(calls, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	e.goneAfter(t, s)
}

// goneAfter closes a source and waits until its handler has returned.
func (e *endpoint) goneAfter(t *testing.T, s source.Source) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	e.gone()
}

func TestWhyNothingIsToldIsLoggedOnceForAStream(t *testing.T) {
	avi := make([]byte, 41) // BITMAPINFOHEADER, and codec data
	copy(avi[16:], "H264")
	var payload []byte
	for i := range 2 {
		payload = kvstest.AppendChunk(payload, kvstest.Chunk{
			FragmentNumber: number(i), ProducerTime: epoch, ServerTime: epoch, ContinuationToken: number(i),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MS/VFW/FOURCC", CodecPrivate: avi}},
			Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("first")}},
		})
	}
	log, lines := newLines()
	explained := func() int { return strings.Count(lines.String(), "not as they arrive") }
	explains := false
	e := mediaServer(t, func(w http.ResponseWriter, _ *http.Request) {
		half := bytes.Index(payload, []byte("first")) + len("first")
		_, _ = w.Write(payload[:half])
		_ = http.NewResponseController(w).Flush()
		for begun := time.Now(); explains && explained() == 0 && time.Since(begun) < 10*time.Second; { // the reader finds out when it waits
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond) // it waits in the next session, too
		_, _ = w.Write(payload[half:])
	})
	cfg := fromEarliest(e.url)
	cfg.AWS, cfg.Log = awsConfig(), log
	d, err := newDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, arrived := range []func(*media.Fragment){nil, func(f *media.Fragment) { t.Errorf("told of %s", f.Number) }} {
		want := 0
		if explains = arrived != nil; explains {
			want = 1
		}
		for range 2 {
			s, err := d.Dial(t.Context(), earliest, false)
			if err != nil {
				t.Fatal(err)
			}
			ctx := media.WithArrivals(t.Context(), arrived)
			for i := range 2 {
				if f, err := s.Next(ctx); err != nil || f.Number != number(i) {
					t.Fatalf("fragment %v, %v", f, err)
				}
			}
			e.goneAfter(t, s)
		}
		if n := explained(); n != want {
			t.Errorf("logged %d times, want %d: %s", n, want, lines.String())
		}
	}
}

// The part of a fragment that has arrived when a session is cancelled is in the error.
func TestACancelledSessionReturnsThePartOfItsFragment(t *testing.T) {
	begun := chunk(1)[:bytes.Index(chunk(1), []byte("first"))+len("first")]
	e := mediaServer(t, sendAndHang(append(chunk(0), begun...)))
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := s.Next(t.Context()); err != nil || f.Number != number(0) {
		t.Fatalf("fragment %v, %v", f, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = s.Next(media.WithArrivals(ctx, func(*media.Fragment) { cancel() }))
	var part *source.UnfinishedError
	if !errors.As(err, &part) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if f := part.Fragment; f == nil || f.Number != number(1) || !f.Cut || len(f.Blocks) != 1 {
		t.Errorf("the part is %+v", part.Fragment)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("afterwards: %v", err)
	}
	e.goneAfter(t, s)
}
