package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/kvsframes/kvsframes/sink"
)

// errReceipt is returned for a put that the server answered with success but without a valid receipt.
var errReceipt = errors.New("the answer does not confirm the object")

// attempts counts the attempts of one request; body is the body that it sends, nil for none.
type attempts struct {
	body *part
	// confirm is called before each attempt; nil is none (see sink.PutOptions).
	confirm func(context.Context) error
	n       int
}

// tries returns an option that counts a request's attempts in a (see eachAttempt).
func (s *Store) tries(a *attempts) func(*s3.Options) {
	return func(o *s3.Options) { o.APIOptions = append(o.APIOptions, s.eachAttempt(a)) }
}

// eachAttempt adds a step after the retrying one. For every attempt it asks whether the caller may write, counts it, checks the receipt,
// and renews expired credentials for the next attempt.
func (s *Store) eachAttempt(a *attempts) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("kvsframesEachAttempt",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				if a.confirm != nil {
					if err := a.confirm(ctx); err != nil {
						return middleware.FinalizeOutput{}, middleware.Metadata{}, err
					}
				}
				a.n++
				out, metadata, err := next.HandleFinalize(ctx, in)
				if err == nil {
					err = checkReceipt(out.Result, a.body)
				}
				if err != nil && judge(err).renew {
					s.renew()
				}
				return out, metadata, err
			}), "Retry", middleware.After)
	}
}

// credentials are those of the AWS chain. It marks their errors, which the SDK does not.
type credentials struct{ *aws.CredentialsCache }

// Retrieve implements aws.CredentialsProvider.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsCache.Retrieve(ctx)
	if err != nil {
		err = &credentialsError{err}
	}
	return found, err
}

// credentialsError is why the AWS chain gave no credentials.
type credentialsError struct{ err error }

// Error implements error.
func (e *credentialsError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *credentialsError) Unwrap() error { return e.err }

// renew drops the cached credentials, so that the next request asks the chain for them.
func (s *Store) renew() {
	if cache, ok := s.client.Options().Credentials.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}

// checkReceipt returns an error unless the answer states that the server stored body. A proxy that wants a
// login, or a server that is starting, may have answered instead.
func checkReceipt(answer any, body *part) error {
	var etag, checksum *string
	switch answer := answer.(type) {
	case *s3.PutObjectOutput:
		etag, checksum = answer.ETag, answer.ChecksumCRC32
	case *s3.UploadPartOutput:
		etag, checksum = answer.ETag, answer.ChecksumCRC32
	case *s3.CompleteMultipartUploadOutput:
		etag = answer.ETag
	case *s3.CreateMultipartUploadOutput:
		etag = answer.UploadId
	default:
		return nil
	}
	sum := aws.ToString(checksum)
	if sum == "" {
		if aws.ToString(etag) == "" {
			return fmt.Errorf("%w: it has neither ETag nor checksum", errReceipt)
		}
		return nil
	}
	ours, err := body.crc32()
	switch {
	case err != nil:
		return err
	case sum != base64CRC32(ours):
		return fmt.Errorf("%w: its checksum is %s", errReceipt, sum)
	}
	return nil
}

// content identifies the content of an object by its size, its CRC32, and the ETag that it has where ETags
// are digests.
type content struct {
	size  int64
	crc32 uint32
	etag  func() (string, error)
}

// Holds implements sink.Store. It compares size and CRC32 or, without a CRC32, an ETag that is an MD5. If that is another one, it may be none,
// or that of other parts; then the object is read. None of these detects forgery; all detect a different picture.
func (s *Store) Holds(ctx context.Context, key string, body []byte) (bool, error) {
	if err := sink.CheckKey(key); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	want, err := whole(body).content()
	if err != nil {
		return false, err
	}
	same, err := s.has(ctx, key, want)
	if errors.Is(err, sink.ErrUnseen) {
		return false, nil
	}
	return same, err
}

// content identifies an object that consists of the part.
func (p *part) content() (content, error) {
	sum, err := p.crc32()
	return content{int64(p.size), sum, func() (string, error) {
		sum, err := p.md5()
		return hex.EncodeToString(sum), err
	}}, err
}

// has reports whether the object of a key has this content. The error is sink.ErrUnseen if the server does not tell.
func (s *Store) has(ctx context.Context, key string, want content) (bool, error) {
	full := s.prefix + key
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.destination.Bucket, Key: &full, ChecksumMode: types.ChecksumModeEnabled,
	}, s.tries(&attempts{}))
	if err != nil {
		err = s.explain(ctx, "look at", full, err)
		var refused *Error
		if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			return false, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		if unasked(err) {
			return false, fmt.Errorf("%w: %w", sink.ErrUnseen, err)
		}
		return false, err
	}
	if aws.ToInt64(head.ContentLength) != want.size {
		return false, nil
	}
	if sum := aws.ToString(head.ChecksumCRC32); sum != "" && head.ChecksumType != types.ChecksumTypeComposite {
		return sum == base64CRC32(want.crc32), nil
	}
	if etag, err := want.etag(); err != nil || etag == strings.Trim(aws.ToString(head.ETag), `"`) {
		return err == nil, err
	}
	return s.reads(ctx, key, want)
}

// reads reads the object of a key, and reports whether it has this content.
func (s *Store) reads(ctx context.Context, key string, want content) (bool, error) {
	body, err := s.Open(ctx, key)
	if err != nil {
		if unasked(err) {
			return false, fmt.Errorf("%w: %w", sink.ErrUnseen, err)
		}
		return false, err
	}
	sum := crc32.NewIEEE()
	size, err := io.Copy(sum, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return false, err
	}
	return size == want.size && sum.Sum32() == want.crc32, nil
}
