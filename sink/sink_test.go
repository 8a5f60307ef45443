package sink_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

func newSink(t *testing.T, store sink.Store, change func(c *sink.Config)) *sink.Sink {
	t.Helper()
	c := named("thumbs")
	if change != nil {
		change(&c)
	}
	s, err := sink.New(c, store, sink.Options{RunID: "run-7", Config: "0a1b2c3d"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fragment() *media.Fragment {
	img := picture()
	return &media.Fragment{
		Stream: img.Stream, Number: img.FragmentNumber, ProducerTime: img.ProducerTime, ServerTime: img.ServerTime, Tags: img.Tags,
	}
}

func write(t *testing.T, s *sink.Sink, img media.Image) media.Record {
	t.Helper()
	record, err := sink.WriteImage(s, t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func wantObject(t *testing.T, store *sink.Mem, key, want string) sink.Object {
	t.Helper()
	object, err := store.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if string(object.Body) != want {
		t.Errorf("object %s is\n%s\nwant\n%s", key, object.Body, want)
	}
	return object
}

const pictureKey = "front-door/20260304T050607_089Z_" + fragmentNumber + "_000042.jpg"

func TestWriteStoresTheImageAndSaysSo(t *testing.T) {
	store := sink.NewMem()
	s := newSink(t, store, nil)
	img := picture()
	sum := sha256.Sum256(img.Data)
	want := media.Record{
		FrameInfo: img.FrameInfo, Sink: "thumbs", Key: pictureKey, Format: "jpeg", Width: 640, Height: 360,
		Bytes: 6, SHA256: hex.EncodeToString(sum[:]), Tags: img.Tags,
	}
	if got := write(t, s, img); !reflect.DeepEqual(got, want) {
		t.Errorf("record is %+v\nwant %+v", got, want)
	}
	object := wantObject(t, store, pictureKey, "pixels")
	if object.ContentType != "image/jpeg" {
		t.Errorf("content type is %q", object.ContentType)
	}
}

// bucket is a location in S3 whose objects carry a set of metadata.
func bucket(set s3.MetadataSet) sink.Location {
	to := s3.DefaultConfig()
	to.Bucket, to.MetadataSet = "bbb", set
	return to
}

func TestMetadataOfImages(t *testing.T) {
	kvs := map[string]string{
		"aws_kinesisvideo_fragment_number":    fragmentNumber,
		"aws_kinesisvideo_producer_timestamp": "1772600767089",
		"aws_kinesisvideo_server_timestamp":   "1772600768089",
	}
	full := map[string]string{
		"kvsframes_stream": "t%C3%BCr%20100%25", "kvsframes_sink": "thumbs", "kvsframes_frame_index": "42", "kvsframes_pts_ms": "1400",
		"kvsframes_keyframe": "true", "kvsframes_width": "640", "kvsframes_height": "360", "kvsframes_format": "jpeg", "kvsframes_run_id": "run-7",
	}
	maps.Copy(full, kvs)
	for set, want := range map[s3.MetadataSet]map[string]string{s3.MetadataNone: nil, s3.MetadataKVS: kvs, s3.MetadataFull: full} {
		store := sink.NewMem()
		s := newSink(t, store, func(c *sink.Config) {
			c.Destination.Location = bucket(set)
		})
		img := picture()
		img.Stream = "tür 100%"
		object := wantObject(t, store, write(t, s, img).Key, "pixels")
		if !maps.Equal(object.Metadata, want) {
			t.Errorf("%s: metadata is %v, want %v", set, object.Metadata, want)
		}
	}
}

func TestMetadataLeavesOutAnUnknownClockAndStaysWithinTwoKilobytes(t *testing.T) {
	store := sink.NewMem()
	s := newSink(t, store, func(c *sink.Config) {
		c.Name = strings.Repeat("n", 64)
		c.Destination.Location = bucket(s3.MetadataFull)
	})
	img := picture()
	img.ServerTime = time.Time{}
	img.Stream, img.FragmentNumber, img.Sink = strings.Repeat("ü", 1000), strings.Repeat("9", 1000), strings.Repeat("n", 64)
	object, err := store.Get(write(t, s, img).Key)
	if err != nil {
		t.Fatal(err)
	}
	if value, there := object.Metadata["aws_kinesisvideo_server_timestamp"]; there {
		t.Errorf("the unknown server time is %q", value)
	}
	size := 0
	for name, value := range object.Metadata {
		size += len(name) + len(value)
	}
	if size > 2048 {
		t.Errorf("metadata has %d bytes", size)
	}
}

func TestWhatIsThereAlready(t *testing.T) {
	old := []byte("older bytes")
	for _, test := range []struct {
		ifExists sink.IfExists
		want     string // what is there afterwards
		err      error
	}{
		{sink.IfExistsOverwrite, "pixels", nil},
		{sink.IfExistsSkip, "older bytes", nil},
		{sink.IfExistsFail, "older bytes", sink.ErrExist},
	} {
		store := sink.NewMem()
		if err := store.Put(t.Context(), pictureKey, old, sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = test.ifExists })
		record, err := sink.WriteImage(s, t.Context(), picture())
		if !errors.Is(err, test.err) {
			t.Errorf("%s: write gave %v, want %v", test.ifExists, err, test.err)
		}
		wantObject(t, store, pictureKey, test.want)
		if skipped := test.ifExists == sink.IfExistsSkip; err == nil && (record.Key != pictureKey || record.Skipped != skipped || record.Differs != skipped) {
			t.Errorf("%s: record is %+v", test.ifExists, record)
		}
	}
}

// A record never tells of an object that is another than the image.
func TestSkippedObjectsAreRecordedOnlyWhenTheyAreTheImage(t *testing.T) {
	const part = "front-door/manifest/thumbs/" + fragmentNumber + ".jsonl"
	other := picture()
	other.Index = 43
	otherKey := strings.Replace(pictureKey, "_000042", "_000043", 1)
	for _, test := range []struct {
		name      string
		there     map[string]string
		want      []string // the keys of the part's lines
		untouched bool     // the part that was there
		skipped   int
		objects   int64
	}{
		{"nothing is there", nil, []string{pictureKey, otherKey}, false, 0, 3},
		{"the same image", map[string]string{pictureKey: "pixels", part: "{}"}, []string{pictureKey, otherKey}, false, 1, 2},
		{"another image of that size", map[string]string{pictureKey: "pixel5"}, []string{otherKey}, false, 1, 2},
		{"another image and its part", map[string]string{pictureKey: "older", part: "{}"}, nil, true, 1, 1},
		{"other images alone", map[string]string{pictureKey: "older", otherKey: "older"}, nil, false, 2, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := sink.NewMem()
			for key, body := range test.there {
				if err := store.Put(t.Context(), key, []byte(body), sink.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = sink.IfExistsSkip })
			records := []media.Record{write(t, s, picture()), write(t, s, other)}
			skipped := 0
			for _, r := range records {
				if r.Skipped {
					skipped++
				}
			}
			if err := sink.WritePart(s, t.Context(), fragment(), records); err != nil {
				t.Fatal(err)
			}
			if objects, _ := s.Written(); objects != test.objects || skipped != test.skipped {
				t.Errorf("%d objects written, %d skipped", objects, skipped)
			}
			var lines []string
			object, err := store.Get(part)
			if test.untouched {
				if string(object.Body) != "{}" {
					t.Errorf("the part became %s", object.Body)
				}
				return
			}
			for line := range strings.Lines(string(object.Body)) {
				var r sink.ManifestRecord
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, r.Key)
			}
			if !slices.Equal(lines, test.want) || (err == nil) != (len(test.want) > 0) {
				t.Errorf("the part names %q, want %q (%v)", lines, test.want, err)
			}
		})
	}
}

// fleeting is a store that refuses to replace objects, so many times, of which none is there when
// somebody looks.
type fleeting struct {
	*sink.Mem
	times int
}

func (f *fleeting) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	if f.times > 0 {
		f.times--
		return sink.ErrExist
	}
	return f.Mem.Put(ctx, key, body, opts)
}

func TestAnObjectThatGoesMeanwhileIsNotTakenForTheImage(t *testing.T) {
	for times, want := range map[int]error{1: nil, 2: nil, 9: fs.ErrNotExist} {
		store := &fleeting{Mem: sink.NewMem(), times: times}
		s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = sink.IfExistsSkip })
		record, err := sink.WriteImage(s, t.Context(), picture())
		if !errors.Is(err, want) || record.Skipped {
			t.Errorf("gone %d times: record %+v, error %v", times, record, err)
		}
		if want == nil {
			wantObject(t, store.Mem, pictureKey, "pixels")
		}
	}
}

