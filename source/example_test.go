package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// recording is what a saved stream of n fragments of a second looks like.
func recording(n int) []byte {
	var all []byte
	for i := range n {
		all = kvstest.AppendChunk(all, kvstest.Chunk{
			FragmentNumber: fmt.Sprint(i + 1), ContinuationToken: fmt.Sprint(i + 1),
			ProducerTime: time.Unix(int64(i), 0), ServerTime: time.Unix(int64(i)+1, 0),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}},
			Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("a picture")}},
		})
	}
	return all
}

func ExampleOpenFiles() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.WriteFile(filepath.Join(folder, "cam.mkv"), recording(3), 0o600); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	inputs, err := source.OpenFiles(source.Config{Origin: source.FileConfig{Paths: []string{filepath.Join(folder, "*.mkv")}}}, os.Stdin, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range inputs {
		src, err := in.Open(ctx)
		if err != nil {
			log.Fatal(err)
		}
		src = source.WithEnd(src, source.End{Fragments: 2}, media.ClockProducer)
		for {
			f, err := src.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(in.Stream, f.Number)
		}
		if err := src.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// cam 1
	// cam 2
}

// sessions is a Dialer of a service whose sessions are recordings.
type sessions [][]byte

func (s *sessions) Dial(ctx context.Context, _ source.StartSelector, _ bool) (source.Source, error) {
	if len(*s) == 0 {
		return nil, errors.New("the service is gone")
	}
	inputs, err := source.OpenFiles(source.Config{Origin: source.FileConfig{Paths: []string{source.StandardInput}}}, bytes.NewReader((*s)[0]), nil)
	if err != nil {
		return nil, err
	}
	*s = (*s)[1:]
	return inputs[0].Open(ctx)
}

// NewLive makes one stream of sessions that overlap: each fragment comes once.
func ExampleNewLive() {
	src := source.NewLive(&sessions{recording(2), recording(4)}, source.LiveConfig{
		Stream: "cam", Start: source.StartSelector{Type: source.StartEarliest},
	})
	defer src.Close()
	for range 4 {
		f, err := src.Next(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Number)
	}
	fmt.Println(src.Stats().Reconnects, "reconnect")
	// Output:
	// 1
	// 2
	// 3
	// 4
	// 1 reconnect
}
