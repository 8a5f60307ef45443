package kvs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvsframes/kvsframes/source"
)

// Error describes a call that KVS refused.
type Error struct {
	// Stream is the stream's name, Operation the call.
	Stream, Operation string
	// Code is the exception's name, Message its text.
	Code, Message string
	// Status is the HTTP status, 0 when unknown.
	Status int
	// RequestID identifies the request for AWS support; it may be empty.
	RequestID string
	// Err is the SDK's error.
	Err error
}

// Error implements error. The text ends with advice on the error.
func (e *Error) Error() string {
	text := fmt.Sprintf("call %s of stream %s: %s: %s (HTTP %d, request id %s)", e.Operation, e.Stream, e.Code, e.Message, e.Status, cmp.Or(e.RequestID, "none"))
	if hint := source.Hint(e.Code); hint != "" {
		text += ": " + hint
	}
	return text
}

// Unwrap returns the SDK's error.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code, by which source.VerdictOf classifies errors.
func (e *Error) ErrorCode() string { return e.Code }

// HTTPStatusCode returns the HTTP status, 0 when unknown.
func (e *Error) HTTPStatusCode() int { return e.Status }

// describe adds the call and the stream to an error, as an *Error if KVS refused the call.
func describe(operation string, id streamID, err error) error {
	var markup *smithy.DeserializationError
	if errors.As(err, &markup) {
		if found := markupError(markup.Snapshot); found != nil {
			err = &errorInstead{APIError: found, err: err}
		}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("call %s of stream %s: %w", operation, id.name, err)
	}
	e := &Error{
		Stream: id.name, Operation: operation, Err: err,
		Code: printable(api.ErrorCode(), maxCode), Message: printable(api.ErrorMessage(), maxMessage),
	}
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		e.Status = status.HTTPStatusCode()
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		e.RequestID = printable(request.ServiceRequestID(), maxCode)
	}
	return e
}

// Limits of the parts of an answer in errors, in characters.
const (
	maxCode    = 128
	maxMessage = 500
)

// printable returns text from the network as one line for a terminal, cut to a number of characters.
func printable(text string, most int) string {
	count := 0
	for i := range text {
		if count++; count > most {
			text = text[:i] + "..."
			break
		}
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// errorInstead is an API error in an answer that the SDK could not read.
type errorInstead struct {
	smithy.APIError
	err error
}

// Unwrap returns the SDK's error.
func (e *errorInstead) Unwrap() error { return e.err }

// maxErrorBody limits how much of the body of a refusal is read, in bytes.
const maxErrorBody = 64 << 10

// readError turns a refusal into the error that the SDK's modules would return.
func readError(resp *http.Response) error {
	return &awshttp.ResponseError{
		RequestID: requestID(resp.Header),
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: resp},
			Err:      refusal(resp),
		},
	}
}

// requestID reads the header that AWS documents and the one that it sends.
func requestID(h http.Header) string {
	return cmp.Or(h.Get("X-Amzn-Requestid"), h.Get("X-Amz-Requestid"), h.Get("X-Amz-Request-Id"))
}

// refusal finds code and message: in the header, whose value may continue after a colon, or in the body, under
// one of the names that services use.
func refusal(resp *http.Response) *smithy.GenericAPIError {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		// The status and the headers are usable without the body.
		body = nil
	}
	if found := markupError(body); found != nil {
		return found
	}
	var in struct {
		Type    string `json:"__type"`
		Code    string
		Message string
	}
	_ = json.Unmarshal(body, &in) // what cannot be read leaves the fields empty
	fault := smithy.FaultClient
	if resp.StatusCode >= http.StatusInternalServerError {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{
		Code:    cleanCode(cmp.Or(resp.Header.Get("X-Amzn-Errortype"), resp.Header.Get("X-Amz-Errortype"), in.Type, in.Code, "UnknownError")),
		Message: cmp.Or(in.Message, "no message"),
		Fault:   fault,
	}
}

// cleanCode removes the address after a code and the namespace before it.
func cleanCode(code string) string {
	code, _, _ = strings.Cut(code, ":")
	return code[strings.LastIndex(code, "#")+1:]
}

// markupError reads an answer in XML or HTML. It returns nil for any other body.
func markupError(body []byte) *smithy.GenericAPIError {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return nil
	}
	var in struct {
		XMLName xml.Name
		Code    string
		Message string
		Error   struct{ Code, Message string }
	}
	if err := xml.Unmarshal(body, &in); err != nil {
		in.XMLName.Local = "a page that is not XML"
	}
	answer := cmp.Or(in.Code, in.Error.Code, in.XMLName.Local)
	if message := cmp.Or(in.Message, in.Error.Message); message != "" {
		answer += ": " + message
	}
	return &smithy.GenericAPIError{Code: source.CodeWrongHost, Message: "the answer is not JSON but " + answer, Fault: smithy.FaultClient}
}
