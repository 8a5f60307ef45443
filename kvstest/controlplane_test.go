package kvstest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
)

func TestStreamsAreCreatedAndDescribed(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	e := serve(t, Options{Now: func() time.Time { return now }})
	_, payload := synthetic(1)
	e.add(t, "cam", payload)
	c := kinesisvideo.NewFromConfig(awsConfig(e.url))

	created, err := c.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{
		StreamName: aws.String("door"), DataRetentionInHours: aws.Int32(24),
		DeviceName: aws.String("camera-1"), MediaType: aws.String("video/h264,audio/aac"),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamARN: created.StreamARN})
	if err != nil {
		t.Fatal(err)
	}
	i := out.StreamInfo
	if aws.ToString(i.StreamName) != "door" || aws.ToString(i.StreamARN) != e.StreamARN("door") || aws.ToInt32(i.DataRetentionInHours) != 24 ||
		i.Status != types.StatusActive || !i.CreationTime.Equal(now) || aws.ToString(i.DeviceName) != "camera-1" ||
		aws.ToString(i.MediaType) != "video/h264,audio/aac" || aws.ToString(i.Version) == "" {
		t.Errorf("stream is %+v", i)
	}
	if out, err = c.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")}); err != nil || aws.ToInt32(out.StreamInfo.DataRetentionInHours) != 87600 {
		t.Errorf("the recording is %+v, %v", out, err)
	}
	_, err = c.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{StreamName: aws.String("cam")})
	wantCode(t, err, "ResourceInUseException")
	_, err = c.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException")
	for name, in := range map[string]*kinesisvideo.CreateStreamInput{
		"name with a slash":   {StreamName: aws.String("a/b")},
		"negative retention":  {StreamName: aws.String("x"), DataRetentionInHours: aws.Int32(-1)},
		"retention too long":  {StreamName: aws.String("x"), DataRetentionInHours: aws.Int32(87601)},
		"media type of words": {StreamName: aws.String("x"), MediaType: aws.String("pictures")},
	} {
		_, err := c.CreateStream(t.Context(), in)
		t.Log(name)
		wantCode(t, err, "InvalidArgumentException")
	}
}

func TestCreateStreamRefusesWhatTheAPIWould(t *testing.T) {
	s := NewServer(Options{})
	for name, retention := range map[string]time.Duration{"a/b": 0, "negative": -1, "long": RecordingRetention + 1} {
		if err := s.CreateStream(name, retention); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if err := s.CreateStream("cam", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateStream("cam", 0); err == nil {
		t.Error("a second stream of the name is taken")
	}
}

func TestListStreamsPagesThroughNames(t *testing.T) {
	e := serve(t, Options{})
	names := []string{"prod-a", "prod-b", "prod-c", "test-a", "prod"}
	for _, name := range names {
		if err := e.CreateStream(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	c := kinesisvideo.NewFromConfig(awsConfig(e.url))
	list := func(prefix string, page int32) (got []string, pages int) {
		in := &kinesisvideo.ListStreamsInput{MaxResults: aws.Int32(page)}
		if prefix != "" {
			in.StreamNameCondition = &types.StreamNameCondition{ComparisonOperator: types.ComparisonOperatorBeginsWith, ComparisonValue: &prefix}
		}
		p := kinesisvideo.NewListStreamsPaginator(c, in)
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, i := range out.StreamInfoList {
				got = append(got, aws.ToString(i.StreamName))
			}
		}
		return got, pages
	}
	if got, pages := list("", 2); !slices.Equal(got, slices.Sorted(slices.Values(names))) || pages != 3 {
		t.Errorf("all are %v on %d pages", got, pages)
	}
	if got, pages := list("prod-", 3); !slices.Equal(got, []string{"prod-a", "prod-b", "prod-c"}) || pages != 1 {
		t.Errorf("prod- are %v on %d pages", got, pages)
	}
	if got, _ := list("none", 10); len(got) != 0 {
		t.Errorf("none are %v", got)
	}
	for name, body := range map[string]string{
		"no results":         `{"MaxResults":0}`,
		"too many results":   `{"MaxResults":10001}`,
		"another comparison": `{"StreamNameCondition":{"ComparisonOperator":"CONTAINS","ComparisonValue":"a"}}`,
		"no prefix":          `{"StreamNameCondition":{"ComparisonOperator":"BEGINS_WITH","ComparisonValue":"*"}}`,
		"a token of nobody":  `{"NextToken":"abc"}`,
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, call{path: "/listStreams", body: body}.send(t, e.url), 400, "InvalidArgumentException")
		})
	}
	if n := len(e.Calls("ListStreams", "")); n < 10 {
		t.Errorf("%d calls are counted", n)
	}
}

func TestTheStorageTierOfAStream(t *testing.T) {
	e := New(t, Options{})
	c := kinesisvideo.NewFromConfig(e.Config())
	if err := e.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{
		StreamName: aws.String("door"), StreamStorageConfiguration: &types.StreamStorageConfiguration{DefaultStorageTier: types.DefaultStorageTierWarm},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{
		StreamName: aws.String("x"), StreamStorageConfiguration: &types.StreamStorageConfiguration{DefaultStorageTier: "COLD"},
	})
	wantCode(t, err, "InvalidArgumentException")
	want := func(stream string, tier types.DefaultStorageTier) {
		t.Helper()
		out, err := c.DescribeStreamStorageConfiguration(t.Context(), &kinesisvideo.DescribeStreamStorageConfigurationInput{StreamARN: aws.String(e.StreamARN(stream))})
		if err != nil || aws.ToString(out.StreamName) != stream || out.StreamStorageConfiguration.DefaultStorageTier != tier {
			t.Errorf("stream %s is %+v, %v; want %s", stream, out, err, tier)
		}
	}
	want("cam", types.DefaultStorageTierHot)
	want("door", types.DefaultStorageTierWarm)
	if err := e.SetStorageTier("cam", "WARM"); err != nil {
		t.Error(err)
	}
	want("cam", types.DefaultStorageTierWarm)
	if e.SetStorageTier("cam", "COLD") == nil || e.SetStorageTier("none", "HOT") == nil {
		t.Error("the emulator accepts a tier or a stream that does not exist")
	}
}
