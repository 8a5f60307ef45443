package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/internal/awschain"
	"github.com/kvsframes/kvsframes/source"
)

// streamID identifies a stream for the API: by name or by ARN.
type streamID struct {
	// name is the name that fragments, logs and errors use; own is the stream's own name if
	// that differs.
	name, own string
	// arn and region are empty when the stream was given by its name.
	arn, region string
}

// parseStream reads the name or the ARN of a stream.
func parseStream(s string) (streamID, error) {
	name, ok := source.StreamName(s)
	switch {
	case !ok || strings.Contains(s, "="):
		return streamID{}, fmt.Errorf("parse stream %q: neither a name nor an ARN", s)
	case name == s:
		return streamID{name: s}, nil
	}
	region := strings.Split(s, ":")[3] // arn:PARTITION:kinesisvideo:REGION:...
	return streamID{name: name, arn: s, region: region}, nil
}

// nameParam and arnParam return the two alternative parameters of a call.
func (s streamID) nameParam() *string {
	if s.arn != "" {
		return nil
	}
	return aws.String(cmp.Or(s.own, s.name))
}

// as returns the ID with another name for fragments, logs and errors, unless name is empty.
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

// LoadAWS returns the configuration of the AWS chain: environment, shared files, container and instance roles.
// A non-empty region overrides that of the chain.
func LoadAWS(ctx context.Context, region string) (aws.Config, error) {
	return awschain.Load(ctx, awschain.Identity{Region: region})
}

// LoadFor returns the configuration of the AWS chain in the region of a source, with its profile and its role.
func LoadFor(ctx context.Context, c source.KVSConfig) (aws.Config, error) {
	return awschain.Load(ctx, awschain.Identity{Region: c.Region, Profile: c.Profile, RoleARN: string(c.RoleARN)})
}

// regionFor returns the region for calls about the stream.
func regionFor(id streamID, awsCfg aws.Config) (string, error) {
	switch {
	case id.region != "":
		return id.region, nil
	case strings.TrimSpace(awsCfg.Region) != "":
		return awsCfg.Region, nil
	}
	return "", errors.New("no AWS region is set: set source.region, AWS_REGION, or the region of the profile")
}
