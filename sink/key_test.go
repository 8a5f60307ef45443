package sink_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

const fragmentNumber = "91343852333181432392682062607743920422273571341"

// picture is an image of a real fragment's names and clocks.
func picture() media.Image {
	producer := time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.UTC)
	return media.Image{
		FrameInfo: media.FrameInfo{
			Stream: "front-door", FragmentNumber: fragmentNumber, Index: 42, PTS: 1400 * time.Millisecond, Key: true,
			ProducerTime: producer, ServerTime: producer.Add(time.Second).In(time.FixedZone("", 3600)),
		},
		Sink: "thumbs", Format: "jpeg", Ext: "jpg", ContentType: "image/jpeg", Width: 640, Height: 360,
		Tags: []media.Tag{{Name: "site", Value: "a"}, {Name: "site", Value: "<b>"}},
		Data: []byte("pixels"),
	}
}

func TestKeysOfImages(t *testing.T) {
	change := func(f func(*media.Image)) media.Image {
		img := picture()
		f(&img)
		return img
	}
	for _, test := range []struct {
		name, path string
		img        media.Image
		want       string
	}{
		{"the default path", sink.DefaultConfig().Path, picture(), "front-door/20260304T050607_089Z_" + fragmentNumber + "_000042.jpg"},
		{"every token", "{sink}/{server_time}/{pts_ms}_{width}x{height}/{run_id}.{ext}", picture(), "thumbs/20260304T050608_089Z/1400_640x360/run-7.jpg"},
		{"partitions of Hive", "dt={producer_date}/hour={producer_hour}/site={tag:site}/{fragment_number}.jpg", picture(), "dt=2026-03-04/hour=05/site=a/" + fragmentNumber + ".jpg"},
		{"a date in another zone", "{producer_date}T{producer_hour}", change(func(i *media.Image) { i.ProducerTime = time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600)) }), "2025-12-31T23"},
		{"no date", "{producer_date}/{producer_hour}", change(func(i *media.Image) { i.ProducerTime = time.Time{} }), "unknown/unknown"},
		{"a tag that is missing", "{tag:Site}/{tag:empty}", change(func(i *media.Image) { i.Tags = []media.Tag{{Name: "empty"}, {Name: "empty", Value: "x"}} }), "none/none"},
		{"a tag that wants out", "{tag:site}/x", change(func(i *media.Image) { i.Tags = []media.Tag{{Name: "site", Value: "../../etc/passwd"}} }), "______etc_passwd-3754d6cb/x"},
		{"a name of a tag with signs", "{tag:a b=c:é}{ext}", change(func(i *media.Image) { i.Tags = []media.Tag{{Name: "a b=c:é", Value: "v"}} }), "vjpg"},
		{"no token", "latest.jpg", picture(), "latest.jpg"},
		{"letters of other scripts", "カメラ {stream}.jpg", picture(), "カメラ front-door.jpg"},
		{"an unknown clock", "{server_time}", change(func(i *media.Image) { i.ServerTime = time.Time{} }), "unknown"},
		{"the start of the Unix epoch is a time", "{producer_time}", change(func(i *media.Image) { i.ProducerTime = time.Unix(0, 0) }), "19700101T000000_000Z"},
		{"a time before the fragment", "{pts_ms}", change(func(i *media.Image) { i.PTS = -1500 * time.Microsecond }), "-2"},
		{"more frames than six digits", "{frame_index}", change(func(i *media.Image) { i.Index = 1234567 }), "1234567"},
		{"an empty name", "{stream}/{ext}", change(func(i *media.Image) { i.Stream, i.Ext = "", "" }), "unknown/unknown"},
		{"a stream that wants out", "{stream}/x", change(func(i *media.Image) { i.Stream = "../../etc/passwd" }), "______etc_passwd-3754d6cb/x"},
		{"a stream that is a dot", "{stream}/x", change(func(i *media.Image) { i.Stream = "." }), "_-cdb4ee2a/x"},
		{"a stream with control characters", "{stream}", change(func(i *media.Image) { i.Stream = "a\x00b\nc\u202ed" }), "a_b_c_d-0750914e"},
		{"a stream with a backslash", "{stream}", change(func(i *media.Image) { i.Stream = `C:\cam` }), "C:_cam-8a42259a"},
		{"a stream that is no text", "{stream}", change(func(i *media.Image) { i.Stream = "cam\xff" }), "cam_-6992d69d"},
		{"a stream like an unfinished file", ".{stream}", change(func(i *media.Image) { i.Stream = "kvsframes-tmp-1" }), "_kvsframes-tmp-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			template, err := sink.ParsePath(test.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := template.Image(test.img, "run-7"); got != test.want {
				t.Errorf("key is %q, want %q", got, test.want)
			}
		})
	}
}

