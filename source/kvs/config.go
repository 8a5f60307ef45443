// Package kvs reads live streams of Amazon Kinesis Video Streams: it asks for the
// stream's data endpoint, opens a GetMedia session on it and hands its payload to
// the splitter. It is the only importer of the AWS SDK's video services.
package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
)

// Config says what one session reads.
type Config struct {
	// Stream is the name or the ARN of the stream. The region of an ARN goes
	// before the region of the AWS configuration.
	Stream string
	// As is the name that the stream goes by; "" is its own.
	As string
	// EndpointURL is the control plane's endpoint; "" is the region's own.
	EndpointURL string
	// Start says where the session starts.
	Start source.StartSelector
	// MaxFragmentSize is the largest fragment that is taken into memory, in bytes.
	MaxFragmentSize source.Size
	// HeaderTimeout is how long the first byte of an answer may take.
	HeaderTimeout time.Duration
	// StallTimeout is how long a session may stay without a byte while it is
	// being read. KVS itself ends an idle session after 3 s.
	StallTimeout time.Duration
}

// DefaultConfig returns the settings of a session that says only its stream.
func DefaultConfig() Config {
	return Config{
		Start:           source.DefaultKVSConfig().StartSelector,
		MaxFragmentSize: source.DefaultConfig().MaxFragmentSize,
		HeaderTimeout:   10 * time.Second,
		StallTimeout:    30 * time.Second,
	}
}

// checkTarget checks what every reader is told: the stream, and where it is asked for.
func checkTarget(check func(ok bool, path, problem string), stream, endpointURL string) {
	_, err := parseStream(stream)
	check(err == nil, "stream", "must be the name of a stream, 1 to 256 of the characters a-z, A-Z, 0-9, _ . -, or its ARN")
	if endpointURL != "" {
		u, err := url.Parse(endpointURL)
		check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "endpoint_url", "must be an http or https URL")
	}
}

// Validate returns all that is wrong with the settings, each as a *setting.Error.
func (c Config) Validate() error {
	var p setting.Problems
	check := func(ok bool, path, problem string) {
		if !ok {
			p.Add(path, "%s", problem)
		}
	}
	checkTarget(check, c.Stream, c.EndpointURL)
	check(c.MaxFragmentSize > 0, "max_fragment_size", "must be above 0")
	check(c.HeaderTimeout > 0, "header_timeout", "must be above 0")
	check(c.StallTimeout > 0, "stall_timeout", "must be above 0")
	p.AddBelow("start_selector", c.Start.Validate())
	return p.Err()
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	defaults := DefaultConfig()
	if c.Start.Type == "" {
		c.Start.Type = defaults.Start.Type
	}
	if c.MaxFragmentSize == 0 {
		c.MaxFragmentSize = defaults.MaxFragmentSize
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = defaults.HeaderTimeout
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = defaults.StallTimeout
	}
	return c
}

// streamID names a stream as the API takes it: by name or by ARN.
type streamID struct {
	// name is what the stream goes by, own its own name where that is another one.
	name, own string
	// arn and region are empty when the stream was given by its name.
	arn, region string
}

// The forms of the two (Kinesis Video Streams API Reference, GetMedia).
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
// container and instance roles. region goes before the chain's own unless it is empty.
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