func TestAManifestThatIsThereAlready(t *testing.T) {
	const key = "front-door/manifest/thumbs/" + fragmentNumber + ".jsonl"
	for ifExists, want := range map[sink.IfExists]error{
		sink.IfExistsOverwrite: nil, sink.IfExistsSkip: nil, sink.IfExistsFail: sink.ErrExist,
	} {
		store := sink.NewMem()
		s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = ifExists })
		record := write(t, s, picture())
		if err := store.Put(t.Context(), key, []byte("older"), sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := sink.WritePart(s, t.Context(), fragment(), []media.Record{record}); !errors.Is(err, want) {
			t.Errorf("%s: commit gave %v, want %v", ifExists, err, want)
		}
		if object, err := store.Get(key); err != nil || (string(object.Body) == "older") != (want != nil) {
			t.Errorf("%s: the manifest is %q (%v)", ifExists, object.Body, err)
		}
	}
}

func TestManifestLines(t *testing.T) {
	store := sink.NewMem()
	s := newSink(t, store, nil)
	second := picture()
	second.FrameInfo.Key = false
	second.Index, second.PTS, second.ServerTime = 43, 1433_999*time.Microsecond, time.Time{}
	second.ProducerTime = second.ProducerTime.In(time.FixedZone("", -7200)).Add(34 * time.Millisecond)
	second.Tags, second.Data, second.Concealed, second.Label, second.Shape = nil, nil, true, "goal", []int{360, 640, 3}
	second.Answers = []time.Time{second.ProducerTime.Truncate(time.Second), second.ProducerTime.Truncate(time.Second).Add(1500 * time.Microsecond)}
	records := []media.Record{write(t, s, second), write(t, s, picture())} // in the wrong order on purpose
	before := slices.Clone(records)
	if err := sink.WritePart(s, t.Context(), fragment(), records); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(records, before) {
		t.Error("commit changed the caller's records")
	}
	want := `{"stream":"front-door","fragment_number":"` + fragmentNumber + `","frame_index":42,` +
		`"producer_timestamp":"2026-03-04T05:06:07.089Z","server_timestamp":"2026-03-04T05:06:08.089Z","pts_ms":1400,"keyframe":true,"concealed":false,` +
		`"width":640,"height":360,"sink":"thumbs","key":"` + pictureKey + `","format":"jpeg","shape":[],"bytes":6,` +
		`"sha256":"6ec9c2b0eb14010746c8bce8939303b382344b296206612eb8a907a37b2b2f37","answers":[],` +
		`"tags":[{"name":"site","value":"a"},{"name":"site","value":"<b>"}],"label":"","scores":[],"config":"0a1b2c3d"}` + "\n" +
		`{"stream":"front-door","fragment_number":"` + fragmentNumber + `","frame_index":43,` +
		`"producer_timestamp":"2026-03-04T05:06:07.123Z","server_timestamp":"","pts_ms":1433,"keyframe":false,"concealed":true,` +
		`"width":640,"height":360,"sink":"thumbs","key":"front-door/20260304T050607_123Z_` + fragmentNumber + `_000043.jpg","format":"jpeg","shape":[360,640,3],"bytes":0,` +
		`"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",` +
		`"answers":["2026-03-04T05:06:07.000Z","2026-03-04T05:06:07.0015Z"],"tags":[],"label":"goal","scores":[],"config":"0a1b2c3d"}` + "\n"
	object := wantObject(t, store, "front-door/manifest/thumbs/"+fragmentNumber+".jsonl", want)
	if object.ContentType != "application/x-ndjson" || object.Metadata != nil {
		t.Errorf("the part is %q with %v", object.ContentType, object.Metadata)
	}
	var back sink.ManifestRecord
	if err := json.Unmarshal(object.Body[:strings.IndexByte(string(object.Body), '\n')], &back); err != nil || back.FrameIndex != 42 {
		t.Errorf("the first line reads as %+v (%v)", back, err)
	}
}

