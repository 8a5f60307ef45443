package kvstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Terms of the signing process (AWS General Reference, "Signature Version 4 signing process").
const (
	sigAlgorithm  = "AWS4-HMAC-SHA256"
	sigTerminator = "aws4_request"
	sigTimeLayout = "20060102T150405Z"
	sigDateLayout = "20060102"

	// unsignedPayload replaces the body's hash where a service does not require a signed body.
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// maxSkew is the largest difference between a request's time and the server's.
const maxSkew = 5 * time.Minute

// verifier checks the signatures of requests. It follows the specification and shares no code with the SDK's
// signer, so that each checks the other.
type verifier struct {
	accessKey, secretKey string
	// sessionToken is required in requests; "" accepts any signed token.
	sessionToken string
	// region is the required region of the scope; "" accepts any.
	region  string
	service string
	now     func() time.Time
}

// authorization is the content of an Authorization header.
type authorization struct {
	accessKey, date, region, service string
	// signedHeaders are lower-case names, sorted.
	signedHeaders []string
	signature     []byte
}

// verify checks the signature of a request whose body has the given digest: lower-case hex of SHA-256, or
// unsignedPayload for an operation that accepts it.
func (v *verifier) verify(r *http.Request, payloadHash string) *apiError {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errMissingAuth("the request carries no Authorization header")
	}
	auth, bad := parseAuthorization(header)
	if bad != nil {
		return bad
	}
	if bad := v.checkIdentity(r, auth); bad != nil {
		return bad
	}
	stamp, bad := v.checkTime(r, auth)
	if bad != nil {
		return bad
	}
	if bad := checkSignedHeaders(r, auth.signedHeaders); bad != nil {
		return bad
	}
	want := v.signature(auth, stamp, canonicalRequest(r, auth.signedHeaders, payloadHash))
	if !hmac.Equal(want, auth.signature) {
		return errSignature("the signature does not match the request: check the secret access key and the signing method")
	}
	return nil
}

// parseAuthorization reads `AWS4-HMAC-SHA256 Credential=AK/date/region/service/aws4_request,
// SignedHeaders=a;b, Signature=hex`.
func parseAuthorization(header string) (authorization, *apiError) {
	var auth authorization
	rest, ok := strings.CutPrefix(header, sigAlgorithm+" ")
	if !ok {
		return auth, errIncompleteSignature("the Authorization header does not begin with " + sigAlgorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return auth, errIncompleteSignature("the Authorization header lacks " + name)
		}
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != sigTerminator {
		return auth, errIncompleteSignature("the credential is not KEY/DATE/REGION/SERVICE/" + sigTerminator)
	}
	signature, err := hex.DecodeString(fields["Signature"])
	if err != nil {
		return auth, errIncompleteSignature("the signature is not hexadecimal")
	}
	auth = authorization{accessKey: scope[0], date: scope[1], region: scope[2], service: scope[3], signature: signature}
	auth.signedHeaders = strings.Split(strings.ToLower(fields["SignedHeaders"]), ";")
	slices.Sort(auth.signedHeaders)
	return auth, nil
}

// checkIdentity compares the access key, the session token and the scope with those of the server.
func (v *verifier) checkIdentity(r *http.Request, auth authorization) *apiError {
	if !equal(auth.accessKey, v.accessKey) {
		return errUnrecognizedClient("the access key id is not known here")
	}
	if v.sessionToken != "" && !equal(r.Header.Get("X-Amz-Security-Token"), v.sessionToken) {
		return errUnrecognizedClient("the security token is not valid")
	}
	if auth.service != v.service {
		return errSignature("the credential must be scoped to the service " + v.service + ", not " + strconv.Quote(auth.service))
	}
	if v.region != "" && auth.region != v.region {
		return errSignature("the credential must be scoped to a valid region, not " + strconv.Quote(auth.region))
	}
	return nil
}

// checkTime returns the request's time stamp, in the form for the string to sign.
func (v *verifier) checkTime(r *http.Request, auth authorization) (string, *apiError) {
	stamp, when, err := requestTime(r)
	if err != nil {
		return "", errIncompleteSignature("the request carries no valid X-Amz-Date or Date header")
	}
	if stamp[:len(sigDateLayout)] != auth.date {
		return "", errSignature("the date of the credential's scope is not the date of the request")
	}
	now := v.now().UTC()
	switch skew := now.Sub(when); {
	case skew > maxSkew:
		return "", errSignature("the signature has expired: " + stamp + " is more than 5 min before " + now.Format(sigTimeLayout))
	case skew < -maxSkew:
		return "", errSignature("the signature is not yet current: " + stamp + " is more than 5 min after " + now.Format(sigTimeLayout))
	}
	return stamp, nil
}

func requestTime(r *http.Request) (stamp string, when time.Time, err error) {
	if date := r.Header.Get("X-Amz-Date"); date != "" {
		when, err = time.Parse(sigTimeLayout, date)
	} else {
		when, err = http.ParseTime(r.Header.Get("Date"))
	}
	return when.UTC().Format(sigTimeLayout), when, err
}

// checkSignedHeaders requires that the headers are signed that the specification requires: host, and every
// x-amz header of the request.
func checkSignedHeaders(r *http.Request, signed []string) *apiError {
	if !slices.Contains(signed, "host") {
		return errSignature("the host header must be signed")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return errSignature("the header " + name + " must be signed")
		}
	}
	return nil
}

// signature returns the signature that the client should have sent.
func (v *verifier) signature(auth authorization, stamp, canonical string) []byte {
	scope := []string{auth.date, auth.region, auth.service, sigTerminator}
	toSign := strings.Join([]string{sigAlgorithm, stamp, strings.Join(scope, "/"), hashHex([]byte(canonical))}, "\n")
	key := []byte("AWS4" + v.secretKey)
	for _, part := range scope {
		key = hmacSHA256(key, part)
	}
	return hmacSHA256(key, toSign)
}

// canonicalRequest returns the request in the canonical form that is hashed and signed.
func canonicalRequest(r *http.Request, signedHeaders []string, payloadHash string) string {
	lines := []string{r.Method, canonicalPath(r.URL.EscapedPath()), canonicalQuery(r.URL.RawQuery)}
	for _, name := range signedHeaders {
		lines = append(lines, name+":"+canonicalHeader(r, name))
	}
	return strings.Join(append(lines, "", strings.Join(signedHeaders, ";"), payloadHash), "\n")
}

// canonicalPath encodes the path again: outside of S3 each segment is encoded twice.
func canonicalPath(escaped string) string {
	if escaped == "" {
		return "/"
	}
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		segments[i] = uriEncode(s)
	}
	return strings.Join(segments, "/")
}

func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs [][2]string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, [2]string{reencode(name), reencode(value)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	joined := make([]string, len(pairs))
	for i, p := range pairs {
		joined[i] = p[0] + "=" + p[1]
	}
	return strings.Join(joined, "&")
}

// reencode returns a percent-encoded word in the canonical form.
func reencode(word string) string {
	if plain, err := url.PathUnescape(word); err == nil {
		word = plain
	}
	return uriEncode(word)
}

// canonicalHeader joins the values of a header, with runs of spaces replaced by one. net/http keeps the host,
// the transfer encoding and sometimes the length outside of the header map.
func canonicalHeader(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "transfer-encoding":
		values = r.TransferEncoding
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
	}
	return strings.Join(trimmed, ",")
}

// uriEncode encodes every byte except the unreserved characters of RFC 3986.
func uriEncode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hmacSHA256(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

func hashHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// equal compares in constant time, for any lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