func TestHash2IsTheFirstByteOfTheHashOfTheRest(t *testing.T) {
	template, err := sink.ParsePath("{hash2}/{stream}/{frame_index}.{ext}")
	if err != nil {
		t.Fatal(err)
	}
	// printf '/front-door/000042.jpg' | sha256sum
	if got, want := template.Image(picture(), ""), "e0/front-door/000042.jpg"; got != want {
		t.Errorf("key is %q, want %q", got, want)
	}
}

func TestLongNamesAreCutAndStayApart(t *testing.T) {
	template, err := sink.ParsePath("{stream}/{stream}_{producer_time}_{fragment_number}_{frame_index}.{ext}")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, stream := range []string{
		strings.Repeat("s", 256), strings.Repeat("s", 255), strings.Repeat("s", 257), strings.Repeat("日本", 100), strings.Repeat("日本", 101),
	} {
		img := picture()
		img.Stream = stream
		key := template.Image(img, "")
		checkSegments(t, key)
		if !strings.HasSuffix(key, "_20260304T050607_089Z_"+fragmentNumber+"_000042.jpg") {
			t.Errorf("the cut took more than the stream: %s", key)
		}
		if other, there := seen[key]; there {
			t.Errorf("streams %q and %q have the same key", stream, other)
		}
		seen[key] = stream
	}
}

