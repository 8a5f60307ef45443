package sinktest_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/internal/npy"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/batch"
	"github.com/kvsframes/kvsframes/sink/parquet"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/sink/sinktest"
	"github.com/kvsframes/kvsframes/sink/sprite"
	"github.com/kvsframes/kvsframes/sink/storetest"
	"github.com/kvsframes/kvsframes/sink/webdataset"
)

// form is a form of objects that hold several images.
type form struct {
	groups   sink.Groups
	ifExists sink.IfExists
	parts    time.Duration // of the manifest
	// prepare makes an image of the suite one that the form takes, see sinktest.Harness.
	prepare func(*media.Image)
	// open returns the images in an object.
	open func(object []byte) ([][]byte, error)
}

// forms are all forms, with groups of several sizes: inside a fragment, over fragments, and at the border of each.
func forms() map[string]form {
	few, grid, small := sink.DefaultGroup(), sink.DefaultGroup(), sink.DefaultGroup()
	few.Count, grid.Every, small.Size = 7, 4*time.Second, 5000
	one := sink.DefaultGroup()
	one.Count = 1
	all := map[string]form{}
	for name, g := range map[string]sink.Group{"count": few, "skip": few, "one image": one, "grid": grid, "size": small} {
		ifExists := sink.IfExistsOverwrite
		if name == "skip" {
			ifExists = sink.IfExistsSkip
		}
		f := webdataset.DefaultForm()
		f.Group = g
		parts := time.Duration(0)
		if name == "one image" || name == "size" {
			parts = 4 * time.Second
		}
		all["webdataset, "+name] = form{f.Groups(), ifExists, parts, nil, openTar}
		q := parquet.DefaultForm()
		q.Group = g
		all["parquet, "+name] = form{q.Groups(), ifExists, parts, nil, openParquet}
		sheet := sprite.DefaultForm()
		sheet.Group, sheet.Format, sheet.Columns = g, decode.FormatPNG, 3 // of PNG, which has the pixels as they were
		all["sprite, "+name] = form{sheet.Groups(), ifExists, parts, asTile, openSheet}
		b := batch.DefaultForm()
		b.Group = g
		all["npy, "+name] = form{b.Groups(), ifExists, parts, asArray, openArray}
		b.Format = decode.FormatYUV4MPEG
		all["yuv4mpeg, "+name] = form{b.Groups(), ifExists, parts, asFrame, openVideo}
	}
	return all
}

// asArray makes an image an npy file of one row of samples.
func asArray(img *media.Image) {
	img.Shape = []int{len(img.Data)}
	img.Data = append(npy.Header(npy.Uint8, img.Shape...), img.Data...)
}

// openArray returns the rows of an npy file.
func openArray(object []byte) ([][]byte, error) {
	var rows, columns int
	_, shape, _ := strings.Cut(string(object[:npy.HeaderSize]), "'shape': ")
	if _, err := fmt.Sscanf(shape, "(%d, %d,)", &rows, &columns); err != nil {
		return nil, err
	}
	if samples := object[npy.HeaderSize:]; len(samples) == rows*columns {
		return slices.Collect(slices.Chunk(samples, columns)), nil
	}
	return nil, fmt.Errorf("%d bytes are not %d rows of %d", len(object), rows, columns)
}

// asFrame makes an image a gray frame of one line.
func asFrame(img *media.Image) { img.Format, img.Width, img.Height = "gray", len(img.Data), 1 }

// openVideo returns the frames of a yuv4mpeg file.
func openVideo(object []byte) (images [][]byte, err error) {
	head, rest, _ := bytes.Cut(object, []byte("\n"))
	var width int
	if _, err := fmt.Sscanf(string(head), "YUV4MPEG2 W%d H1 ", &width); err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		after, ok := bytes.CutPrefix(rest, []byte("FRAME\n"))
		if !ok || len(after) < width {
			return nil, fmt.Errorf("no frame begins with %q", rest[:min(len(rest), 10)])
		}
		images, rest = append(images, after[:width]), after[width:]
	}
	return images, nil
}

// openParquet returns the images in a Parquet file.
func openParquet(object []byte) (images [][]byte, err error) {
	rows, err := pq.Read[struct {
		Image struct {
			Bytes []byte `parquet:"bytes,optional"`
		} `parquet:"image,optional"`
	}](bytes.NewReader(object), int64(len(object)))
	for _, r := range rows {
		images = append(images, r.Image.Bytes)
	}
	return images, err
}

// asTile makes an image a picture of one line, which has as many bytes.
func asTile(img *media.Image) { img.Format, img.Width, img.Height = "rgb24", len(img.Data)/3, 1 }

// openSheet returns what may be the pictures on a sheet of one to three columns: it does not know how many there are.
func openSheet(object []byte) (images [][]byte, err error) {
	sheet, err := png.Decode(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	var pixels []byte
	for y := range sheet.Bounds().Dy() {
		for x := range sheet.Bounds().Dx() {
			c := color.RGBAModel.Convert(sheet.At(x, y)).(color.RGBA)
			pixels = append(pixels, c.R, c.G, c.B)
		}
	}
	for columns := 1; columns <= 3; columns++ {
		if width := sheet.Bounds().Dx(); width%columns == 0 {
			images = slices.AppendSeq(images, slices.Chunk(pixels, 3*width/columns))
		}
	}
	return images, nil
}

// openTar returns the images in a tar file.
func openTar(object []byte) (images [][]byte, err error) {
	for t := tar.NewReader(bytes.NewReader(object)); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return images, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(header.Name, ".json") {
			images = append(images, data)
		}
	}
}

