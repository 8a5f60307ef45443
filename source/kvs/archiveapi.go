package kvs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	controltypes "github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// pageSize is the largest number of fragments that one call of ListFragments lists.
const pageSize = 1000

// endpointPause is the shortest time between two requests for the same data endpoint. KVS answers 5 a second
// for a stream.
const endpointPause = time.Second

// archiveAPI makes the calls of the archived media service, without retries: the caller decides when to call again.
// Several goroutines may call its methods.
type archiveAPI struct {
	id  streamID
	cfg Config
	// The clients are kept, as they learn the service's clock from answers. Each call of client names its endpoint.
	client  *kinesisvideoarchivedmedia.Client
	control *kinesisvideo.Client
	// idle closes idle connections.
	idle func()

	list, media plane
	// pause is the shortest time between two requests for an endpoint.
	pause time.Duration

	mu sync.Mutex
	// skew is how far the service's clock is ahead of this machine's.
	skew time.Duration
}

// plane is the data endpoint of one operation; each has its own.
type plane struct {
	operation controltypes.APIName

	// turn is a lock for the other fields; waiting for it can end with a context.
	turn chan struct{}
	// endpoint is nil when it must be requested; fetched is when it was last requested.
	endpoint *url.URL
	fetched  time.Time
}

func newArchiveAPI(id streamID, cfg Config) *archiveAPI {
	api := &archiveAPI{id: id, cfg: cfg, pause: endpointPause}
	api.list = plane{operation: controltypes.APINameListFragments, turn: make(chan struct{}, 1)}
	api.media = plane{operation: controltypes.APINameGetMediaForFragmentList, turn: make(chan struct{}, 1)}
	api.control = kinesisvideo.NewFromConfig(cfg.AWS, controlPlane(cfg.EndpointURL), func(o *kinesisvideo.Options) { o.Retryer = aws.NopRetryer{} })
	client, idle := keptConnections(cfg)
	api.idle = idle
	api.client = kinesisvideoarchivedmedia.NewFromConfig(cfg.AWS, func(o *kinesisvideoarchivedmedia.Options) {
		o.AppID = userAgentID(o.AppID)
		o.HTTPClient = bounded(client)
		o.Retryer = aws.NopRetryer{}
	})
	return api
}

// keptConnections returns the configured client with a limit on the wait for the first byte of an answer, but
// none on the whole answer. The client keeps connections from one batch to the next.
func keptConnections(cfg Config) (_ aws.HTTPClient, idle func()) {
	base, ok := buildable(cfg.AWS.HTTPClient)
	if !ok {
		return cfg.AWS.HTTPClient, func() {} // a client of another type is used unchanged
	}
	transport := base.GetTransport()
	transport.ResponseHeaderTimeout = cfg.HeaderTimeout
	transport.MaxIdleConnsPerHost = cfg.Connections
	return &callClient{http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, transport.CloseIdleConnections
}

// callClient sends requests that have small bodies and may be repeated.
type callClient struct{ http.Client }

// Do implements aws.HTTPClient. It sends a copy of the body: the SDK closes its own as soon as the answer
// begins, and if net/http has not yet looked for the body's end, it then closes the connection. If the service
// has closed a kept connection, a new one replaces it.
func (c *callClient) Do(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		sent.Body = io.NopCloser(bytes.NewReader(body))
	}
	sent.Header["Idempotency-Key"] = nil // is not sent (package net/http, Transport)
	return c.Client.Do(sent)
}

func (p *archiveAPI) close() { p.idle() }

// now returns the time by the service's clock, or by this machine's until that is known.
func (p *archiveAPI) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.skew)
}

