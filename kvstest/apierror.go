package kvstest

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
)

// apiError is an answer that refuses a request (Kinesis Video Streams API Reference, the Errors section of each
// action, and Common Errors).
type apiError struct {
	status        int
	code, message string
	// xml selects an answer in XML, as AWS's front end sends it when the request identifies no service.
	xml bool
}

// Error implements error.
func (e *apiError) Error() string {
	return fmt.Sprintf("%s (HTTP %d): %s", e.code, e.status, e.message)
}

const codeSignature = "InvalidSignatureException"

// The refusals of a status and a code, by their message.
var (
	errMissingAuth         = refusing(http.StatusForbidden, "MissingAuthenticationTokenException")
	errSignature           = refusing(http.StatusForbidden, codeSignature)
	errUnrecognizedClient  = refusing(http.StatusForbidden, "UnrecognizedClientException")
	errIncompleteSignature = refusing(http.StatusBadRequest, "IncompleteSignatureException")
	errSerialization       = refusing(http.StatusBadRequest, "SerializationException")
	errTooLarge            = refusing(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException")
	errInvalidArgument     = refusing(http.StatusBadRequest, "InvalidArgumentException")
	errNotFound            = refusing(http.StatusNotFound, "ResourceNotFoundException")
	errConnectionLimit     = refusing(http.StatusBadRequest, "ConnectionLimitExceededException")
	errClientLimit         = refusing(http.StatusBadRequest, "ClientLimitExceededException")
	errNoRetention         = refusing(http.StatusBadRequest, "NoDataRetentionException")
	errInUse               = refusing(http.StatusBadRequest, "ResourceInUseException")
	errInvalidEndpoint     = refusing(http.StatusBadRequest, "InvalidEndpointException")
)

func refusing(status int, code string) func(message string) *apiError {
	return func(message string) *apiError { return &apiError{status: status, code: code, message: message} }
}

// errUnknownOperation returns the answer of an AWS host to a path that it does not serve (Kinesis Video Streams
// Developer Guide, Troubleshooting).
func errUnknownOperation(path string) *apiError {
	return &apiError{status: http.StatusForbidden, code: "AccessDeniedException", message: "no operation is served at " + path, xml: true}
}

// write sends the refusal in the form of AWS's rest-json services: the code in a header, the message in a JSON body.
func (e *apiError) write(w http.ResponseWriter) {
	answer := struct {
		XMLName xml.Name `json:"-"`
		Message string
	}{xml.Name{Local: e.code}, e.message}
	contentType, end, marshal := "application/json", "", json.Marshal
	if e.xml {
		contentType, end, marshal = "application/xml", "\n", xml.Marshal
	} else {
		w.Header().Set("x-amzn-ErrorType", e.code)
	}
	body, err := marshal(answer)
	if err != nil {
		panic(err) // a name and a string always marshal
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(e.status)
	_, _ = w.Write(append(body, end...))
}

// newRequestID returns a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (package crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
