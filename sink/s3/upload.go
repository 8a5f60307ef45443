package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/kvsframes/kvsframes/sink"
)

const (
	// partSize is the size of all parts of a large object but the last, in bytes.
	partSize = 8 << 20
	// maxParts is the largest number of parts (Amazon S3 User Guide, Multipart upload limits).
	maxParts = 10_000
	// abandonLimit bounds the duration of Abandon.
	abandonLimit = 10 * time.Second
)

var (
	errEnded    = errors.New("the object was committed or abandoned")
	errTooLarge = fmt.Errorf("the object has more than %d parts of %d bytes", maxParts, partSize)
)

// upload is a sink.ObjectWriter. It puts an object that fits into one part with one request, and a larger one
// with a multipart upload.
type upload struct {
	store *Store
	key   string // without the prefix
	opts  sink.PutOptions
	part  []byte // bytes written but not sent yet
	taken int    // how many bytes of a Write that failed are in the object
	first []byte // the first part, which Commit sends, where its head is not known before
	id    string // of the multipart upload; empty before it begins
	// begun receives the outcome of the request that begins the upload, and stop ends that request. Both are
	// nil when no such request is in progress.
	begun chan begun
	stop  context.CancelFunc
	parts []types.CompletedPart
	size  int64
	sum   uint32 // CRC32 of all bytes sent
	asked bool   // a request to complete the upload has failed
	ended bool
}

// begun is the outcome of the request that begins an upload.
type begun struct {
	id    string
	tries int
	err   error
}

// Create implements sink.Store. An object of more than 8 MiB is a multipart upload. When it begins, it aborts
// the earlier uploads of the same key: leftovers of killed processes, or of writers that this one replaces.
func (s *Store) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	if _, err := s.fullKey(key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &upload{store: s, key: key, opts: opts}, nil
}

// Write implements sink.ObjectWriter.
func (u *upload) Write(ctx context.Context, p []byte) error {
	if u.ended {
		return errEnded
	}
	for p = p[u.taken:]; len(p) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(u.part) == partSize {
			if err := u.send(ctx); err != nil {
				return err
			}
		}
		n := min(len(p), partSize-len(u.part))
		if size := len(u.part) + n; size > cap(u.part) { // append could allocate more than a part
			grown := make([]byte, len(u.part), min(partSize, max(size, 2*cap(u.part))))
			copy(grown, u.part)
			u.part = grown
		}
		u.part = append(u.part, p[:n]...)
		p = p[n:]
		u.taken += n
	}
	u.taken = 0
	return ctx.Err()
}

// send sends what was written, as the next part. It keeps the first part if its head is not known yet.
func (u *upload) send(ctx context.Context) error {
	switch {
	case len(u.parts) == maxParts:
		return fmt.Errorf("put %s: %w", u.key, errTooLarge)
	case len(u.parts) == 0 && u.opts.Head != nil:
		u.first, u.part, u.parts = u.part, nil, make([]types.CompletedPart, 1)
		return nil
	}
	part, err := u.sendPart(ctx, len(u.parts)+1, u.part)
	if err != nil {
		return err
	}
	u.parts = append(u.parts, part)
	u.size += int64(len(u.part))
	u.sum = crc32.Update(u.sum, crc32.IEEETable, u.part)
	u.part = u.part[:0]
	return nil
}

// sendFirst sends the first part if send has kept it.
func (u *upload) sendFirst(ctx context.Context) error {
	if u.first == nil {
		return nil
	}
	copy(u.first, u.opts.Head())
	part, err := u.sendPart(ctx, 1, u.first)
	if err != nil {
		return err
	}
	u.parts[0] = part
	u.sum = joined(crc32.ChecksumIEEE(u.first), u.sum, u.size)
	u.size += int64(len(u.first))
	u.first = nil
	return nil
}

