package kvs

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxAnswer limits the body of an answer without media, in bytes: a page of 10,000 streams has about 5 MB.
const maxAnswer = 32 << 20

// boundedClient limits the size of answers, which the SDK reads into memory. Media is not limited here: the
// splitter, which reads it, has its own limits.
type boundedClient struct{ aws.HTTPClient }

// bounded returns a client with the limit.
func bounded(client aws.HTTPClient) aws.HTTPClient { return boundedClient{client} }

// Do implements aws.HTTPClient.
func (c boundedClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.HTTPClient.Do(req)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode/100 != 2:
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxErrorBody}
	case !strings.HasSuffix(req.URL.Path, "/getMediaForFragmentList"):
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxAnswer, fail: true}
	}
	return resp, nil
}

// cappedBody ends after left bytes: with an error if fail is set, and otherwise with io.EOF, which suffices for
// the body of a refusal.
type cappedBody struct {
	io.ReadCloser
	left int64
	fail bool
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
	return n, err
}