func TestNoRecordAndNoManifestGiveNoPart(t *testing.T) {
	store := sink.NewMem()
	if err := sink.WritePart(newSink(t, store, nil), t.Context(), fragment(), nil); err != nil {
		t.Error(err)
	}
	none := newSink(t, store, func(c *sink.Config) { c.Manifest.Format = sink.ManifestNone })
	if err := sink.WritePart(none, t.Context(), fragment(), []media.Record{{Key: "x"}}); err != nil {
		t.Error(err)
	}
	if keys := store.Keys(); len(keys) != 0 {
		t.Errorf("the store has %q", keys)
	}
}

func TestASinkNeedsAValidConfigAndTheRunsID(t *testing.T) {
	for want, change := range map[string]func(c *sink.Config){
		`set up sink "": name:`:             func(c *sink.Config) { c.Name = "" },
		"a path has {run_id}, and the run":  func(c *sink.Config) { c.Path = "{run_id}/{fragment_number}{frame_index}" },
		"a path has {run_id}, and the run ": func(c *sink.Config) { c.Manifest.Path = "{run_id}/{fragment_number}" },
		"path: does not distinguish frames": func(c *sink.Config) { c.Path = "latest.jpg" },
	} {
		c := named("thumbs")
		change(&c)
		if _, err := sink.New(c, sink.NewMem(), sink.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("new gave %v, want an error with %q", err, want)
		}
	}
}