// joined returns the CRC32 of two texts in a row, from those of each and the size of the second in bytes.
func joined(first, second uint32, size int64) uint32 {
	// A CRC is linear: what the first text leaves in the register is changed by the second as it is by zeros.
	zeros := make([]byte, min(size, 64<<10))
	for first = ^first; size > 0; size -= int64(len(zeros)) {
		zeros = zeros[:min(size, int64(len(zeros)))]
		first = crc32.Update(first, crc32.IEEETable, zeros)
	}
	return ^first ^ second
}

func (u *upload) sendPart(ctx context.Context, number int, data []byte) (types.CompletedPart, error) {
	if u.id == "" {
		if err := u.begin(ctx); err != nil {
			return types.CompletedPart{}, err
		}
	}
	put := u.request()
	part := types.CompletedPart{PartNumber: aws.Int32(int32(number))}
	out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: put.Bucket, Key: put.Key, UploadId: &u.id, PartNumber: part.PartNumber,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: put.ChecksumAlgorithm,
	}, u.store.tries(&attempts{body: data, confirm: u.opts.Confirm}))
	if err != nil {
		return part, u.store.explain(ctx, "put", *put.Key, err)
	}
	if part.ETag = out.ETag; u.store.checksum {
		part.ChecksumCRC32 = aws.String(crc32Base64(data))
	}
	return part, nil
}

// request returns the request that puts the whole object, without a body.
func (u *upload) request() *s3.PutObjectInput {
	return u.store.request(u.store.prefix+u.key, nil, u.opts)
}

// begin begins the multipart upload, and aborts earlier ones. It lists them before it begins its own, so that
// of two writers that begin at the same time at most one aborts the other's upload.
func (u *upload) begin(ctx context.Context) error {
	put := u.request()
	in := &s3.CreateMultipartUploadInput{
		Bucket: put.Bucket, Key: put.Key, ContentType: put.ContentType, Metadata: put.Metadata, Tagging: put.Tagging, StorageClass: put.StorageClass,
		ServerSideEncryption: put.ServerSideEncryption, SSEKMSKeyId: put.SSEKMSKeyId, ChecksumAlgorithm: put.ChecksumAlgorithm,
	}
	if u.store.checksum {
		// A checksum of the parts' checksums could not be compared with an object's content.
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	leftovers := u.others(ctx)
	// A cancelled request may still begin an upload, whose ID would be lost. So the request does not end with
	// ctx, and Abandon waits for it.
	asked, stop := context.WithCancel(context.WithoutCancel(ctx))
	u.begun, u.stop = make(chan begun, 1), stop
	go func() {
		tried := attempts{confirm: u.opts.Confirm}
		out, err := u.store.client.CreateMultipartUpload(asked, in, u.store.tries(&tried))
		if err != nil {
			out = &s3.CreateMultipartUploadOutput{}
		}
		u.begun <- begun{id: aws.ToString(out.UploadId), tries: tried.n, err: err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-u.begun:
		stop()
		u.begun, u.id = nil, answer.id
		if answer.err != nil {
			return u.store.explain(ctx, "put", *put.Key, answer.err)
		}
		if answer.tries > 1 { // an earlier attempt may also have begun an upload
			leftovers = u.others(ctx)
		}
	}
	for _, id := range leftovers {
		_ = u.store.abort(ctx, *put.Key, id) // an upload that is not aborted does no harm
	}
	return nil
}

// others returns the IDs of the other open uploads of the same key, or none if the server refuses to list them.
func (u *upload) others(ctx context.Context) (ids []string) {
	full := u.store.prefix + u.key
	list, err := u.store.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &u.store.destination.Bucket, Prefix: &full})
	if err != nil {
		return nil
	}
	for _, other := range list.Uploads {
		if id := aws.ToString(other.UploadId); aws.ToString(other.Key) == full && id != u.id {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *Store) abort(ctx context.Context, full, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.destination.Bucket, Key: &full, UploadId: &id}, s.tries(&attempts{}))
	if err != nil {
		return s.explain(ctx, "abandon", full, err)
	}
	return nil
}

// Commit implements sink.ObjectWriter.
func (u *upload) Commit(ctx context.Context) error {
	if u.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := u.commit(ctx); err != nil {
		return err
	}
	u.ended, u.part = true, nil
	return nil
}

