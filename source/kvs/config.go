package kvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Config states which stream is read, which part of it, and how. Only Stream must be set.
type Config struct {
	// AWS has the credentials, the region and the HTTP client of all calls. Without credentials, Open and List
	// use the configuration of the AWS chain instead (see LoadAWS), with the region of AWS if that is set.
	AWS aws.Config
	// Stream is the name or the ARN of the stream. The region of an ARN overrides that of AWS.
	Stream string
	// As is the stream's name in fragments, logs and errors; "" is its own name.
	As string
	// EndpointURL is the endpoint of the control plane; "" is that of AWS, or else the region's.
	EndpointURL string

	// Mode selects whether the stream is read live, from its archive, or first from its
	// archive and then live; "" is source.ModeLive.
	Mode source.Mode
	// Start is where reading starts. Without a Type it is NOW for a live stream and EARLIEST for an archive,
	// which has no NOW.
	Start source.StartSelector
	// End states when reading ends (see source.WithEnd). The zero value has no limit: a live stream continues,
	// and an archive ends with its newest fragment.
	End source.End
	// From is where reading continues, if another reader has read a part of the stream before: Start applied to
	// that one, and End to both.
	From media.Progress
	// MaxLag is how far a live stream may be behind its newest fragment before reading continues there; 0 is no limit.
	// LagPatience is for how long it may be further behind; 0 is a minute. See source.Live.
	MaxLag, LagPatience time.Duration
	// Tags are the tags of wanted fragments, as NAME=VALUE (see source.WithTags).
	Tags []string
	// Fragments are the numbers of the only fragments to read, from the archive, in this order; those up to
	// From.After have been read. Mode, Start and End are not used with them.
	Fragments []string

	// MaxFragmentSize is the largest fragment that is read into memory, in bytes; 0 is 64 MiB.
	MaxFragmentSize source.Size
	// HeaderTimeout is the limit on the wait for the first byte of an answer; 0 is 10 s.
	HeaderTimeout time.Duration
	// StallTimeout is the limit on the time without a byte while an answer is read; 0 is 30 s. KVS itself ends
	// an idle session after 3 s.
	StallTimeout time.Duration
	// Connections is the number of answers of the archive that are read at once, at most 16; 0 is 5, the limit
	// of KVS for a stream and all its consumers together (Developer Guide, Quotas).
	Connections int
	// BatchSize is the number of fragments in one request to the archive, at most 100; 0 is 50.
	BatchSize int
	// MaxInFlight is the number of bytes that are requested from the archive before they are returned, by the
	// sizes in its listing; 0 is 128 MiB.
	MaxInFlight source.Size

	// Log receives messages about sessions and calls; nil discards them.
	Log *slog.Logger
}

// Limits of Config. A batch is no larger than the number of fragments that KVS allows in a fifth of a second.
const (
	maxConnections = 16
	maxBatch       = 100
)

// withDefaults sets zero fields to their defaults.
func (c Config) withDefaults() Config {
	d := source.DefaultConfig()
	setDefault(&c.Mode, source.ModeLive)
	if c.Mode == source.ModeLive {
		setDefault(&c.Start.Type, source.StartNow)
	}
	setDefault(&c.Start.Type, source.StartEarliest)
	setDefault(&c.MaxFragmentSize, d.MaxFragmentSize)
	setDefault(&c.HeaderTimeout, 10*time.Second)
	setDefault(&c.StallTimeout, 30*time.Second)
	setDefault(&c.Connections, 5)
	setDefault(&c.BatchSize, 50)
	setDefault(&c.MaxInFlight, 128<<20)
	c.Log = logging.OrSilent(c.Log)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate returns all problems of the settings, joined, each a *setting.Error. Zero fields have their defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var p setting.Problems
	check := func(ok bool, path, problem string) {
		if !ok {
			p.Add(path, "%s", problem)
		}
	}
	_, err := parseStream(c.Stream)
	check(err == nil, "stream", "must be the name of a stream, 1 to 256 of the characters a-z, A-Z, 0-9, _ . -, or its ARN")
	if c.EndpointURL != "" {
		u, err := url.Parse(c.EndpointURL)
		check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "endpoint_url", "must be an http or https URL")
	}
	check(c.MaxFragmentSize > 0, "max_fragment_size", "must be above 0")
	check(c.HeaderTimeout > 0, "header_timeout", "must be above 0")
	check(c.StallTimeout > 0, "stall_timeout", "must be above 0")
	check(c.Connections > 0 && c.Connections <= maxConnections, "connections", fmt.Sprintf("must be 1 to %d", maxConnections))
	check(c.BatchSize > 0 && c.BatchSize <= maxBatch, "batch_size", fmt.Sprintf("must be 1 to %d", maxBatch))
	check(c.MaxLag >= 0, "max_lag", "must not be negative")
	check(c.LagPatience >= 0, "lag_patience", "must not be negative")
	check(c.MaxInFlight > 0, "max_in_flight", "must be above 0")
	for i, n := range c.Fragments {
		check(payload.IsFragmentNumber(n), fmt.Sprintf("fragments[%d]", i), "must be a fragment number, 1 to 128 digits")
	}
	if err := setting.CheckValue(string(c.Mode), c.Mode.Values(), nil); err != nil {
		p.Add("mode", "%v", err)
	}
	p.AddBelow("start_selector", c.Start.Validate())
	check(c.Mode == source.ModeLive || c.Start.InArchive(), "start_selector.type", string(c.Start.Type)+" is not a place in an archive")
	return p.Err()
}

// complete returns the settings without zero fields, and with the region of the stream. doing is the start of errors.
func (c Config) complete(doing string) (Config, streamID, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return c, streamID{}, fmt.Errorf("%s: %w", doing, err)
	}
	id, err := parseStream(c.Stream)
	if err != nil {
		return c, id, err
	}
	id = id.as(c.As)
	c.AWS = c.AWS.Copy()
	if c.AWS.Region, err = regionFor(id, c.AWS); err != nil {
		return c, id, fmt.Errorf("%s %s: %w", doing, id.name, err)
	}
	if c.AWS.Credentials == nil {
		return c, id, fmt.Errorf("%s %s: no AWS credentials are set up", doing, id.name)
	}
	return c, id, nil
}

// dropRefused removes the credentials from their cache if err is the refusal of a call for its credentials. The next call
// must not take them from there again.
func (c Config) dropRefused(err error) {
	var refused *Error
	denied := errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden)
	if cache, ok := c.AWS.Credentials.(*aws.CredentialsCache); ok && denied {
		cache.Invalidate()
	}
}

// control returns a client of the control plane for the stream in c. doing begins its errors.
func (c Config) control(ctx context.Context, doing string) (*kinesisvideo.Client, streamID, error) {
	c, err := c.withChain(ctx)
	if err != nil {
		return nil, streamID{}, err
	}
	c, id, err := c.complete(doing)
	if err != nil {
		return nil, id, err
	}
	return kinesisvideo.NewFromConfig(c.AWS, controlPlane(c.EndpointURL)), id, nil
}

// withChain returns the settings with the configuration of the AWS chain, unless they have credentials.
func (c Config) withChain(ctx context.Context) (Config, error) {
	if c.AWS.Credentials != nil {
		return c, nil
	}
	var err error
	c.AWS, err = LoadAWS(ctx, c.AWS.Region)
	return c, err
}
