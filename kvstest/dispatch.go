package kvstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The operations, by their names in the API Reference, for calls and faults.
const (
	opCreateStream            = "CreateStream"
	opDescribeStream          = "DescribeStream"
	opDescribeStreamStorage   = "DescribeStreamStorageConfiguration"
	opListStreams             = "ListStreams"
	opGetDataEndpoint         = "GetDataEndpoint"
	opGetMedia                = "GetMedia"
	opPutMedia                = "PutMedia"
	opListFragments           = "ListFragments"
	opGetMediaForFragmentList = "GetMediaForFragmentList"
)

// operation is one operation of the API.
type operation struct {
	name string
	// data reports whether the data plane serves it.
	data bool
	// stream finds the stream of a request, nil where there is none yet.
	stream func(x *exchange) (*stream, *apiError)
	// streamed reports whether the body is media: it is not signed, and not read before the operation is served.
	streamed bool
	// serve answers. It returns a refusal as *apiError before it writes anything.
	serve func(x *exchange) error
}

func (s *Server) allOperations() map[string]operation {
	all := []operation{
		{name: opCreateStream, serve: s.serveCreateStream},
		{name: opDescribeStream, stream: s.bodyStream, serve: s.describeStream},
		{name: opDescribeStreamStorage, stream: s.bodyStream, serve: s.describeStreamStorage},
		{name: opListStreams, serve: s.listStreams},
		{name: opGetDataEndpoint, stream: s.bodyStream, serve: s.getDataEndpoint},
		{name: opGetMedia, data: true, stream: s.bodyStream, serve: s.getMedia},
		{name: opListFragments, data: true, stream: s.bodyStream, serve: s.listFragments},
		{name: opGetMediaForFragmentList, data: true, stream: s.bodyStream, serve: s.getMediaForFragmentList},
		{name: opPutMedia, data: true, streamed: true, stream: s.headerStream, serve: s.putMedia},
	}
	paths := map[string]operation{}
	for _, op := range all {
		paths["/"+strings.ToLower(op.name[:1])+op.name[1:]] = op
	}
	return paths
}

// exchange is one request in progress.
type exchange struct {
	// w receives the answer's body and applies the link and the faults.
	w    http.ResponseWriter
	r    *http.Request
	op   operation
	body []byte
	// st is the stream of the request; nil when it names none.
	st *stream
	// plan holds the faults of the answer.
	plan plan
}

// decode reads the request's JSON.
func (x *exchange) decode(in any) *apiError {
	if err := json.Unmarshal(x.body, in); err != nil {
		return errSerialization("the request body is not the JSON of " + x.op.name)
	}
	return nil
}

// answer sends the answer's JSON.
func (x *exchange) answer(out any) error {
	body, err := json.Marshal(out)
	if err == nil {
		x.w.Header().Set("Content-Type", "application/json")
		_, err = x.w.Write(body)
	}
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// bodyStream finds the stream in a JSON body.
func (s *Server) bodyStream(x *exchange) (*stream, *apiError) {
	var in struct{ StreamName, StreamARN *string }
	if refusal := x.decode(&in); refusal != nil {
		return nil, refusal
	}
	return s.findStream(in.StreamName, in.StreamARN)
}

// dispatch finds the operation, reads and verifies the request, applies the faults and the quotas, and serves
// the request.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) error {
	base, path := splitBase(r.URL.Path)
	op, ok := s.operations[path]
	if !ok || r.Method != http.MethodPost {
		return errUnknownOperation(r.Method + " " + r.URL.Path)
	}
	x := &exchange{w: w, r: r, op: op}
	if err := s.admit(x); err != nil {
		return err
	}
	now := time.Now()
	s.calls.add(op.name, x.streamName(), now)
	if err := sleep(r.Context(), s.opts.Link.Latency); err != nil {
		return err
	}
	if refusal := s.faults.meet(s, x); refusal != nil {
		return refusal
	}
	if x.st != nil {
		if refusal := x.st.checkEndpoint(x, base); refusal != nil {
			return refusal
		}
		if refusal := x.st.limits.call(op.name, now); refusal != nil {
			return refusal
		}
	}
	ctx, cancel := x.plan.deadline(r.Context())
	defer cancel()
	x.r = r.WithContext(ctx)
	x.w = newReply(ctx, w, s.opts.Link, &x.plan)
	err := sleep(ctx, x.plan.delay)
	if err == nil {
		err = op.serve(x)
	}
	if cut, ok := errors.AsType[*cutError](err); ok {
		s.fire(cut.fault, x)
	}
	return err
}

// admit reads and verifies a request and finds its stream.
func (s *Server) admit(x *exchange) error {
	var refusal *apiError
	if x.op.streamed {
		refusal = s.verifyStreamed(x.r)
	} else {
		var err error
		if x.body, err = readBody(x); err != nil {
			return err
		}
		refusal = s.verifier.verify(x.r, hashHex(x.body))
	}
	if refusal == nil && x.op.stream != nil {
		x.st, refusal = x.op.stream(x)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

func readBody(x *exchange) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxRequestBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge(fmt.Sprintf("the request body is too large, maximum is %d bytes", maxRequestBody))
	}
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	return body, nil
}

// verifyStreamed verifies a request whose body is not signed. The SDKs state this in place of the body's hash;
// the producer libraries sign as if the body were empty.
func (s *Server) verifyStreamed(r *http.Request) *apiError {
	refusal := s.verifier.verify(r, unsignedPayload)
	if refusal != nil && refusal.code == codeSignature {
		return s.verifier.verify(r, hashHex(nil))
	}
	return refusal
}

// splitBase splits the path of a moved data endpoint from a request's path.
func splitBase(path string) (base, rest string) {
	if i := strings.LastIndexByte(path, '/'); i > 0 && strings.HasPrefix(path, movedPrefix) {
		return path[:i], path[i:]
	}
	return "", path
}
