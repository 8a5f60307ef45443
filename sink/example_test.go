package sink_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// A run makes these calls: the images of a fragment, then its end, which writes the manifest part.
func ExampleSink_NewWriter() {
	ctx := context.Background()
	config, store := sink.DefaultConfig(), sink.NewMem()
	config.Name = "thumbs"
	thumbs, err := sink.New(config, store, sink.Options{})
	if err != nil {
		log.Fatal(err)
	}
	w := thumbs.NewWriter()
	taken := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	img := media.Image{
		FrameInfo: media.FrameInfo{Stream: "front-door", FragmentNumber: "000007", Index: 2, ProducerTime: taken},
		Sink:      "thumbs", Format: "jpeg", Ext: "jpg", ContentType: "image/jpeg", Data: []byte("pixels"),
	}
	if err := w.Write(ctx, img); err != nil {
		log.Fatal(err)
	}
	err = w.EndFragment(ctx, &media.Fragment{Stream: "front-door", Number: "000007"}, func(r media.Receipt) {
		fmt.Println(r.Written, "image is durable and recorded")
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range store.Keys() {
		fmt.Println(key)
	}
	// Output:
	// 1 image is durable and recorded
	// front-door/20260304T050607_000Z_000007_000002.jpg
	// front-door/manifest/thumbs/000007.jsonl
}

// An object of any size is written piece by piece, and is there when it is whole.
func ExampleObjectWriter() {
	directory, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	store, err := sink.OpenDir(directory, false)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := writeNumbers(context.Background(), store, "numbers.txt"); err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(directory + "/numbers.txt")
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// 1
	// 2
	// 3
	// <nil>
}

func writeNumbers(ctx context.Context, store sink.Store, key string) (err error) {
	w, err := store.Create(ctx, key, sink.PutOptions{ContentType: "text/plain"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abandon()) }() // nothing, after Commit
	for i := range 3 {
		if err := w.Write(ctx, fmt.Appendf(nil, "%d\n", i+1)); err != nil {
			return err
		}
	}
	return w.Commit(ctx)
}
