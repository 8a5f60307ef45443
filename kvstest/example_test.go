package kvstest_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
)

// A test of a program that reads streams gives it a server of its own.
func ExampleNew() {
	test := func(t *testing.T) {
		server := kvstest.New(t, kvstest.Options{})
		if err := server.CreateStream("cam", 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		client := kinesisvideo.NewFromConfig(server.Config())
		out, err := client.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
		if err != nil {
			t.Fatal(err)
		}
		if hours := aws.ToInt32(out.StreamInfo.DataRetentionInHours); hours != 24 {
			t.Errorf("the retention is %d hours, want 24", hours)
		}
	}
	_ = test // a function of your package's tests
}

// AppendChunk writes what a camera would have sent. A server outside of tests is started
// and stopped by its context.
func ExampleServer_Start() {
	var recording []byte
	for i := range 3 {
		number := fmt.Sprintf("%047d", i+1)
		recording = kvstest.AppendChunk(recording, kvstest.Chunk{
			FragmentNumber: number, ContinuationToken: number,
			ProducerTime: time.Unix(int64(i), 0), ServerTime: time.Unix(int64(i)+1, 0),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST"}},
			Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("a picture")}},
		})
	}
	server := kvstest.NewServer(kvstest.Options{})
	if err := server.AddRecording("cam", bytes.NewReader(recording)); err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	_, wait, err := server.Start(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	list, err := kinesisvideo.NewFromConfig(server.Config()).ListStreams(ctx, &kinesisvideo.ListStreamsInput{})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range list.StreamInfoList {
		fmt.Println(aws.ToString(s.StreamName), len(server.Calls("ListStreams", "")))
	}
	stop()
	if err := wait(); err != nil {
		log.Fatal(err)
	}
	// Output: cam 1
}
