package kvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxAnswer limits the body of an answer without media, in bytes: a page of 10,000 streams has about 5 MB.
const maxAnswer = 32 << 20

// answerTime is how long an answer may take that is not media, from the request to its last byte. A service or a proxy that hangs
// inside a small answer must not stop a stream.
const answerTime = 30 * time.Second

// errLate is the error of an answer that takes longer.
var errLate = fmt.Errorf("no whole answer within %v", answerTime)

// boundedClient limits the size of answers, which the SDK reads into memory, and their time. Media is not limited here: the
// splitter, which reads it, has its own limits, and a watchdog.
type boundedClient struct{ aws.HTTPClient }

// bounded returns a client with the limits.
func bounded(client aws.HTTPClient) aws.HTTPClient { return boundedClient{client} }

// Do implements aws.HTTPClient.
func (c boundedClient) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	late := time.AfterFunc(answerTime, func() { cancel(errLate) })
	resp, err := c.HTTPClient.Do(req.WithContext(ctx))
	if err != nil {
		late.Stop()
		err = causeOf(ctx, err)
		cancel(nil)
		return nil, err
	}
	body := &cappedBody{ReadCloser: resp.Body, ctx: ctx, end: func() { late.Stop(); cancel(nil) }}
	switch {
	case resp.StatusCode/100 != 2:
		body.left = maxErrorBody
	case strings.HasSuffix(req.URL.Path, "/getMediaForFragmentList"):
		late.Stop()
		body.left = math.MaxInt64
	default:
		body.left, body.fail = maxAnswer, true
	}
	resp.Body = body
	return resp, nil
}

// causeOf returns errLate in place of an error that it has caused.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errLate) {
		return cause
	}
	return err
}

// cappedBody ends after left bytes: with an error if fail is set, and otherwise with io.EOF, which suffices for
// the body of a refusal.
type cappedBody struct {
	io.ReadCloser
	left int64
	fail bool
	// ctx is the answer's, and end releases it.
	ctx context.Context
	end func()
}

// Read implements io.Reader.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if b.fail {
			return 0, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
		}
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = causeOf(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *cappedBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
