package s3

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// Checksum is the kind of checksum with which objects are put, for the server to verify.
type Checksum string

// The values of checksum. None is for servers that reject the headers.
const (
	ChecksumCRC32 Checksum = "crc32"
	ChecksumNone  Checksum = "none"
)

// Values returns the values of checksum.
func (Checksum) Values() []string { return setting.Texts(ChecksumCRC32, ChecksumNone) }

// MetadataSet selects the user metadata of an object.
type MetadataSet string

// The sets of metadata. kvs has the three names that the managed image delivery of Kinesis Video Streams
// writes (Developer Guide, Automated image generation).
const (
	MetadataNone MetadataSet = "none"
	MetadataKVS  MetadataSet = "kvs"
	MetadataFull MetadataSet = "full"
)

// Values returns the sets of metadata.
func (MetadataSet) Values() []string { return setting.Texts(MetadataNone, MetadataKVS, MetadataFull) }

// EncryptionType is a kind of server-side encryption, spelled as in the API.
type EncryptionType string

// The kinds of encryption. EncryptionDefault is the bucket's default.
const (
	EncryptionDefault EncryptionType = ""
	EncryptionAES256  EncryptionType = "AES256"
	EncryptionKMS     EncryptionType = "aws:kms"
)

// Values returns the kinds of encryption.
func (EncryptionType) Values() []string {
	return setting.Texts(EncryptionDefault, EncryptionAES256, EncryptionKMS)
}

// Encryption is S3's server-side encryption of an object.
type Encryption struct {
	Type     EncryptionType `key:"type" doc:"The encryption by the server; empty is the default of the bucket." example:"aws:kms"`
	KMSKeyID string         `key:"kms_key_id" with:"type=aws:kms" doc:"The key of KMS; empty is that of the account." example:"alias/frames"`
}

// Config is the location of a destination of type s3: a bucket and its options.
type Config struct {
	Bucket               string          `key:"bucket,optional" doc:"The bucket of the objects, which must be written." example:"my-bucket"`
	Prefix               string          `key:"prefix" doc:"What the keys of the objects begin with, followed by a slash." example:"frames"`
	Region               string          `key:"region" doc:"The region of the bucket; empty is that of the AWS chain." example:"eu-west-1"`
	Profile              string          `key:"profile" doc:"The profile of the AWS chain for the bucket; empty is that of the chain itself." example:"video-account"`
	RoleARN              setting.RoleARN `key:"role_arn" doc:"The role that the profile, or the chain, assumes for the bucket." example:"arn:aws:iam::123456789012:role/frames"`
	EndpointURL          string          `key:"endpoint_url" doc:"The URL of the server, where it is not that of Amazon." example:"http://127.0.0.1:9000"`
	ForcePathStyle       bool            `key:"force_path_style" doc:"Whether the bucket is in the path of URLs, and not in the name of the server." example:"true"`
	Checksum             Checksum        `key:"checksum" doc:"The checksum by which the server verifies objects; none is for servers that refuse its headers." example:"none"`
	StorageClass         string          `key:"storage_class" doc:"The storage class, as the API of S3 names it." example:"STANDARD_IA"`
	ServerSideEncryption Encryption      `key:"server_side_encryption"`
	MetadataSet          MetadataSet     `key:"metadata" doc:"The user metadata of images: kvs is the three names of the managed image delivery of KVS." example:"full"`
	// Tags are the tags of every object, manifest and ledger parts included, as NAME=VALUE; a name has no = in it.
	Tags []string `key:"tags,optional,pairs" doc:"The tags of every object, parts of manifest and ledger included; they need s3:PutObjectTagging." example:"{project: x}"`
	// Timeout is how long the server may take to answer a whole request before the request fails. A whole
	// attempt, which may send a large object over a slow connection, may take five times as long. Zero is 60 s.
	Timeout time.Duration `key:"timeout" range:"1ms..1h" doc:"How long the server may take to answer a request, which is then repeated." example:"30s"`
}

var (
	_ sink.Location  = Config{}
	_ sink.Describer = Config{}
)

// DefaultConfig returns the settings of a destination for which only the bucket is set.
func DefaultConfig() Config {
	return Config{Checksum: ChecksumCRC32, StorageClass: standardClass, MetadataSet: MetadataKVS, Timeout: defaultTimeout}
}

// Place implements sink.Location.
func (c Config) Place() (name string, folders []string) {
	return "s3 " + normalEndpoint(c.EndpointURL) + " " + c.Bucket, strings.FieldsFunc(c.Prefix, func(r rune) bool { return r == '/' })
}

func normalEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimSuffix(u.Path, "/")
}

// Check implements sink.Location: it checks that there is a region, and the profile.
func (c Config) Check(ctx context.Context) error {
	plain := c.Profile == "" && c.RoleARN == ""
	if plain && (c.Region != "" || c.EndpointURL != "") {
		return nil
	}
	chain, err := loadAWS(ctx, c)
	switch {
	case err != nil && c.Profile != "":
		return &setting.Error{Path: "profile", Problem: err.Error()}
	case err != nil:
		return &setting.Error{Path: "region", Problem: err.Error()}
	case chain.Region == "" && (c.EndpointURL == "" || c.RoleARN != ""): // STS has regions, too
		return &setting.Error{Path: "region", Problem: "no AWS region is set: set region, AWS_REGION, or the region of the profile"}
	}
	return nil
}

// Open implements sink.Location. It calls the function Open.
func (c Config) Open(ctx context.Context) (sink.Store, error) {
	store, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return store, nil
}
