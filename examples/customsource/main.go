// Command customsource decodes key frames of video that comes over HTTP into a folder. It shows a source of one's own: anything that
// yields fragments, here a GetMedia payload or an MKV file behind a URL.
//
//	customsource URL FOLDER
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source/payload"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: customsource URL FOLDER")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// download is the source. The request's context ends a read that waits, so Next needs no other.
type download struct {
	body     io.ReadCloser
	splitter *payload.Splitter
}

func open(ctx context.Context, url string) (*download, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return &download{resp.Body, payload.NewSplitter(resp.Body, payload.Config{Stream: "download"})}, nil
}

// Next implements pipeline.Source. A splitter returns whole fragments, a *media.GapError for lost ones, and io.EOF.
func (d *download) Next(context.Context) (*media.Fragment, error) { return d.splitter.Next() }

// Stats implements pipeline.Source.
func (d *download) Stats() media.SourceStats {
	return media.SourceStats{BytesRead: d.splitter.BytesRead()}
}

// Close implements pipeline.Source.
func (d *download) Close() error { return d.body.Close() }

// run writes the key frames of the video as JPEGs, with a manifest.
func run(ctx context.Context, url, folder string) error {
	src, err := open(ctx, url)
	if err != nil {
		return err
	}
	summary, err := keyFrames(ctx, src, folder)
	if err == nil && summary.Gaps > 0 {
		err = fmt.Errorf("%d gaps, the first: %s", summary.Gaps, summary.GapList[0].Detail)
	}
	return err
}

func keyFrames(ctx context.Context, src pipeline.Source, folder string) (_ pipeline.Summary, err error) {
	nothing := pipeline.Summary{}
	store, err := sink.OpenDir(folder, false)
	if err != nil {
		return nothing, errors.Join(err, src.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	config := sink.DefaultConfig()
	config.Name, config.Ext = "keys", "jpg"
	images, err := sink.New(config, store, sink.Options{})
	if err != nil {
		return nothing, errors.Join(err, src.Close())
	}
	pool, err := decode.NewPool(decode.Config{}, nil)
	if err != nil {
		return nothing, errors.Join(err, src.Close())
	}
	defer pool.Close()
	planner, err := pool.Stream([]decode.Output{{Sink: "keys", Sample: plan.Sample{Rule: plan.Keyframes{}}}})
	if err != nil {
		return nothing, errors.Join(err, src.Close())
	}
	return pipeline.Run(ctx, pipeline.Stream{Name: "download", Source: src, Planner: planner, Sinks: []pipeline.Sink{images.NewWriter()}}, pipeline.Options{})
}
