package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvsframes/kvsframes/internal/awschain"
	"github.com/kvsframes/kvsframes/sink"
)

// Error describes a request that S3 refused, or that did not reach it.
type Error struct {
	// Op is the operation: open, put, read, look at or abandon.
	Op string
	// Bucket and Key name the object. Key includes the prefix; it is empty for open.
	Bucket, Key string
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int
	// Code and Message are from S3, empty when it sent none.
	Code, Message string
	// RequestID identifies the request for AWS support.
	RequestID string
	// Hint names the probable mistake, or is empty.
	Hint string
	// Err is the cause: sink.ErrExist, sink.ErrFenced, sink.ErrKeyConflict, or the client's error.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s s3://%s", e.Op, e.Bucket)
	if e.Key != "" {
		b.WriteString("/" + e.Key)
	}
	switch {
	case e.Status == 0:
		fmt.Fprintf(&b, ": %v", e.cause())
	case e.Code == "" && e.Status < http.StatusMultipleChoices:
		fmt.Fprintf(&b, ": %v", e.cause())
	case e.Code == "":
		fmt.Fprintf(&b, ": HTTP %d %s", e.Status, http.StatusText(e.Status))
	case e.Message == "":
		fmt.Fprintf(&b, ": %s (HTTP %d)", e.Code, e.Status)
	default:
		fmt.Fprintf(&b, ": %s: %s (HTTP %d)", e.Code, e.Message, e.Status)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, ", request id %s", e.RequestID)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}

// cause returns the innermost cause, without the client's report around it.
func (e *Error) cause() error {
	var send *smithyhttp.RequestSendError
	if errors.As(e.Err, &send) {
		return send.Err
	}
	var operation *smithy.OperationError
	if errors.Is(e.Err, errReceipt) && errors.As(e.Err, &operation) {
		return operation.Err
	}
	return e.Err
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// explain turns an error of the client into an Error, which a user can act on.
func (s *Store) explain(ctx context.Context, op, key string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s s3://%s/%s: %w", op, s.destination.Bucket, key, ended)
	}
	e := &Error{Op: op, Bucket: s.destination.Bucket, Key: key, Err: err}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		e.Status, e.RequestID = answer.HTTPStatusCode(), answer.ServiceRequestID()
	}
	e.classify(answer)
	return e
}

func (e *Error) classify(answer *awshttp.ResponseError) {
	var role *awschain.RoleError
	switch {
	case errors.As(e.Err, &role):
		e.Hint = "could not assume role " + role.Role
	case e.Status == http.StatusPreconditionFailed:
		e.Err = fmt.Errorf("%w: %w", sink.ErrExist, e.Err)
	case e.Code == "NoSuchUpload":
		e.Err = fmt.Errorf("%w: %w", sink.ErrFenced, e.Err)
	case e.Code == "ObjectParentIsFile" || e.Code == "ExistingObjectIsDirectory":
		// Some servers keep objects in files.
		e.Err = fmt.Errorf("%w: %w", sink.ErrKeyConflict, e.Err)
	case e.Op == "open" && e.Status == http.StatusNotFound:
		e.Hint = "there is no such bucket"
	case e.Status == http.StatusMovedPermanently:
		e.Hint = "the bucket is in another region"
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
			e.Hint += ": " + region
		}
	case errors.As(e.Err, new(*credentialsError)):
		e.Hint = "no credentials could be had"
	case e.Op == "open" && e.Status == http.StatusBadRequest:
		e.Hint = "the region is wrong, or the credentials have expired"
	}
}

// base64CRC32 returns a checksum as S3 writes it, big-endian in base64 (Amazon S3 API Reference,
// x-amz-checksum-crc32).
func base64CRC32(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}
