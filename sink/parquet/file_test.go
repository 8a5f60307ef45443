package parquet_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/parquet"
)

// sample returns image i, of a size in bytes, with its record.
func sample(i, size int) (media.Image, sink.ManifestRecord) {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(data)
	at := time.UnixMilli(1_772_600_767_089 + int64(i)*1000).UTC()
	info := media.FrameInfo{Stream: "front-door", FragmentNumber: fmt.Sprintf("%047d", 91343852333181432+i), Index: i % 3, ProducerTime: at}
	sum := sha256.Sum256(data)
	return media.Image{FrameInfo: info, Format: "jpeg", Ext: "jpg", Data: data}, sink.ManifestRecord{
		FrameRecord: sink.FrameRecord{
			Stream: info.Stream, FragmentNumber: info.FragmentNumber, FrameIndex: info.Index, ProducerTimestamp: media.Timestamp(at),
			Width: 640, Height: 360, Sink: "table",
		},
		Key: "front-door/20260304T050607_089Z_00000000000000000000000000000091343852333181432_000000.parquet", Format: "jpeg",
		Bytes: int64(size), SHA256: hex.EncodeToString(sum[:]), Config: "0123abcd",
	}
}

func newPack() sink.Pack { return parquet.DefaultForm().Groups().Layout.NewPack(media.Image{}) }

// file returns a file with n images of a size.
func file(tb testing.TB, n, size int) []byte {
	tb.Helper()
	p := newPack()
	var all []byte
	for i := range n {
		pieces, err := p.Add(sample(i, size))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, bytes.Join(pieces, nil)...)
	}
	end, beside, err := p.End()
	if err != nil || len(beside) > 0 {
		tb.Fatal(err, beside)
	}
	return append(all, end...)
}

type read struct {
	Image struct {
		Bytes []byte `parquet:"bytes,optional"`
		Path  string `parquet:"path,optional"`
	} `parquet:"image,optional"`
	FragmentNumber string     `parquet:"fragment_number"`
	SHA256         string     `parquet:"sha256"`
	Producer       *time.Time `parquet:"producer_timestamp,optional,timestamp(microsecond)"`
	Server         *time.Time `parquet:"server_timestamp,optional,timestamp(microsecond)"`
}

// TestFilesHoldLittleButTheImages reads files of one row group and of several. Page statistics alone would add two images for each page
// (shown with parquet-go's defaults: a third more).
func TestFilesHoldLittleButTheImages(t *testing.T) {
	for _, test := range []struct {
		n, size int
		most    float64 // of what is not an image, of the whole
		groups  []int64 // rows of each row group
	}{
		{1, 10, 1, []int64{1}},
		{600, 5_000, 0.05, []int64{600}},
		{600, 20_000, 0.01, []int64{600}},
		{80, 1_000_000, 0.001, []int64{34, 34, 12}},
		{3, 40_000_000, 0.001, []int64{1, 1, 1}},
		{20_001, 100, 1, []int64{10_000, 10_000, 1}},
	} {
		t.Run(fmt.Sprintf("%d images of %d bytes", test.n, test.size), func(t *testing.T) {
			all := file(t, test.n, test.size)
			if more := 1 - float64(test.n*test.size)/float64(len(all)); more > test.most {
				t.Errorf("%.2f %% of the file are no images", 100*more)
			}
			f, err := pq.OpenFile(bytes.NewReader(all), int64(len(all)))
			if err != nil {
				t.Fatal(err)
			}
			var groups []int64
			for _, g := range f.RowGroups() {
				groups = append(groups, g.NumRows())
			}
			if !slices.Equal(groups, test.groups) {
				t.Errorf("row groups of %d rows, want %d", groups, test.groups)
			}
			rows, err := pq.Read[read](bytes.NewReader(all), int64(len(all)))
			if err != nil || len(rows) != test.n {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for i, r := range rows {
				img, record := sample(i, test.size)
				if !bytes.Equal(r.Image.Bytes, img.Data) || r.SHA256 != record.SHA256 || r.FragmentNumber != record.FragmentNumber || !r.Producer.Equal(img.ProducerTime) || r.Server != nil ||
					r.Image.Path != fmt.Sprintf("front-door/%s_%s_%06d.jpg", strings.Replace(img.ProducerTime.Format("20060102T150405.000Z"), ".", "_", 1), img.FragmentNumber, img.Index) {
					t.Fatalf("row %d is of %d bytes, %+v", i, len(r.Image.Bytes), r.Image.Path)
				}
			}
		})
	}
}

func TestTheSameSamplesGiveTheSameBytes(t *testing.T) {
	want := file(t, 400, 300)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !bytes.Equal(file(t, 400, 300), want) {
				t.Error("other bytes")
			}
		})
	}
	all.Wait()
}

// TestOpenFilesNeedLittleMemory has 50 streams with as many images as two row groups hold.
func TestOpenFilesNeedLittleMemory(t *testing.T) {
	const files, images, size = 50, 3000, 20_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	img, record := sample(1, size)
	before := heap()
	var open []sink.Pack
	var most int64
	for range files {
		open = append(open, newPack())
	}
	for i := range images {
		for _, p := range open {
			record.SHA256 = strings.Clone(record.SHA256)
			if _, err := p.Add(img, record); err != nil {
				t.Fatal(err)
			}
		}
		if i%200 == 0 || i == images-1 {
			most = max(most, heap()-before)
		}
	}
	each := most / files
	t.Logf("%d kB for each of %d open files with %d MB of images", each/1000, files, images*size/1_000_000)
	if each > 2_500_000 { // a twelfth of a row group
		t.Errorf("an open file takes %d bytes", each)
	}
	runtime.KeepAlive(open)
}

func TestATimeThatIsNoneIsAnError(t *testing.T) {
	img, record := sample(1, 10)
	record.ProducerTimestamp = "noon"
	if _, err := newPack().Add(img, record); err == nil {
		t.Error("no error")
	}
}
