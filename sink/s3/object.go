package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/kvsframes/kvsframes/sink"
)

// Object is one object of a Store that is read and replaced as a whole, by compare-and-swap on its ETag. Reading requires
// the permissions s3:GetObject and s3:ListBucket: without the latter, S3 answers 403 where there is no object.
type Object struct {
	store *Store
	key   string
}

// Object returns the object of a key.
func (s *Store) Object(key string) *Object { return &Object{store: s, key: key} }

// Name returns the URL of the object.
func (o *Object) Name() string {
	return "s3://" + o.store.destination.Bucket + "/" + o.store.prefix + o.key
}

// Read returns the object's content and ETag; the ETag is "" if there is no object. An object of more than limit bytes is
// an error.
func (o *Object) Read(ctx context.Context, limit int64) (content []byte, etag string, err error) {
	full, err := o.store.fullKey(o.key)
	if err != nil {
		return nil, "", err
	}
	tooLarge := fmt.Errorf("read %s: it is larger than %d bytes", o.Name(), limit)
	out, err := o.store.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &o.store.destination.Bucket, Key: &full}, o.store.tries(&attempts{}))
	if err != nil {
		err = o.store.explain(ctx, "read", full, err)
		if isMissing(err) {
			return nil, "", nil
		}
		return nil, "", err
	}
	defer out.Body.Close()
	if aws.ToInt64(out.ContentLength) > limit {
		return nil, "", tooLarge
	}
	content, err = io.ReadAll(io.LimitReader(out.Body, limit+1))
	switch {
	case err != nil:
		return nil, "", o.store.explain(ctx, "read", full, err)
	case int64(len(content)) > limit:
		return nil, "", tooLarge
	}
	return content, aws.ToString(out.ETag), nil
}

// isMissing reports whether err states that there is no such object.
func isMissing(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Code != "NoSuchBucket"
}

// Swap replaces the object if its ETag is still the given one, "" for no object, and returns the new ETag. It returns false
// if the ETag is another one.
func (o *Object) Swap(ctx context.Context, content []byte, etag string) (next string, swapped bool, err error) {
	full, err := o.store.fullKey(o.key)
	if err != nil {
		return "", false, err
	}
	in := o.store.request(full, whole(content), sink.PutOptions{ContentType: "application/json", IfAbsent: etag == ""})
	if etag != "" {
		in.IfMatch = &etag
	}
	out, err := o.store.client.PutObject(ctx, in, o.store.tries(&attempts{body: whole(content)}))
	if err == nil {
		return aws.ToString(out.ETag), true, nil
	}
	err = o.store.explain(ctx, "put", full, err)
	if errors.Is(err, sink.ErrExist) || isMissing(err) {
		return "", false, nil
	}
	return "", false, err
}
