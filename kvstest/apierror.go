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

func errMissingAuth(message string) *apiError {
	return &apiError{status: http.StatusForbidden, code: "MissingAuthenticationTokenException", message: message}
}

const codeSignature = "InvalidSignatureException"

func errSignature(message string) *apiError {
	return &apiError{status: http.StatusForbidden, code: codeSignature, message: message}
}

func errUnrecognizedClient(message string) *apiError {
	return &apiError{status: http.StatusForbidden, code: "UnrecognizedClientException", message: message}
}

func errIncompleteSignature(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "IncompleteSignatureException", message: message}
}

func errSerialization(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "SerializationException", message: message}
}

func errTooLarge(message string) *apiError {
	return &apiError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLargeException", message: message}
}

func errInvalidArgument(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "InvalidArgumentException", message: message}
}

func errNotFound(message string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "ResourceNotFoundException", message: message}
}

func errConnectionLimit(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "ConnectionLimitExceededException", message: message}
}

func errClientLimit(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "ClientLimitExceededException", message: message}
}

func errNoRetention(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "NoDataRetentionException", message: message}
}

func errInUse(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "ResourceInUseException", message: message}
}

func errInvalidEndpoint(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "InvalidEndpointException", message: message}
}

// errUnknownOperation returns the answer of an AWS host to a path that it does not serve (Kinesis Video Streams
// Developer Guide, Troubleshooting).
func errUnknownOperation(path string) *apiError {
	return &apiError{status: http.StatusForbidden, code: "AccessDeniedException", message: "no operation is served at " + path, xml: true}
}

// write sends the refusal in the form of AWS's rest-json services: the code in a header, the message in a JSON body.
func (e *apiError) write(w http.ResponseWriter) {
	contentType, body := "application/json", e.json()
	if e.xml {
		contentType, body = "application/xml", e.markup()
	} else {
		w.Header().Set("x-amzn-ErrorType", e.code)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}

func (e *apiError) json() []byte {
	body, err := json.Marshal(struct{ Message string }{e.message})
	if err != nil {
		panic(err) // a struct of one string always marshals
	}
	return body
}

func (e *apiError) markup() []byte {
	body, err := xml.Marshal(struct {
		XMLName xml.Name
		Message string
	}{xml.Name{Local: e.code}, e.message})
	if err != nil {
		panic(err) // the codes are fixed names
	}
	return append(body, '\n')
}

// newRequestID returns a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (package crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
