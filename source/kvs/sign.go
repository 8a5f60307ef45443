package kvs

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kvsframes/kvsframes/source"
)

// SignGetMedia returns a signed GetMedia call of the stream in cfg, from cfg.Start on, for a client without an AWS SDK: its method, URL,
// headers and body may not be changed, other headers may be added. KVS accepts it for 5 min; the answer may last longer. The
// request has no secret key, but with temporary credentials their session token. Its context is ctx.
//
// The stream's data endpoint is requested from the service first. A refusal is an *Error.
func SignGetMedia(ctx context.Context, cfg Config) (*http.Request, error) {
	cfg, err := cfg.withChain(ctx)
	if err != nil {
		return nil, err
	}
	cfg.Mode = source.ModeLive
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	at, err := d.locate(ctx)
	if err != nil {
		return nil, err
	}
	if !at.IsZero() { // no refusal will tell of a wrong clock
		d.client.setClock(at)
	}
	req, err := d.client.request(ctx, newMediaRequest(d.id, d.cfg.Start))
	if err != nil {
		return nil, fmt.Errorf("sign GetMedia of stream %s: %w", d.id.name, err)
	}
	return req, nil
}
