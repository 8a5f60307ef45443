package source

import (
	"errors"
	"strconv"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Class is what a reader should do about an error.
type Class string

// The classes of errors.
const (
	// ClassRetry errors are temporary: read again from the same place.
	ClassRetry Class = "retry"
	// ClassGap errors concern one fragment: the fragment is lost and the stream continues.
	ClassGap Class = "gap"
	// ClassFatal errors persist until someone changes the stream, its key, the permissions or the settings.
	ClassFatal Class = "fatal"
)

// Verdict states how to treat one kind of error.
type Verdict struct {
	// Class states how to handle the error.
	Class Class
	// Tries is how many times in a row reading is retried before the error is fatal; 0 is no limit.
	Tries int
	// Refresh reports whether the next call needs a fresh data endpoint and fresh credentials.
	Refresh bool
	// Internal reports whether the service is at fault, rather than the fragment with which the error came.
	Internal bool
	// Hint is advice for the user; it may be empty.
	Hint string
}

// CodeWrongHost is the code of an answer in XML or HTML. The services of KVS answer only in JSON, so another host has
// answered.
const CodeWrongHost = "WrongHost"

const (
	hintCredentials = "check the access key id and the session token, and that they belong to the region's partition"
	hintSignature   = "check the secret access key, the region and this machine's clock"
	hintPermission  = "the credentials need kinesisvideo:GetDataEndpoint and kinesisvideo:GetMedia on the stream, and must not have expired"
	hintKey         = "enable or restore the stream's KMS key and see that the reader may use it (kms:Decrypt)"
)

// verdicts is the only table of errors. Its keys are the codes of refused calls (Kinesis Video Streams API
// Reference, GetMedia, GetDataEndpoint and Common Errors) and the IDs of the error tags inside a payload
// (GetMedia; 3000 occurs in practice but is not documented).
//
// A refusal that fresh credentials may resolve is retried once with them. Throttled calls have status 400,
// which no SDK retries.
var verdicts = map[string]Verdict{
	"ClientLimitExceededException":     {Class: ClassRetry, Hint: "too many calls, of all consumers together; try again later"},
	"ConnectionLimitExceededException": {Class: ClassRetry, Hint: "the stream is being read by as many consumers as KVS allows; stop one of them"},
	"InvalidArgumentException":         {Class: ClassFatal, Hint: "check the stream and the start selector"},
	"InvalidEndpointException":         {Class: ClassRetry, Refresh: true, Hint: "the data endpoint is no longer valid; open the stream again"},
	"NotAuthorizedException":           {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintPermission},
	"ResourceNotFoundException":        {Class: ClassFatal, Hint: "check the stream's name, the region and the account"},

	"AccessDeniedException":               {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintPermission},
	"ExpiredTokenException":               {Class: ClassRetry, Tries: 1, Refresh: true, Hint: "the credentials have expired; renew them"},
	"UnrecognizedClientException":         {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintCredentials},
	"InvalidClientTokenId":                {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintCredentials},
	"InvalidClientTokenIdException":       {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintCredentials},
	"InvalidSignatureException":           {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"SignatureDoesNotMatch":               {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"IncompleteSignatureException":        {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"RequestTimeTooSkewed":                {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"RequestExpired":                      {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"RequestInTheFuture":                  {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"AuthFailure":                         {Class: ClassRetry, Tries: 1, Refresh: true, Hint: hintSignature},
	"MissingAuthenticationTokenException": {Class: ClassFatal, Hint: "the request arrived without its signature; check proxies"},
	CodeWrongHost:                         {Class: ClassRetry, Tries: 3, Refresh: true, Hint: "this host does not serve Kinesis Video Streams; check endpoint_url and proxies"},
	"ThrottlingException":                 {Class: ClassRetry},
	"RequestLimitExceeded":                {Class: ClassRetry},
	"InternalFailure":                     {Class: ClassRetry},
	"ServiceUnavailable":                  {Class: ClassRetry},

	"3000": {Class: ClassRetry},                 // fragment not found, often temporary
	"3002": {Class: ClassRetry, Internal: true}, // error writing to the stream
	"4000": {Class: ClassGap},                   // the requested fragment was not found
	"4500": {Class: ClassFatal, Hint: "allow the reader kms:Decrypt on the stream's KMS key"},
	"4501": {Class: ClassFatal, Hint: "enable the stream's KMS key"},
	"4502": {Class: ClassFatal, Hint: hintKey},
	"4503": {Class: ClassRetry, Tries: 10, Hint: hintKey}, // the key is unavailable
	"4504": {Class: ClassFatal, Hint: hintKey},
	"4505": {Class: ClassFatal, Hint: hintKey},
	"4506": {Class: ClassFatal, Hint: "the stream's KMS key no longer exists; give the stream another one"},
	"5000": {Class: ClassRetry, Internal: true}, // internal error
}

// VerdictOf returns how to handle an error of a call or of a session. It recognizes *payload.ErrorTag, errors with an
// ErrorCode method (as in the AWS SDK) and the errors of the Splitter. Any other error counts as a lost connection.
func VerdictOf(err error) Verdict {
	var tag *payload.ErrorTag
	if errors.As(err, &tag) {
		return judgeTag(tag)
	}
	switch {
	case errors.Is(err, payload.ErrTooLarge):
		return Verdict{Class: ClassGap, Hint: "raise max_fragment_size"}
	case errors.As(err, new(*payload.SplitError)):
		return Verdict{Class: ClassRetry}
	}
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) {
		// It is not an answer of KVS: a broken connection, a name that does not resolve, credentials that cannot be loaded.
		return Verdict{Class: ClassRetry, Refresh: true}
	}
	if v, ok := verdicts[coded.ErrorCode()]; ok {
		return v
	}
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) && status.HTTPStatusCode() >= 500 {
		return Verdict{Class: ClassRetry}
	}
	return Verdict{Class: ClassRetry, Tries: 3, Refresh: true}
}

// Hint returns advice for the user about a refused call, or "" when the table has none.
func Hint(code string) string { return verdicts[code].Hint }

// judgeTag returns how to handle an error tag. IDs that AWS does not document are classified by their
// thousands: 4xxx is fatal as the caller's error, all others are retried.
func judgeTag(tag *payload.ErrorTag) Verdict {
	if v, ok := verdicts[strconv.Itoa(tag.ID)]; ok {
		return v
	}
	if tag.ID >= 4000 && tag.ID < 5000 {
		return Verdict{Class: ClassFatal}
	}
	return Verdict{Class: ClassRetry, Internal: tag.ID >= 5000}
}

// The causes of gaps that are not errors of the payload.
var (
	errConflict error = &payload.Cause{Reason: media.GapConflict, Text: "the fragment's number was already used with other media: only the first fragment is kept"}
	errOutage   error = &payload.Cause{Reason: media.GapOutage, Text: "the service was out of reach in between, so that media may have been lost"}
	errSilent   error = &payload.Cause{Reason: media.GapCut, Text: "the stream fell silent inside a fragment"}
	errMissing  error = &payload.Cause{Reason: media.GapMissing, Text: "the fragment after which to continue no longer exists: fragments after it may be lost"}
)
