package kvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/internal/awschain"
	"github.com/kvsframes/kvsframes/source"
)

// ConfigOf returns the Config of one stream of validated settings. entry is one of source.KVSConfig.Streams, or
// a name that matches one of its patterns.
func ConfigOf(cfg aws.Config, c source.Config, entry string, log *slog.Logger) Config {
	from, _ := c.KVS()
	name, _ := source.StreamName(entry) // valid settings hold only valid names
	return Config{
		AWS:             cfg,
		Stream:          source.StreamTarget(entry),
		As:              name,
		EndpointURL:     from.EndpointURL,
		Mode:            from.Mode,
		Start:           from.StartSelector,
		End:             c.End,
		Tags:            c.FragmentTags,
		MaxFragmentSize: c.MaxFragmentSize,
		Log:             log,
	}
}

// CheckCredentials returns an error if the AWS configuration has no credentials, so that a program can report
// it at once. A call without credentials would be retried many times.
func CheckCredentials(ctx context.Context, cfg aws.Config) error {
	const none = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
	if cfg.Credentials == nil {
		return errors.New(none)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.As(err, new(*awschain.RoleError)) {
			return err
		}
		return fmt.Errorf("%s (%w)", none, err)
	}
	return nil
}
