package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/kvsframes/kvsframes/sink"
)

// errReceipt is why a put counts as failed although the server answered that it was done.
var errReceipt = errors.New("the answer is no receipt for the object")

// attempts are the tries of one request. n is their number; body is what they put, nil for nothing.
type attempts struct {
	body []byte
	n    int
}

// eachAttempt adds a step behind the one that repeats requests, which counts tries, wants a receipt, and
// renews credentials that have expired, for the next try.
func (s *Store) eachAttempt(a *attempts) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("kvsframesEachAttempt",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				a.n++
				out, metadata, err := next.HandleFinalize(ctx, in)
				if put, ok := out.Result.(*s3.PutObjectOutput); ok && err == nil {
					err = checkReceipt(put, a.body)
				}
				if err != nil && judge(err).renew {
					s.renew()
				}
				return out, metadata, err
			}), "Retry", middleware.After)
	}
}

// renew forgets the credentials, so that the chain is asked again.
func (s *Store) renew() {
	if cache, ok := s.client.Options().Credentials.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}

// checkReceipt returns an error unless the server says what it has stored, and that it is body. Something
// between it and us (a proxy that wants a login, a server that is just starting) may have answered.
func checkReceipt(put *s3.PutObjectOutput, body []byte) error {
	sum := aws.ToString(put.ChecksumCRC32)
	switch {
	case sum != "" && sum != crc32Base64(body):
		return fmt.Errorf("%w: its checksum is %s", errReceipt, sum)
	case sum == "" && aws.ToString(put.ETag) == "":
		return fmt.Errorf("%w: it has neither ETag nor checksum", errReceipt)
	}
	return nil
}

// Holds implements sink.Store. It asks for size and CRC32 or, where there is none, for an ETag that is
// an MD5: neither is proof against forgery, both are against another picture.
func (s *Store) Holds(ctx context.Context, key string, body []byte) (bool, error) {
	if err := sink.CheckKey(key); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	full := s.prefix + key
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.destination.Bucket, Key: &full, ChecksumMode: types.ChecksumModeEnabled,
	}, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, s.eachAttempt(&attempts{})) })
	if err != nil {
		err = s.explain(ctx, "look at", full, err)
		var refused *Error
		if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			return false, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		if unasked(err) {
			return false, nil
		}
		return false, err
	}
	if aws.ToInt64(head.ContentLength) != int64(len(body)) {
		return false, nil
	}
	if sum := aws.ToString(head.ChecksumCRC32); sum != "" && head.ChecksumType != types.ChecksumTypeComposite {
		return sum == crc32Base64(body), nil
	}
	sum := md5.Sum(body)
	return strings.Trim(aws.ToString(head.ETag), `"`) == hex.EncodeToString(sum[:]), nil
}
