package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// verdict is the class of an error.
type verdict struct {
	// passes reports whether the failure is temporary: the same request may succeed later.
	passes bool
	// renew reports whether the next request needs fresh credentials.
	renew bool
}

// verdicts classifies the error codes of S3 that are more specific than their HTTP status (Amazon S3 API
// Reference, Error responses). It is the only such table.
var verdicts = map[string]verdict{
	// The body was damaged or cut in transit.
	"BadDigest":                   {passes: true},
	"IncompleteBody":              {passes: true},
	"XAmzContentChecksumMismatch": {passes: true},
	"XAmzContentSHA256Mismatch":   {passes: true},
	// The server is overloaded, or a limit was reached.
	"BandwidthLimitExceeded": {passes: true},
	"InternalError":          {passes: true},
	"RequestLimitExceeded":   {passes: true},
	"RequestTimeout":         {passes: true},
	"RequestTimeTooSkewed":   {passes: true}, // the client sets its clock by the answer
	"ServiceUnavailable":     {passes: true},
	"SlowDown":               {passes: true},
	"SlowDownRead":           {passes: true},
	"SlowDownWrite":          {passes: true},
	"Throttling":             {passes: true},
	"ThrottlingException":    {passes: true},
	"TooManyRequests":        {passes: true},
	// Another write of the key is in progress (Amazon S3 User Guide, How to prevent object overwrites with
	// conditional writes).
	"ConditionalRequestConflict": {passes: true},
	"OperationAborted":           {passes: true},
	// A new bucket is not known everywhere yet.
	"TemporaryRedirect": {passes: true},
	// The credentials have expired; asking for them again renews them.
	"ExpiredToken":          {passes: true, renew: true},
	"ExpiredTokenException": {passes: true, renew: true},
	"TokenRefreshRequired":  {passes: true, renew: true},
}

// passingStatus holds the statuses of temporary failures without a known code; see also judge.
var passingStatus = map[int]bool{
	http.StatusTemporaryRedirect: true,
	http.StatusRequestTimeout:    true,
	http.StatusTooEarly:          true,
	http.StatusTooManyRequests:   true,
}

// judge classifies an error: a temporary failure, or one that lasts until someone changes the bucket, the
// permissions or the settings. It is the only place that decides this.
func judge(err error) verdict {
	if errors.Is(err, context.Canceled) {
		return verdict{} // the caller no longer waits
	}
	if errors.Is(err, errReceipt) {
		return verdict{passes: true}
	}
	var chain *credentialsError
	if errors.As(err, &chain) && !errors.As(chain.err, new(*smithyhttp.ResponseError)) {
		return verdict{passes: true} // there were some when the store was opened
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if v, known := verdicts[api.ErrorCode()]; known {
			return v
		}
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		status := answer.HTTPStatusCode()
		// A successful answer that cannot be read was cut.
		return verdict{passes: passingStatus[status] || status >= 500 && status != http.StatusNotImplemented || status < 300}
	}
	var send *smithyhttp.RequestSendError
	return verdict{passes: errors.As(err, &send) && !untrusted(err)}
}

// untrusted reports whether the server failed to prove its identity.
func untrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host)
}

// Passing reports whether the failure may be temporary: a broken connection, a busy server, a body damaged in
// transit. The store has already repeated the request as often as its settings allow.
func (e *Error) Passing() bool { return judge(e.Err).passes }
