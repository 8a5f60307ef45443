//go:build cgo

package decode

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// it is what ffmpeg writes

// benchClip names a recording. When it is set the test program is what `make bench` takes
// for the decode stage alone: it decodes every frame of the recording with a pool of
// KVSFRAMES_BENCH_WORKERS, and throws the pictures away. With KVSFRAMES_BENCH_HASHES=true it writes
// the MD5 of each as raw yuv420p instead, in order.
const benchClip = "KVSFRAMES_BENCH_DECODE"

func benchChild() error {
	f, err := os.Open(os.Getenv(benchClip))
	if err != nil {
		return err
	}
	defer f.Close()
	cfg := DefaultConfig()
	cfg.SkipFrame, cfg.Isolation = plan.SkipNone, IsolationNone
	if cfg.Workers, err = strconv.Atoi(os.Getenv("KVSFRAMES_BENCH_WORKERS")); err != nil {
		return err
	}
	pool, err := NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer pool.Close()
	decode := discarding(pool)
	if os.Getenv("KVSFRAMES_BENCH_HASHES") == "true" {
		if decode, err = hashing(pool); err != nil {
			return err
		}
	}
	return eachFragment(f, pool.Workers(), decode)
}

// eachFragment starts a job for each fragment, a few at once, and writes what they
// return in order.
func eachFragment(r io.Reader, workers int, decode func(*media.Fragment) func() (string, error)) error {
	type outcome struct {
		text string
		err  error
	}
	pending := make(chan chan outcome, workers) // one more is under way in the reader below
	var wait sync.WaitGroup
	var first error
	wait.Go(func() {
		for p := range pending {
			out := <-p
			first = errors.Join(first, out.err)
			_, _ = os.Stdout.WriteString(out.text)
		}
	})
	split := payload.NewSplitter(r, payload.Config{Stream: "bench"})
	for {
		f, err := split.Next()
		if err != nil {
			close(pending)
			wait.Wait()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(first, err)
		}
		job, out := decode(f), make(chan outcome, 1)
		pending <- out
		go func() {
			text, err := job()
			out <- outcome{text, err}
		}()
	}
}

// discarding decodes a fragment by a plan that wants every frame fed and none rendered.
func discarding(pool *Pool) func(*media.Fragment) func() (string, error) {
	planner := plan.NewPlanner(plan.SkipNone, nil)
	return func(f *media.Fragment) func() (string, error) {
		pl := planner.Plan(f)
		return func() (string, error) {
			e, err := pool.idle.take(context.Background(), nil)
			if err != nil {
				return "", err
			}
			defer pool.idle.put(e)
			w := e.(*worker)
			w.room = &room{}
			j := newJob(w, newWork(f, pl, nil), nil)
			_, err = w.decode(context.Background(), j, nil)
			if err == nil && j.decoded != len(pl.Frames) {
				err = fmt.Errorf("fragment %s: %d of %d frames", f.Number, j.decoded, len(pl.Frames))
			}
			return "", err
		}
	}
}

// hashing decodes a fragment to its raw frames.
func hashing(pool *Pool) (func(*media.Fragment) func() (string, error), error) {
	s, err := pool.Stream([]Output{{
		Sink: "bench", Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}, Resize: Resize{Fit: FitContain},
		Format: FormatNone, PixelFormat: PixelYUV420P,
	}})
	if err != nil {
		return nil, err
	}
	return func(f *media.Fragment) func() (string, error) {
		decode := s.Plan(f)
		return func() (text string, err error) {
			_, err = decode(context.Background(), func(img media.Image) error {
				text += fmt.Sprintf("%x\n", md5.Sum(img.Data))
				return nil
			})
			return text, err
		}
	}, nil
}