// endpoint returns the data endpoint of an operation. It requests one if there is none, or if the last one is
// 45 min old.
func (p *archiveAPI) endpoint(ctx context.Context, pl *plane) (*url.URL, error) {
	select {
	case pl.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-pl.turn }()
	if pl.endpoint != nil && time.Since(pl.fetched) < endpointAge {
		return pl.endpoint, nil
	}
	if err := wait.Sleep(ctx, p.pause-time.Since(pl.fetched)); err != nil {
		return nil, err
	}
	endpoint, at, err := dataEndpoint(ctx, p.control, p.id, pl.operation)
	if !at.IsZero() {
		p.mu.Lock()
		p.skew = time.Until(at)
		p.mu.Unlock()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	pl.endpoint, pl.fetched = endpoint, time.Now()
	return endpoint, err
}

// stale drops the endpoint and the credentials of a failed call, unless they were already replaced. failed is
// nil when there was no endpoint.
func (p *archiveAPI) stale(ctx context.Context, pl *plane, failed *url.URL, err error) {
	select {
	case pl.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-pl.turn }()
	if pl.endpoint != failed {
		return
	}
	pl.endpoint = nil
	p.cfg.dropRefused(err)
}

// at directs a call to an endpoint. It clears the FIPS and dual-stack switches, which the SDK rejects together
// with an endpoint.
func at(endpoint *url.URL) func(*kinesisvideoarchivedmedia.Options) {
	return func(o *kinesisvideoarchivedmedia.Options) {
		o.BaseEndpoint = aws.String(endpoint.String())
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
	}
}

// clockParams are the names of the clocks in ListFragments.
var clockParams = map[media.Clock]types.FragmentSelectorType{
	media.ClockProducer: types.FragmentSelectorTypeProducerTimestamp,
	media.ClockServer:   types.FragmentSelectorTypeServerTimestamp,
}

// page describes one call of ListFragments. from and to are inclusive; token is the end of the previous page.
type page struct {
	clock    media.Clock
	from, to time.Time
	token    *string
}

// listFragments lists a page. It also returns the endpoint of the call.
func (p *archiveAPI) listFragments(ctx context.Context, in page) (*kinesisvideoarchivedmedia.ListFragmentsOutput, *url.URL, error) {
	endpoint, err := p.endpoint(ctx, &p.list)
	if err != nil {
		return nil, nil, err
	}
	call := &kinesisvideoarchivedmedia.ListFragmentsInput{
		StreamName: p.id.nameParam(),
		StreamARN:  p.id.arnParam(),
		MaxResults: aws.Int64(pageSize),
		NextToken:  in.token,
	}
	if in.token == nil {
		call.FragmentSelector = &types.FragmentSelector{
			FragmentSelectorType: clockParams[in.clock],
			TimestampRange:       &types.TimestampRange{StartTimestamp: &in.from, EndTimestamp: &in.to},
		}
	}
	// The answer is small, so all of it must arrive within the time.
	bounded, cancel := context.WithTimeout(ctx, p.cfg.HeaderTimeout+p.cfg.StallTimeout)
	defer cancel()
	out, err := p.client.ListFragments(bounded, call, at(endpoint))
	if err != nil {
		return nil, endpoint, describe("ListFragments", p.id, err)
	}
	return out, endpoint, nil
}

// download is an answer of GetMediaForFragmentList that is being read.
type download struct {
	*payload.Splitter
	body   io.Closer
	cancel context.CancelCauseFunc
	// name is the name of the stream with the request ID, for errors.
	name string
}

// getMedia requests fragments. It calls count with the number of bytes of each read. The download ends with
// ctx, and must be closed.
func (p *archiveAPI) getMedia(ctx context.Context, numbers []string, count func(int)) (*download, *url.URL, error) {
	endpoint, err := p.endpoint(ctx, &p.media)
	if err != nil {
		return nil, nil, err
	}
	call, cancel := context.WithCancelCause(ctx)
	out, err := p.client.GetMediaForFragmentList(call, &kinesisvideoarchivedmedia.GetMediaForFragmentListInput{
		StreamName: p.id.nameParam(),
		StreamARN:  p.id.arnParam(),
		Fragments:  numbers,
	}, at(endpoint))
	if err != nil {
		cancel(errClosed)
		return nil, endpoint, describe("GetMediaForFragmentList", p.id, err)
	}
	id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if !ok || id == "" {
		id = "none"
	}
	body := newWatchdog(&countingReader{out.Payload, count}, p.cfg.StallTimeout, call, cancel)
	return &download{
		Splitter: payload.NewSplitter(body, payload.Config{Stream: p.id.name, MaxFragmentSize: p.cfg.MaxFragmentSize}),
		body:     out.Payload,
		cancel:   cancel,
		name:     fmt.Sprintf("stream %s (request id %s)", p.id.name, id),
	}, endpoint, nil
}

// close ends the download. The connection is kept if the answer was read to its end.
func (d *download) close() {
	_ = d.body.Close() // the error does not matter: the answer is not used any more
	d.cancel(errClosed)
}

// countingReader counts the bytes read.
type countingReader struct {
	io.Reader
	count func(int)
}

// Read implements io.Reader.
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count(n)
	return n, err
}
