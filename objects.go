package kvsframes

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// Server is where buckets are. Credentials come from the AWS chain.
type Server struct {
	// Region is the bucket's region; "" is that of the AWS chain. EndpointURL is that of another server than Amazon's.
	Region, EndpointURL string
	ForcePathStyle      bool
	// Profile is a profile of the AWS chain, and RoleARN a role that it, or the chain, assumes; "" for none.
	Profile string
	RoleARN setting.RoleARN
}

// OpenObjects returns the objects below a folder, or below s3://BUCKET/PREFIX, for manifest.Write.
func OpenObjects(ctx context.Context, where string, server Server) (manifest.Objects, error) {
	place, ok := strings.CutPrefix(where, "s3://")
	if !ok {
		info, err := os.Stat(where)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a folder", where)
		}
		return manifest.Folder(where), nil
	}
	c := s3.DefaultConfig()
	c.Bucket, c.Prefix, _ = strings.Cut(place, "/")
	c.Region, c.EndpointURL, c.ForcePathStyle = server.Region, server.EndpointURL, server.ForcePathStyle
	c.Profile, c.RoleARN = server.Profile, server.RoleARN
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return s3.Open(ctx, c)
}