// checkSegments fails unless key is one that can leave no destination.
func checkSegments(t *testing.T, key string) {
	t.Helper()
	if err := sink.CheckKey(key); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsLocal(key) || strings.Contains(key, `\`) || strings.ContainsFunc(key, unicode.IsControl) {
		t.Fatalf("key %q is not safe", key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > sink.MaxSegmentBytes || strings.HasPrefix(segment, ".kvsframes-tmp-") {
			t.Fatalf("key %q has the segment %q of %d bytes", key, segment, len(segment))
		}
	}
}

// badPaths are templates that are refused, with a part of the reason.
var badPaths = []struct{ name, path, want string }{
	{"nothing", "", "is empty"},
	{"absolute", "/out/{stream}.jpg", "starts with a slash"},
	{"two slashes", "a//{stream}.jpg", "empty segment"},
	{"a slash at the end", "{stream}/", "empty segment"},
	{"a way up", "../{stream}.jpg", `segment ".."`},
	{"a way up inside", "a/../{stream}.jpg", `segment ".."`},
	{"a dot", "./{stream}.jpg", `segment "."`},
	{"a backslash", `a\{stream}.jpg`, "backslash"},
	{"a control character", "a\tb", "control character"},
	{"no text", "a\xff", "UTF-8"},
	{"a typing error", "{streem}.jpg", "unknown token {streem} (did you mean {stream}?)"},
	{"another typing error", "{fragment_numbr}", "did you mean {fragment_number}?"},
	{"a token of another program", "{uuid}", "unknown token {uuid} (known are {stream} {sink}"},
	{"an empty token", "{}", "unknown token {}"},
	{"an open brace", "a{stream", "{ without a }"},
	{"a closing brace", "a}b", "} without a {"},
	{"a tag without a name", "{tag:}/x", "unknown token {tag:}"},
	{"a tag beside what tells fragments apart", "{tag:site}_{fragment_number}", "between {tag:site} and {fragment_number}"},
	{"a tag beside what tells frames apart", "{fragment_number}/{frame_index}{tag:site}", "between {tag:site} and {frame_index}"},
	{"a tag beside what tells streams apart", "{stream}-{tag:site}", "between {tag:site} and {stream}"},
	{"too many tags", strings.Repeat("{tag:x}", 11), "maximum is 255"},
	{"digits that run together", "{pts_ms}{frame_index}", "between {pts_ms} and {frame_index}"},
	{"a literal that is too long", strings.Repeat("x", 250) + "{frame_index}", "maximum is 255"},
	{"a template that is too long", strings.Repeat("x/", 600) + "x", "maximum is 1024"},
	{"the name of an unfinished file", ".kvsframes-tmp-1/{stream}", "unfinished files"},
}

func TestBadPathsAreRefused(t *testing.T) {
	for _, test := range badPaths {
		t.Run(test.name, func(t *testing.T) {
			if _, err := sink.ParsePath(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("parse gave %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestAManifestPathHasNoTokenOfOneFrame(t *testing.T) {
	for _, token := range []string{"frame_index", "pts_ms", "width", "height", "ext"} {
		_, err := sink.ParseManifestPath("{fragment_number}/{" + token + "}.jsonl")
		if err == nil || !strings.Contains(err.Error(), "{"+token+"} names a frame") {
			t.Errorf("{%s}: parse gave %v", token, err)
		}
	}
	template, err := sink.ParseManifestPath("{stream}/{sink}/{run_id}/{producer_time}/{server_time}/{fragment_number}.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	fragment := &media.Fragment{Stream: "a/b", Number: "000007", ProducerTime: time.UnixMilli(1_700_000_000_123)}
	want := "a_b-c14cddc0/thumbs/r/20231114T221320_123Z/unknown/000007.jsonl"
	hive, err := sink.ParseManifestPath("dt={producer_date}/hour={producer_hour}/{tag:site}/{tag:lane}/{fragment_number}")
	if err != nil {
		t.Fatal(err)
	}
	fragment.Tags = []media.Tag{{Name: "site", Value: "north"}}
	if got, want := hive.Part(fragment, "thumbs", ""), "dt=2023-11-14/hour=22/north/none/000007"; got != want {
		t.Errorf("key is %q, want %q", got, want)
	}
	if got := template.Part(fragment, "thumbs", "r"); got != want {
		t.Errorf("key is %q, want %q", got, want)
	}
}

func TestWhatATemplateTellsApart(t *testing.T) {
	for path, want := range map[string]sink.Distinction{
		sink.DefaultConfig().Path:                                                      {Frames: true, Fragments: true, Streams: true},
		"{sink}/{fragment_number}_{frame_index}.jpg":                                   {Frames: true, Fragments: true, Sinks: true},
		"{run_id}/{fragment_number}_{pts_ms}.jpg":                                      {Fragments: true, Runs: true},
		"{stream}/{producer_time}.jpg":                                                 {Streams: true},
		"latest.jpg":                                                                   {},
		"{producer_date}/{producer_hour}/{tag:frame}/{stream}.jpg":                     {Streams: true},
		"{tag:fragment_number}/{tag:frame_index}.jpg":                                  {},
		"{producer_date}{producer_hour}/{tag:frame}/{fragment_number}_{frame_index}.x": {Frames: true, Fragments: true},
	} {
		template, err := sink.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := template.Distinguishes(); got != want {
			t.Errorf("%s tells apart %+v, want %+v", path, got, want)
		}
	}
}

// FuzzTemplate checks that no template and no name lead out of a destination, and
// that frames get keys of their own when the template says so.
func FuzzTemplate(f *testing.F) {
	for _, test := range badPaths {
		f.Add(test.path, "../x", "1", "jpg", 3, int64(7))
	}
	for _, path := range []string{
		sink.DefaultConfig().Path, "{stream}.{ext}", "{stream}{stream}{stream}", ".{stream}/.{run_id}", "{hash2}/{sink}{hash2}/{server_time}",
		"{fragment_number}_{frame_index}", "{frame_index}{fragment_number}{stream}", "{width}x{height}_{pts_ms}/latest",
	} {
		f.Add(path, strings.Repeat("é/", 200), "000001", "..", -1, int64(-1))
		f.Add(path, ".", ".", ".", 0, int64(1)<<60)
		f.Add("{tag:a}/{producer_date}{producer_hour}{tag:b}/"+path, "1/..", "1", "", 1, int64(1_700_000_000_000))
		f.Add(path, "kvsframes-tmp-", "", "\xff\u202e", 1_000_000, int64(1_700_000_000_000))
	}
	f.Fuzz(func(t *testing.T, path, stream, number, ext string, index int, millis int64) {
		template, err := sink.ParsePath(path)
		if err != nil {
			return
		}
		img := picture()
		img.Stream, img.FragmentNumber, img.Ext, img.Index = stream, number, ext, index
		img.Sink, img.PTS, img.ProducerTime = stream+ext, time.Duration(millis), time.UnixMilli(millis)
		img.Tags = []media.Tag{{Name: "a", Value: stream}, {Name: "b", Value: ext}}
		key := template.Image(img, ext)
		checkSegments(t, key)
		if again := template.Image(img, ext); again != key {
			t.Fatalf("the same image has keys %q and %q", key, again)
		}
		if part, err := sink.ParseManifestPath(path); err == nil {
			checkSegments(t, part.Part(&media.Fragment{Stream: stream, Number: number, ProducerTime: img.ProducerTime}, "s", ext))
		}
		if !template.Distinguishes().Frames {
			return
		}
		img.Index ^= 1
		img.Tags = []media.Tag{{Name: "a", Value: ext}, {Name: "b", Value: stream + number}}
		if template.Image(img, ext) == key {
			t.Fatalf("frames %d and %d have the key %q", index, img.Index, key)
		}
		img.Index, img.FragmentNumber = index, number+"1"
		if template.Image(img, ext) == key {
			t.Fatalf("fragments %q and %q have the key %q", number, img.FragmentNumber, key)
		}
	})
}
