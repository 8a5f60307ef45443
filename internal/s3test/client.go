package s3test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
)

// maxAnswer bounds the size of an answer, in bytes.
const maxAnswer = 256 << 20

// Bucket creates an empty bucket and returns its name.
func (s Server) Bucket(tb testing.TB) string {
	tb.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	if _, _, err := s.request(context.WithoutCancel(tb.Context()), http.MethodPut, "/"+name, nil); err != nil {
		tb.Fatalf("make bucket: %v", err)
	}
	return name
}

// Forward returns a handler that passes requests on to the server, for tests that put something between the two. A request with a session
// token is signed again without it, since the server knows no temporary credentials.
func (s Server) Forward(tb testing.TB) http.Handler {
	tb.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which the signature covers
		if r.Out.Header.Get("X-Amz-Security-Token") == "" {
			return
		}
		r.Out.Header.Del("X-Amz-Security-Token")
		if err := s.sign(r.Out, r.Out.Header.Get("X-Amz-Content-Sha256")); err != nil {
			tb.Errorf("sign a request again: %v", err)
		}
	}}
}

// sign signs a request whose body has this hash.
func (s Server) sign(r *http.Request, hash string) error {
	credentials := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return signer.SignHTTP(r.Context(), credentials, r, hash, "s3", s.Region, time.Now())
}

// Get returns an object, or an error that is fs.ErrNotExist.
func (s Server) Get(ctx context.Context, bucket, key string) ([]byte, error) {
	_, body, err := s.request(ctx, http.MethodGet, "/"+bucket+"/"+key, nil)
	return body, err
}

// Delete deletes an object.
func (s Server) Delete(tb testing.TB, bucket, key string) {
	tb.Helper()
	if _, _, err := s.request(tb.Context(), http.MethodDelete, "/"+bucket+"/"+key, nil); err != nil {
		tb.Errorf("delete object: %v", err)
	}
}

// Head returns the header of an object with its checksum, or an error that is fs.ErrNotExist.
func (s Server) Head(ctx context.Context, bucket, key string) (http.Header, error) {
	header, _, err := s.request(ctx, http.MethodHead, "/"+bucket+"/"+key, nil)
	return header, err
}

// Tags returns the tags of an object.
func (s Server) Tags(ctx context.Context, bucket, key string) (map[string]string, error) {
	_, body, err := s.request(ctx, http.MethodGet, "/"+bucket+"/"+key, url.Values{"tagging": {""}})
	if err != nil {
		return nil, err
	}
	// Amazon S3 API Reference, GetObjectTagging.
	var answer struct {
		Tags []struct {
			Key   string `xml:"Key"`
			Value string `xml:"Value"`
		} `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read tags of %s: %w", key, err)
	}
	tags := map[string]string{}
	for _, tag := range answer.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags, nil
}

// unfinished is part of the names of the server's unfinished files. The server lists them as if they were
// objects, which S3 never does.
const unfinished = ".sgwtmp."

// Keys returns the keys of all objects of a bucket, in order.
func (s Server) Keys(ctx context.Context, bucket string) ([]string, error) {
	var keys []string
	query := url.Values{"list-type": {"2"}}
	for {
		_, body, err := s.request(ctx, http.MethodGet, "/"+bucket, query)
		if err != nil {
			return nil, err
		}
		// Amazon S3 API Reference, ListObjectsV2.
		var page struct {
			Contents []struct {
				Key string `xml:"Key"`
			} `xml:"Contents"`
			NextContinuationToken string `xml:"NextContinuationToken"`
		}
		if err := xml.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("read list of %s: %w", bucket, err)
		}
		for _, object := range page.Contents {
			if !strings.Contains(object.Key, unfinished) {
				keys = append(keys, object.Key)
			}
		}
		if page.NextContinuationToken == "" {
			slices.Sort(keys)
			return keys, nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// Uploads returns the keys of a bucket's open multipart uploads, in order.
func (s Server) Uploads(ctx context.Context, bucket string) ([]string, error) {
	_, body, err := s.request(ctx, http.MethodGet, "/"+bucket, url.Values{"uploads": {""}})
	if err != nil {
		return nil, err
	}
	// Amazon S3 API Reference, ListMultipartUploads.
	var page struct {
		Uploads []struct {
			Key string `xml:"Key"`
		} `xml:"Upload"`
		IsTruncated bool `xml:"IsTruncated"`
	}
	if err := xml.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("read uploads of %s: %w", bucket, err)
	}
	if page.IsTruncated {
		return nil, fmt.Errorf("bucket %s has more uploads than one answer lists", bucket)
	}
	var keys []string
	for _, upload := range page.Uploads {
		keys = append(keys, upload.Key)
	}
	slices.Sort(keys)
	return keys, nil
}

// request sends a signed request without body. It does not use the S3 client, so that tests read by other code
// than they test.
func (s Server) request(ctx context.Context, method, path string, query url.Values) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint, nil)
	if err != nil {
		return nil, nil, err
	}
	req.URL.Path = path
	req.URL.RawPath = httpbinding.EscapePath(path, false)
	// SigV4 requires a space as %20, but Go encodes it as a plus.
	req.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	sum := sha256.Sum256(nil)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if method == http.MethodHead {
		req.Header.Set("X-Amz-Checksum-Mode", "ENABLED")
	}
	if err := s.sign(req, hash); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent:
		return nil, nil, fmt.Errorf("%s %s: HTTP %d: %s", method, path, resp.StatusCode, body)
	}
	return resp.Header, body, nil
}