func (u *upload) commit(ctx context.Context) error {
	if len(u.parts) == 0 { // it fits into one
		if u.opts.Head != nil {
			copy(u.part, u.opts.Head())
		}
		return u.store.Put(ctx, u.key, u.part, u.opts)
	}
	if len(u.part) > 0 { // a full part is sent only when more bytes follow, so that it is empty only after a Commit that failed
		if err := u.send(ctx); err != nil {
			return err
		}
	}
	if err := u.sendFirst(ctx); err != nil {
		return err
	}
	return u.complete(ctx)
}

func (u *upload) complete(ctx context.Context) error {
	put := u.request()
	in := &s3.CompleteMultipartUploadInput{
		Bucket: put.Bucket, Key: put.Key, UploadId: &u.id, IfNoneMatch: put.IfNoneMatch, MpuObjectSize: &u.size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
	if u.store.checksum {
		in.ChecksumType, in.ChecksumCRC32 = types.ChecksumTypeFullObject, aws.String(base64CRC32(u.sum))
	}
	tried := attempts{confirm: u.opts.Confirm}
	_, err := u.store.client.CompleteMultipartUpload(ctx, in, u.store.tries(&tried))
	if err == nil {
		return nil
	}
	err = u.store.explain(ctx, "put", *put.Key, err)
	again := u.asked || tried.n > 1
	u.asked = true
	if again && (errors.Is(err, sink.ErrFenced) || errors.Is(err, sink.ErrExist)) {
		// If the answer was lost, the repeated request finds no upload, or the object of the first request.
		if ours, _ := u.store.has(ctx, u.key, u.content()); ours {
			return nil
		}
	}
	return err
}

// Same implements sink.ObjectWriter, as Holds compares.
func (u *upload) Same(ctx context.Context) (bool, error) {
	if u.ended {
		return false, errEnded
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return u.store.has(ctx, u.key, u.content())
}

// content identifies what was written, whether it is sent or not.
func (u *upload) content() content {
	switch {
	case u.opts.Head == nil:
	case u.first != nil:
		copy(u.first, u.opts.Head())
	case len(u.parts) == 0:
		copy(u.part, u.opts.Head())
	}
	sum, size := crc32.Update(u.sum, crc32.IEEETable, u.part), u.size+int64(len(u.part))
	if u.first != nil {
		sum, size = joined(crc32.ChecksumIEEE(u.first), sum, size), size+int64(len(u.first))
	}
	return content{size, base64CRC32(sum), u.etag}
}

// etag returns the ETag that S3 gives to what was written: an MD5, or of several parts the MD5 of their MD5s, and their number.
func (u *upload) etag() string {
	last := md5.Sum(u.part)
	if len(u.parts) == 0 {
		return hex.EncodeToString(last[:])
	}
	all, n := md5.New(), len(u.parts)
	for i, part := range u.parts {
		sum, _ := hex.DecodeString(strings.Trim(aws.ToString(part.ETag), `"`)) // an ETag that is not an MD5 matches nothing
		if i == 0 && u.first != nil {
			first := md5.Sum(u.first)
			sum = first[:]
		}
		all.Write(sum)
	}
	if len(u.part) > 0 {
		all.Write(last[:])
		n++
	}
	return hex.EncodeToString(all.Sum(nil)) + "-" + strconv.Itoa(n)
}

// Abandon implements sink.ObjectWriter.
func (u *upload) Abandon() error {
	if u.ended {
		return nil
	}
	u.ended, u.part = true, nil
	ctx, cancel := context.WithTimeout(context.Background(), abandonLimit)
	defer cancel()
	if u.begun != nil {
		defer context.AfterFunc(ctx, u.stop)()
		answer := <-u.begun
		u.stop()
		u.id = answer.id
	}
	if u.id == "" {
		return nil
	}
	err := u.store.abort(ctx, u.store.prefix+u.key, u.id)
	if refused := (*Error)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil // it no longer exists
	}
	return err
}
