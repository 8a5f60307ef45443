package kvs

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvsframes/kvsframes/source"
)

// endpointAge is how long a data endpoint is used (Developer Guide, Quotas, advises to request a new one
// after about 45 min).
const endpointAge = 45 * time.Minute

// dialer opens sessions of one stream, one after the other. It keeps the data endpoint and the offset of the
// service's clock from one session to the next. One goroutine at a time uses it.
type dialer struct {
	id     streamID
	cfg    Config
	client *mediaClient
	// fetched is when the endpoint was requested, zero when there is none.
	fetched time.Time
	// explained is done when it was logged why fragments come whole.
	explained sync.Once
}

var _ source.Dialer = (*dialer)(nil)

// newDialer returns a dialer that has made no call yet.
func newDialer(cfg Config) (*dialer, error) {
	cfg, id, err := cfg.complete("open stream")
	if err != nil {
		return nil, err
	}
	return &dialer{id: id, cfg: cfg, client: newMediaClient(cfg.AWS, cfg.HeaderTimeout, cfg.Log.With("stream", id.name))}, nil
}

// Dial implements source.Dialer. It makes one GetMedia call. Before that, it requests the data endpoint if
// there is none, if it is 45 min old, or if refresh is set. Refusals of KVS are returned as *Error.
func (d *dialer) Dial(ctx context.Context, start source.StartSelector, refresh bool) (source.Source, error) {
	session, err := d.call(ctx, start, refresh)
	if err != nil {
		d.cfg.dropRefused(err)
		return nil, err
	}
	return session, nil
}

// untold logs, once, why fragments come whole although they were to be told of while they arrive.
func (d *dialer) untold(why string) {
	d.explained.Do(func() {
		d.cfg.Log.Warn("frames of this stream leave at the end of their fragment, not as they arrive", "stream", d.id.name, "because", why)
	})
}

// call makes the calls that open a session. Each call gets the credentials anew.
func (d *dialer) call(ctx context.Context, start source.StartSelector, refresh bool) (*session, error) {
	if refresh || time.Since(d.fetched) >= endpointAge {
		if _, err := d.locate(ctx); err != nil {
			return nil, err
		}
	}
	return d.newSession(ctx, start)
}

// locate requests the data endpoint. It returns the time of the answer by the service's clock, zero if the answer has none.
func (d *dialer) locate(ctx context.Context) (time.Time, error) {
	d.fetched = time.Time{}
	client := kinesisvideo.NewFromConfig(d.cfg.AWS, controlPlane(d.cfg.EndpointURL))
	endpoint, at, err := dataEndpoint(ctx, client, d.id, types.APINameGetMedia)
	if err != nil {
		return at, err
	}
	d.client.at(endpoint)
	d.fetched = time.Now()
	return at, nil
}
