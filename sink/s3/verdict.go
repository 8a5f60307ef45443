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
	// passes reports whether the trouble may pass: the request is worth repeating as it is.
	passes bool
	// renew reports whether the next request wants fresh credentials.
	renew bool
}

// verdicts is the one table of the codes that S3 answers with (Amazon S3 API Reference, Error
// responses) and that say more than their status does.
var verdicts = map[string]verdict{
	// The body was damaged or cut on its way.
	"BadDigest":                   {passes: true},
	"IncompleteBody":              {passes: true},
	"XAmzContentChecksumMismatch": {passes: true},
	"XAmzContentSHA256Mismatch":   {passes: true},
	// The server, or a limit.
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
	// Another write of the key is under way (Amazon S3 User Guide, How to prevent object
	// overwrites with conditional writes).
	"ConditionalRequestConflict": {passes: true},
	"OperationAborted":           {passes: true},
	// A bucket that is new is not yet known everywhere.
	"TemporaryRedirect": {passes: true},
	// Credentials that are renewed when they are asked for again.
	"ExpiredToken":          {passes: true, renew: true},
	"ExpiredTokenException": {passes: true, renew: true},
	"TokenRefreshRequired":  {passes: true, renew: true},
}

// passingStatus are the statuses that say enough without a code; see also judge.
var passingStatus = map[int]bool{
	http.StatusTemporaryRedirect: true,
	http.StatusRequestTimeout:    true,
	http.StatusTooEarly:          true,
	http.StatusTooManyRequests:   true,
}

// judge classifies an error: trouble that may pass, or trouble that stays until somebody changes the
// bucket, the permissions or the settings. No other place decides this.
func judge(err error) verdict {
	if errors.Is(err, context.Canceled) {
		return verdict{} // nobody waits for it any more
	}
	if errors.Is(err, errReceipt) {
		return verdict{passes: true}
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
		// An answer that says it was done and cannot be read was cut.
		return verdict{passes: passingStatus[status] || status >= 500 && status != http.StatusNotImplemented || status < 300}
	}
	var send *smithyhttp.RequestSendError
	return verdict{passes: errors.As(err, &send) && !untrusted(err)}
}

// untrusted reports whether the server is not the one that it should be.
func untrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host)
}

// Passing reports whether the trouble may pass: a connection that broke, a busy server, a body that was
// damaged on the way. The store has repeated the request as often as it does.
func (e *Error) Passing() bool { return judge(e.Err).passes }