// harness returns a harness for a form.
func (f form) harness(tb testing.TB, h storetest.Harness) sinktest.Harness {
	out := sinktest.ForGroups(tb, h, func(c *sink.Config) {
		c.Groups, c.Destination.IfExists, c.Manifest.Every = &f.groups, f.ifExists, f.parts
	}, f.open)
	out.Prepare = f.prepare
	return out
}

// bucket returns stores in buckets of a real server.
func buckets(tb testing.TB) storetest.Open {
	server := s3test.Start(tb)
	server.Setenv(tb)
	return func(tb testing.TB) storetest.Harness {
		d := s3.DefaultConfig()
		d.Bucket, d.EndpointURL, d.Region, d.ForcePathStyle = server.Bucket(tb), server.Endpoint, server.Region, true
		store, err := s3.Open(tb.Context(), d)
		if err != nil {
			tb.Fatal(err)
		}
		return storetest.Harness{
			Store:      store,
			Get:        func(ctx context.Context, key string) ([]byte, error) { return server.Get(ctx, d.Bucket, key) },
			List:       func(ctx context.Context) ([]string, error) { return server.Keys(ctx, d.Bucket) },
			Unfinished: func(ctx context.Context) ([]string, error) { return server.Uploads(ctx, d.Bucket) },
		}
	}
}

// inMemory returns a store in memory.
func inMemory(testing.TB) storetest.Harness {
	store := sink.NewMem()
	return storetest.Harness{
		Store: store,
		Get: func(_ context.Context, key string) ([]byte, error) {
			object, err := store.Get(key)
			return object.Body, err
		},
		List: func(context.Context) ([]string, error) { return store.Keys(), nil },
	}
}

// TestFormsOfSeveralImagesConform tries forms in memory and, of those with two kinds of group, in folders, which are slow: all when soaking, else some.
func TestFormsOfSeveralImagesConform(t *testing.T) {
	all := forms()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool {
		return !strings.HasSuffix(name, ", count") && !strings.HasSuffix(name, ", skip")
	})
	inFolders := soaktest.Some(t, names, 6)
	for _, name := range soaktest.Some(t, slices.Sorted(maps.Keys(all)), 16) {
		f := all[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for where, open := range map[string]storetest.Open{"memory": inMemory, "folder": folder} {
				if where == "folder" && !slices.Contains(inFolders, name) {
					continue
				}
				t.Run(where, func(t *testing.T) {
					sinktest.Run(t, func(tb testing.TB) sinktest.Harness { return f.harness(tb, open(tb)) })
				})
			}
		})
	}
}

// TestPartsOfSeveralFragmentsConform has an object for each image.
func TestPartsOfSeveralFragmentsConform(t *testing.T) {
	for where, open := range map[string]storetest.Open{"memory": inMemory, "folder": folder, "bucket": buckets(t)} {
		t.Run(where, func(t *testing.T) {
			sinktest.Run(t, func(tb testing.TB) sinktest.Harness {
				return sinktest.ForStore(tb, open(tb), func(c *sink.Config) { c.Manifest.Every = 4 * time.Second })
			})
		})
	}
}

// TestFormsOfSeveralImagesConformInS3 tries one kind of group of each form, and two that replace nothing: all when soaking, else some.
func TestFormsOfSeveralImagesConformInS3(t *testing.T) {
	open := buckets(t)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(forms())), func(name string) bool {
		return !strings.HasSuffix(name, ", count") && name != "npy, skip" && name != "webdataset, skip"
	})
	for _, name := range soaktest.Some(t, names, 4) {
		f := forms()[name]
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(tb testing.TB) sinktest.Harness { return f.harness(tb, open(tb)) })
		})
	}
}

// BenchmarkPacks makes objects of 600 images, of the size of a thumbnail and of a full-size image. It reports the time for each image.
func BenchmarkPacks(b *testing.B) {
	for name, layout := range map[string]sink.Layout{"webdataset": webdataset.DefaultForm().Groups().Layout, "parquet": parquet.DefaultForm().Groups().Layout} {
		for _, size := range []int{15_000, 300_000} {
			b.Run(fmt.Sprintf("%s, %d bytes", name, size), func(b *testing.B) {
				at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
				img := media.Image{FrameInfo: media.FrameInfo{Stream: "cam", FragmentNumber: strings.Repeat("9", 47), ProducerTime: at}, Ext: "jpg", Format: "jpeg", Data: make([]byte, size)}
				const images = 600
				for b.Loop() {
					pack := layout.NewPack(img)
					for i := range images {
						img.Index = i
						record := sink.ManifestRecord{
							FrameRecord: sink.FrameRecord{Stream: img.Stream, FragmentNumber: img.FragmentNumber, FrameIndex: i, ProducerTimestamp: media.Timestamp(at)},
							Key:         "cam/a.tar", Format: "jpeg", Bytes: int64(size), SHA256: fmt.Sprintf("%064x", i*7919), Tags: []media.Tag{{Name: "a", Value: "b"}},
						}
						if _, err := pack.Add(img, record); err != nil {
							b.Fatal(err)
						}
					}
					if _, _, err := pack.End(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*images), "us/image")
			})
		}
	}
}
