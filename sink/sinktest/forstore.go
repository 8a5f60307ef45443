package sinktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// ForStore returns a harness for the sink of package sink on an empty store. change may change the sink's
// settings; nil leaves the defaults.
func ForStore(tb testing.TB, h storetest.Harness, change func(*sink.Config)) Harness {
	tb.Helper()
	return ForGroups(tb, h, change, nil)
}

// ForGroups returns a harness as ForStore does, of a sink whose objects hold several images. open returns the images in an object.
func ForGroups(tb testing.TB, h storetest.Harness, change func(*sink.Config), open func(object []byte) ([][]byte, error)) Harness {
	tb.Helper()
	config := sink.DefaultConfig()
	config.Name = "thumbs"
	if change != nil {
		change(&config)
	}
	trouble := &Trouble{}
	out, err := sink.New(config, Store(h.Store, trouble), sink.Options{RunID: "run-7"})
	if err != nil {
		tb.Fatal(err)
	}
	objects := func(ctx context.Context) (map[string][]byte, error) { return Objects(ctx, h) }
	return Harness{
		Open:    func(string) pipeline.Sink { return out.NewWriter() },
		Objects: objects,
		Images: func(ctx context.Context) (map[string][]byte, error) {
			all, err := objects(ctx)
			if err != nil {
				return nil, err
			}
			return recorded(all, open)
		},
		Unfinished: h.Unfinished,
		Trouble:    trouble,
	}
}

// Objects returns all objects of a store.
func Objects(ctx context.Context, h storetest.Harness) (map[string][]byte, error) {
	keys, err := h.List(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, key := range keys {
		if all[key], err = h.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// recorded returns the images in manifest parts, by ID. A record that does not match its object is an error.
func recorded(objects map[string][]byte, open func(object []byte) ([][]byte, error)) (map[string][]byte, error) {
	images := map[string][]byte{}
	for key, part := range objects {
		if !strings.Contains(key, "/manifest/") {
			continue
		}
		for line := range bytes.Lines(part) {
			var r sink.ManifestRecord
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("read %s: %w", key, err)
			}
			body, there := objects[r.Key]
			if !there {
				return nil, fmt.Errorf("%s names %s: %w", key, r.Key, fs.ErrNotExist)
			}
			inside := [][]byte{body}
			if open != nil {
				var err error
				if inside, err = open(body); err != nil {
					return nil, fmt.Errorf("open %s: %w", r.Key, err)
				}
			}
			i := slices.IndexFunc(inside, func(image []byte) bool {
				sum := sha256.Sum256(image)
				return hex.EncodeToString(sum[:]) == r.SHA256 && int64(len(image)) == r.Bytes
			})
			if i < 0 {
				return nil, fmt.Errorf("%s names an image of %s that it does not hold", key, r.Key)
			}
			images[ID(media.FrameInfo{Stream: r.Stream, FragmentNumber: r.FragmentNumber, Index: r.FrameIndex})] = inside[i]
		}
	}
	return images, nil
}
