package s3

import (
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
	part  part   // what is written but not sent yet
	taken int    // how many bytes of a Write that failed are in the object
	first *part  // the first part, which Commit sends, where its head is not known before
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
	return &upload{store: s, key: key, opts: opts, part: part{room: &s.room}}, nil
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
		if u.part.size == partSize {
			if err := u.send(ctx); err != nil {
				return err
			}
		}
		n, err := u.part.add(p)
		if err != nil {
			return fmt.Errorf("put %s: %w", u.key, err)
		}
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
		first := u.part
		u.first, u.part, u.parts = &first, part{room: first.room}, make([]types.CompletedPart, 1)
		return nil
	}
	done, sum, err := u.sendPart(ctx, len(u.parts)+1, &u.part)
	if err != nil {
		return err
	}
	u.parts = append(u.parts, done)
	u.sum, u.size = joined(u.sum, sum, int64(u.part.size)), u.size+int64(u.part.size)
	u.part.clear()
	return nil
}

// sendFirst sends the first part if send has kept it.
func (u *upload) sendFirst(ctx context.Context) error {
	if u.first == nil {
		return nil
	}
	if err := u.first.setHead(u.opts.Head()); err != nil {
		return err
	}
	done, sum, err := u.sendPart(ctx, 1, u.first)
	if err != nil {
		return err
	}
	u.parts[0] = done
	u.sum, u.size = joined(sum, u.sum, u.size), u.size+int64(u.first.size)
	u.first.free()
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

// sendPart sends a part, and returns it with its CRC32.
func (u *upload) sendPart(ctx context.Context, number int, p *part) (done types.CompletedPart, sum uint32, err error) {
	if sum, err = p.crc32(); err != nil {
		return done, 0, err
	}
	if u.id == "" {
		if err := u.begin(ctx); err != nil {
			return done, 0, err
		}
	}
	put := u.request()
	done.PartNumber = aws.Int32(int32(number))
	out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: put.Bucket, Key: put.Key, UploadId: &u.id, PartNumber: done.PartNumber,
		Body: p.reader(), ContentLength: aws.Int64(int64(p.size)), ChecksumAlgorithm: put.ChecksumAlgorithm,
	}, u.store.tries(&attempts{body: p, confirm: u.opts.Confirm}))
	if err != nil {
		return done, 0, u.store.explain(ctx, "put", *put.Key, err)
	}
	if done.ETag = out.ETag; u.store.checksum {
		done.ChecksumCRC32 = aws.String(base64CRC32(sum))
	}
	return done, sum, nil
}

// request returns the request that puts the whole object, without a body.
func (u *upload) request() *s3.PutObjectInput {
	return u.store.request(u.store.prefix+u.key, &part{}, u.opts)
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
	u.end()
	return nil
}

// end gives back what the writer has of memory and files.
func (u *upload) end() {
	u.ended = true
	u.part.free()
	if u.first != nil {
		u.first.free()
		u.first = nil
	}
}

func (u *upload) commit(ctx context.Context) error {
	if len(u.parts) == 0 { // it fits into one
		if err := u.setHead(); err != nil {
			return err
		}
		return u.store.put(ctx, u.key, &u.part, u.opts)
	}
	if u.part.size > 0 { // a full part is sent only when more bytes follow, so that it is empty only after a Commit that failed
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
		if want, sumErr := u.content(); sumErr == nil {
			if ours, _ := u.store.has(ctx, u.key, want); ours {
				return nil
			}
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
	want, err := u.content()
	if err != nil {
		return false, err
	}
	return u.store.has(ctx, u.key, want)
}

// setHead writes the head again if it was not known before, and is not sent yet.
func (u *upload) setHead() error {
	switch {
	case u.opts.Head == nil:
	case u.first != nil:
		return u.first.setHead(u.opts.Head())
	case len(u.parts) == 0:
		return u.part.setHead(u.opts.Head())
	}
	return nil
}

// content identifies what was written, whether it is sent or not.
func (u *upload) content() (content, error) {
	if err := u.setHead(); err != nil {
		return content{}, err
	}
	if len(u.parts) == 0 {
		return u.part.content()
	}
	last, err := u.part.crc32()
	if err != nil {
		return content{}, err
	}
	sum, size := joined(u.sum, last, int64(u.part.size)), u.size+int64(u.part.size)
	if u.first != nil {
		first, err := u.first.crc32()
		if err != nil {
			return content{}, err
		}
		sum, size = joined(first, sum, size), size+int64(u.first.size)
	}
	return content{size, sum, u.etag}, nil
}

// etag returns the ETag that S3 gives an object of several parts: the MD5 of the parts' MD5s, and their number.
func (u *upload) etag() (string, error) {
	all, n := md5.New(), len(u.parts)
	for i, done := range u.parts {
		sum, _ := hex.DecodeString(strings.Trim(aws.ToString(done.ETag), `"`)) // an ETag that is not an MD5 matches nothing
		if i == 0 && u.first != nil {
			var err error
			if sum, err = u.first.md5(); err != nil {
				return "", err
			}
		}
		all.Write(sum)
	}
	if u.part.size > 0 {
		last, err := u.part.md5()
		if err != nil {
			return "", err
		}
		all.Write(last)
		n++
	}
	return hex.EncodeToString(all.Sum(nil)) + "-" + strconv.Itoa(n), nil
}

// Abandon implements sink.ObjectWriter.
func (u *upload) Abandon() error {
	if u.ended {
		return nil
	}
	u.end()
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
