package s3

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List calls visit with the key, without the prefix, of each object below the prefix, in order, until visit returns an error. It needs the
// permission s3:ListBucket.
func (s *Store) List(ctx context.Context, visit func(key string) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.destination.Bucket, Prefix: &s.prefix}
	for {
		page, err := s.client.ListObjectsV2(ctx, in, s.tries(&attempts{}))
		if err != nil {
			return s.explain(ctx, "list", s.prefix, err)
		}
		for _, object := range page.Contents {
			if err := visit(strings.TrimPrefix(aws.ToString(object.Key), s.prefix)); err != nil {
				return err
			}
		}
		if in.ContinuationToken = page.NextContinuationToken; in.ContinuationToken == nil {
			return nil
		}
	}
}

// Open returns the content of an object, which the caller closes. Without an object it returns an error that is fs.ErrNotExist. It needs the
// permission s3:GetObject; without s3:ListBucket S3 answers 403 where there is no object.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	full, err := s.fullKey(key)
	if err != nil {
		return nil, err
	}
	r := &resuming{ctx: ctx, store: s, key: full}
	return r, r.open()
}

// resumptions is how often reading one object is continued after an answer that was cut.
const resumptions = 5

// resuming reads an object, and continues where an answer was cut.
type resuming struct {
	ctx      context.Context
	store    *Store
	key      string
	body     io.ReadCloser
	etag     *string // of the first answer: the object must not change in between
	at       int64
	failures int
}

// open asks for the object from r.at on.
func (r *resuming) open() error {
	in := &s3.GetObjectInput{Bucket: &r.store.destination.Bucket, Key: &r.key, IfMatch: r.etag}
	if r.at > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.at))
	}
	out, err := r.store.client.GetObject(r.ctx, in, r.store.tries(&attempts{}))
	if err != nil {
		if err = r.store.explain(r.ctx, "read", r.key, err); isMissing(err) {
			return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return err
	}
	r.body, r.etag = out.Body, out.ETag
	return nil
}

// Read implements io.Reader.
func (r *resuming) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.at += int64(n)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case r.ctx.Err() != nil || r.failures == resumptions:
		return n, r.store.explain(r.ctx, "read", r.key, err)
	}
	r.failures++
	_ = r.body.Close()
	return n, r.open()
}

// Close implements io.Closer.
func (r *resuming) Close() error { return r.body.Close() }
