package sink

// DestinationType is where a sink's objects go.
type DestinationType string

// The destinations.
const (
	DestinationFile DestinationType = "file"
	DestinationS3   DestinationType = "s3"
)

// IfExists says what happens when an object of the same key is already there.
type IfExists string

// The values of if_exists.
const (
	IfExistsOverwrite IfExists = "overwrite"
	IfExistsSkip      IfExists = "skip"
	IfExistsFail      IfExists = "fail"
)

// Checksum says which checksum an S3 object is put with, for the server to check.
type Checksum string

// The values of checksum. None is for servers that refuse the headers.
const (
	ChecksumCRC32 Checksum = "crc32"
	ChecksumNone  Checksum = "none"
)

// MetadataSet says which user metadata an S3 object carries.
type MetadataSet string

// The sets: kvs is the three names that the managed image delivery of Kinesis
// Video Streams writes (Developer Guide, Automated image generation).
const (
	MetadataNone MetadataSet = "none"
	MetadataKVS  MetadataSet = "kvs"
	MetadataFull MetadataSet = "full"
)

// Encryption is S3's server-side encryption of an object.
type Encryption struct {
	// Type is "" (the bucket's default), AES256 or aws:kms.
	Type     string `mapstructure:"type"`
	KMSKeyID string `mapstructure:"kms_key_id"`
}

// Destination is the `destination` part of a sink.
type Destination struct {
	Type DestinationType `mapstructure:"type"`

	// Directory is the root of a file destination.
	Directory string `mapstructure:"directory"`
	// Fsync makes every file and its directory durable before it counts.
	Fsync bool `mapstructure:"fsync"`

	Bucket               string      `mapstructure:"bucket"`
	Prefix               string      `mapstructure:"prefix"`
	Region               string      `mapstructure:"region"`
	EndpointURL          string      `mapstructure:"endpoint_url"`
	ForcePathStyle       bool        `mapstructure:"force_path_style"`
	Checksum             Checksum    `mapstructure:"checksum"`
	StorageClass         string      `mapstructure:"storage_class"`
	ServerSideEncryption Encryption  `mapstructure:"server_side_encryption"`
	Metadata             MetadataSet `mapstructure:"metadata"`

	IfExists IfExists `mapstructure:"if_exists"`
	// MaxInFlight is the largest number of objects written at once.
	MaxInFlight int `mapstructure:"max_in_flight"`
}

// ManifestFormat is the form of a manifest part.
type ManifestFormat string

// The forms of a manifest.
const (
	ManifestNone  ManifestFormat = "none"
	ManifestJSONL ManifestFormat = "jsonl"
)

// Manifest is the `manifest` part of a sink.
type Manifest struct {
	Format ManifestFormat `mapstructure:"format"`
	// Path is the template of a part's key, one part a fragment.
	Path string `mapstructure:"path"`
}

// Config is what a sink needs to name, write and record images.
type Config struct {
	// Name is how keys, records and messages call the sink.
	Name string `mapstructure:"name"`
	// Path is the template of an image's key.
	Path        string      `mapstructure:"path"`
	Destination Destination `mapstructure:"destination"`
	Manifest    Manifest    `mapstructure:"manifest"`

	// OverwriteExplicit reports whether `if_exists: overwrite` was written out, and is
	// not just the default. Only then may Path be one that cannot tell two
	// frames apart: each image replaces the one before it.
	OverwriteExplicit bool `mapstructure:"-"`
	// Ext is the extension of all images of the sink if it is known, or "". With
	// it Conflicts can tell a sink of JPEG from one of raw frames.
	Ext string `mapstructure:"-"`
}

// DefaultConfig returns the settings of a sink that says only its name.
func DefaultConfig() Config {
	return Config{
		Path: "{stream}/{producer_time}_{fragment_number}_{frame_index}.{ext}",
		Destination: Destination{
			Type:         DestinationFile,
			Directory:    "out",
			Checksum:     ChecksumCRC32,
			StorageClass: "STANDARD",
			Metadata:     MetadataKVS,
			IfExists:     IfExistsOverwrite,
			MaxInFlight:  16,
		},
		Manifest: Manifest{
			Format: ManifestJSONL,
			Path:   "{stream}/manifest/{sink}/{fragment_number}.jsonl",
		},
	}
}
