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
	Type     EncryptionType `key:"type"`
	KMSKeyID string         `key:"kms_key_id" with:"type=aws:kms"`
}

// Config is the location of a destination of type s3: a bucket and its options.
type Config struct {
	Bucket string `key:"bucket,optional"`
	Prefix string `key:"prefix"`
	// Region is the bucket's region; "" is the region of the AWS chain.
	Region string `key:"region"`
	// Profile is a profile of the AWS chain, and RoleARN a role that it, or the chain, assumes for the bucket; "" for none.
	Profile string          `key:"profile"`
	RoleARN setting.RoleARN `key:"role_arn"`
	// EndpointURL is the server's URL if the server is not Amazon's.
	EndpointURL          string      `key:"endpoint_url"`
	ForcePathStyle       bool        `key:"force_path_style"`
	Checksum             Checksum    `key:"checksum"`
	StorageClass         string      `key:"storage_class"`
	ServerSideEncryption Encryption  `key:"server_side_encryption"`
	MetadataSet          MetadataSet `key:"metadata"`
	// Tags are the tags of every object, manifest and ledger parts included, as NAME=VALUE; a name has no = in it.
	Tags []string `key:"tags,optional,pairs"`
	// Timeout is how long the server may take to answer a whole request before the request fails. A whole
	// attempt, which may send a large object over a slow connection, may take five times as long. Zero is 60 s.
	Timeout time.Duration `key:"timeout" range:"1ms..1h"`
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
