package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/kvsframes/kvsframes/sink"
)

// Probe implements sink.Prober. It begins a multipart upload below the prefix and abandons it, with all that objects have: encryption, tags
// and storage class. That requires what a put requires, and shows no object to anybody: nothing is deleted, versioned or notified of.
func (c Config) Probe(ctx context.Context, reads bool) (note string, err error) {
	s, err := Open(ctx, c)
	if err != nil {
		return "", err
	}
	key := "kvsframes-probe-" + rand.Text()
	if reads {
		_, err := s.has(ctx, key, content{})
		if errors.Is(err, sink.ErrUnseen) {
			return "", denied(err, "s3:GetObject and s3:ListBucket")
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	u := &upload{store: s, key: key}
	if err := u.begin(ctx); err != nil {
		action := "s3:PutObject"
		if len(c.Tags) > 0 {
			action += " and s3:PutObjectTagging"
		}
		if c.ServerSideEncryption.Type == EncryptionKMS {
			action += ", and of the key kms:GenerateDataKey and kms:Decrypt"
		}
		return "", errors.Join(denied(err, action), u.Abandon())
	}
	if err := s.abort(ctx, s.prefix+key, u.id); err != nil {
		if unasked(err) {
			return "without s3:AbortMultipartUpload, large objects that are abandoned leave their parts, and this left an empty upload of " + key, nil
		}
		return "", err
	}
	return "", nil
}

// denied adds the IAM actions that a call requires to its error, if it was not allowed.
func denied(err error, actions string) error {
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusForbidden && (refused.Code == "AccessDenied" || refused.Code == "Forbidden") {
		return fmt.Errorf("%w: the credentials need %s", err, actions)
	}
	return err
}
