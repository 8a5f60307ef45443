package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// streamID names a stream as the API takes it: by name or by ARN.
type streamID struct {
	// name is what the stream goes by, own its own name where that is another one.
	name, own string
	// arn and region are empty when the stream was given by its name.
	arn, region string
}

// The forms of names and ARNs (Kinesis Video Streams API Reference, GetMedia).
var (
	streamName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`) })
	streamARN  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:[a-z\d-]+:kinesisvideo:([a-z0-9-]+):[0-9]+:[a-z]+/([a-zA-Z0-9_.-]+)/[0-9]+$`)
	})
)

// maxARN is the length of the longest ARN that the API takes, in bytes.
const maxARN = 1024

// maxName is the length of the longest stream name.
const maxName = 256

func parseStream(s string) (streamID, error) {
	if len(s) <= maxName && streamName().MatchString(s) {
		return streamID{name: s}, nil
	}
	if m := streamARN().FindStringSubmatch(s); m != nil && len(s) <= maxARN {
		return streamID{name: m[2], arn: s, region: m[1]}, nil
	}
	return streamID{}, fmt.Errorf("parse stream %q: neither a name nor an ARN", s)
}

// nameParam and arnParam return the two alternative parameters of a call.
func (s streamID) nameParam() *string {
	if s.arn != "" {
		return nil
	}
	return aws.String(cmp.Or(s.own, s.name))
}

// as gives the stream another name to go by, unless it is empty.
func (s streamID) as(name string) streamID {
	if name != "" && name != s.name {
		s.name, s.own = name, s.name
	}
	return s
}

func (s streamID) arnParam() *string {
	if s.arn == "" {
		return nil
	}
	return aws.String(s.arn)
}

// LoadAWS returns the configuration of the AWS chain: environment, shared files,
// container and instance roles. A non-empty region overrides the one from the chain.
func LoadAWS(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	return cfg, nil
}

// regionFor returns the region that calls about the stream are made to.
func regionFor(id streamID, awsCfg aws.Config) (string, error) {
	switch {
	case id.region != "":
		return id.region, nil
	case strings.TrimSpace(awsCfg.Region) != "":
		return awsCfg.Region, nil
	}
	return "", errors.New("no AWS region is set: set source.region, AWS_REGION, or the region of the profile")
}