// slow is a store whose puts wait until they are let go on.
type slow struct {
	*sink.Mem
	entered chan string
	release chan struct{}
}

func (s *slow) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	s.entered <- string(body)
	<-s.release
	return s.Mem.Put(ctx, key, body, opts)
}

func TestNoMoreWritesThanMaxInFlightReachTheStore(t *testing.T) {
	for want, change := range map[int]func(c *sink.Config){
		3: func(c *sink.Config) { c.Destination.MaxInFlight = 3 },
		1: func(c *sink.Config) { c.Path, c.OverwriteExplicit = "latest.jpg", true },
	} {
		store := &slow{Mem: sink.NewMem(), entered: make(chan string, 8), release: make(chan struct{})}
		s := newSink(t, store, change)
		if got := s.MaxInFlight(); got != want || s.Name() != "thumbs" {
			t.Errorf("max in flight is %d, want %d", got, want)
		}
		var wg sync.WaitGroup
		errs := make([]error, want)
		for i := range want {
			wg.Go(func() { _, errs[i] = sink.WriteImage(s, t.Context(), picture()) })
		}
		for range want {
			<-store.entered
		}
		// All places are taken: one more waits, and its context ends the wait.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := sink.WriteImage(s, ctx, picture()); !errors.Is(err, context.DeadlineExceeded) || len(store.entered) != 0 {
			t.Errorf("one write more than %d gave %v and reached the store %d times", want, err, len(store.entered))
		}
		cancel()
		close(store.release)
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	}
}

func TestASecondRunLeavesTheSameFiles(t *testing.T) {
	root := t.TempDir()
	run := func() map[string]string {
		s := newSink(t, openDir(t, root, false), func(c *sink.Config) { c.Path = "{hash2}/" + c.Path })
		var records []media.Record
		for i := range 5 {
			img := picture()
			img.Index, img.Data = i, []byte{byte(i)}
			records = append(records, write(t, s, img))
		}
		if err := sink.WritePart(s, t.Context(), fragment(), records); err != nil {
			t.Fatal(err)
		}
		names, err := files(root)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, name := range names {
			body, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(body)
		}
		return out
	}
	first := run()
	if len(first) != 6 {
		t.Errorf("the first run left %d files, want 5 images and a manifest part", len(first))
	}
	if second := run(); !maps.Equal(first, second) {
		t.Errorf("the second run left %v, want %v", second, first)
	}
}
