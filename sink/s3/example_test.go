package s3_test

import (
	"context"
	"log"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// A bucket as the store of a sink. Region and credentials come from the AWS chain.
func ExampleOpen() {
	config := s3.DefaultConfig()
	config.Bucket, config.Prefix = "my-frames", "front-door/"
	store, err := s3.Open(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	thumbs := sink.DefaultConfig()
	thumbs.Name = "thumbs"
	if _, err := sink.New(thumbs, store, sink.Options{}); err != nil {
		log.Fatal(err)
	}
}
