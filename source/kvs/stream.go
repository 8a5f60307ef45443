package kvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/source"
)

// endpointAge is how long a data endpoint is used (Developer Guide, Quotas, advises to
// ask again after some 45 min).
const endpointAge = 45 * time.Minute

// Stream opens sessions of one stream, one after the other. It keeps the data endpoint
// and what it has learned of the service's clock from one to the next. It is used by
// one goroutine at a time.
type Stream struct {
	id     streamID
	cfg    Config
	aws    aws.Config
	log    *slog.Logger
	client *mediaClient
	// fetched is when the endpoint was asked for, zero when there is none.
	fetched time.Time
	// denied reports whether the last call was refused for its credentials.
	denied bool
}

var _ source.Dialer = (*Stream)(nil)

// NewStream returns a Stream, which has made no call yet. Zero fields of cfg are those
// of DefaultConfig; cfg.Start is not used by Dial.
func NewStream(awsCfg aws.Config, cfg Config, log *slog.Logger) (*Stream, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open KVS stream: %w", err)
	}
	id, err := parseStream(cfg.Stream)
	if err != nil {
		return nil, err
	}
	id = id.as(cfg.As)
	awsCfg = awsCfg.Copy()
	if awsCfg.Region, err = regionFor(id, awsCfg); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", id.name, err)
	}
	client, err := newMediaClient(awsCfg, cfg.HeaderTimeout, log.With("stream", id.name))
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", id.name, err)
	}
	// Whoever dials decides when to dial again, and counts the calls.
	client.retryer = aws.NopRetryer{}
	return &Stream{id: id, cfg: cfg, aws: awsCfg, log: log, client: client}, nil
}

// Dial implements source.Dialer: it makes one GetMedia call, and asks for the data
// endpoint before it when there is none, when it is 45 min old and when refresh is
// set. Refusals of KVS are returned as *Error.
func (s *Stream) Dial(ctx context.Context, start source.StartSelector, refresh bool) (source.Source, error) {
	session, err := s.open(ctx, start, refresh)
	if err != nil {
		return nil, err
	}
	return session, nil
}

func (s *Stream) open(ctx context.Context, start source.StartSelector, refresh bool) (*Session, error) {
	session, err := s.call(ctx, start, refresh)
	var refused *Error
	s.denied = errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden)
	return session, err
}

// call makes the calls that open a session. The credentials of each are asked for
// anew; those that were refused must not come out of the cache again.
func (s *Stream) call(ctx context.Context, start source.StartSelector, refresh bool) (*Session, error) {
	if cache, ok := s.aws.Credentials.(*aws.CredentialsCache); ok && s.denied {
		cache.Invalidate()
	}
	if refresh || time.Since(s.fetched) >= endpointAge {
		s.fetched = time.Time{}
		endpoint, err := dataEndpoint(ctx, s.aws, s.id, s.cfg.EndpointURL)
		if err != nil {
			return nil, err
		}
		s.client.at(endpoint)
		s.fetched = time.Now()
	}
	cfg := s.cfg
	cfg.Start = start
	return open(ctx, s.client, s.id, cfg, s.log)
}
