package sink

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/kvsframes/kvsframes/media"
)

// MaxInFlight is the largest max_in_flight.
const MaxInFlight = 1024

// storageClasses are the storage classes of S3 (Amazon S3 API Reference,
// PutObject, x-amz-storage-class).
var storageClasses = []string{
	"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
	"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS",
}

// sinkName is what a sink may be called, in at most maxSinkName bytes. Names become parts of keys as they are.
var sinkName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$`)

const maxSinkName = 64

// problems collects what is wrong.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &media.FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// oneOf notes a value that is none of the allowed ones.
func oneOf[T ~string](p *problems, path string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	if near := closest(string(value), names); near != "" {
		p.add(path, "%q is not one of %s (did you mean %s?)", string(value), strings.Join(names, ", "), near)
		return
	}
	p.add(path, "%q is not one of %s", string(value), strings.Join(names, ", "))
}

// Validate returns all problems of c, joined; each is a *media.FieldError whose
// path starts below a sink. A key that belongs to another type of destination is
// one if it differs from its default.
func (c Config) Validate() error {
	var p problems
	if len(c.Name) > maxSinkName || !sinkName.MatchString(c.Name) || strings.Contains(c.Name, "..") {
		p.add("name", "%q is no name of 1 to 64 letters, digits, _, - and single dots inside", c.Name)
	}
	c.checkPath(&p)
	c.Manifest.check(&p)
	c.Destination.check(&p)
	return errors.Join(p...)
}

// CheckStreams returns the problems that c has when a run may read several
// streams, joined as Validate does: keys then have to name the stream.
func (c Config) CheckStreams() error {
	var p problems
	const problem = "needs {stream}: the run reads several streams, and their keys would be the same"
	overwrite := c.OverwriteExplicit && c.Destination.IfExists == IfExistsOverwrite
	if t, err := ParsePath(c.Path); err == nil && !t.Distinguishes().Streams && !overwrite {
		p.add("path", problem)
	}
	if c.Manifest.Format == ManifestNone {
		return errors.Join(p...)
	}
	if t, err := ParseManifestPath(c.Manifest.Path); err == nil && !t.Distinguishes().Streams {
		p.add("manifest.path", problem)
	}
	return errors.Join(p...)
}

func (c Config) checkPath(p *problems) {
	t, err := ParsePath(c.Path)
	if err != nil {
		p.add("path", "%v", err)
		return
	}
	if t.Distinguishes().Frames {
		return
	}
	const why = "cannot tell two frames apart: that takes {fragment_number} and {frame_index}"
	switch {
	case c.Destination.IfExists != IfExistsOverwrite:
		p.add("path", why)
	case !c.OverwriteExplicit:
		p.add("path", why+"; if each image is to replace the one before it, write `if_exists: overwrite` under destination")
	}
}

func (m Manifest) check(p *problems) {
	switch m.Format {
	case "parquet":
		p.add("manifest.format", "parquet is not available in this version")
	case ManifestNone:
		return
	default:
		oneOf(p, "manifest.format", m.Format, ManifestNone, ManifestJSONL)
	}
	t, err := ParseManifestPath(m.Path)
	if err != nil {
		p.add("manifest.path", "%v", err)
		return
	}
	if !t.Distinguishes().Fragments {
		p.add("manifest.path", "cannot tell two fragments apart: that takes {fragment_number}")
	}
}

func (d Destination) check(p *problems) {
	switch d.Type {
	case DestinationFile:
		d.checkFile(p)
	case DestinationS3:
		d.checkS3(p)
	case "stdout":
		p.add("destination.type", "stdout is not available in this version")
	default:
		oneOf(p, "destination.type", d.Type, DestinationFile, DestinationS3)
	}
	oneOf(p, "destination.if_exists", d.IfExists, IfExistsOverwrite, IfExistsSkip, IfExistsFail)
	if d.MaxInFlight < 1 || d.MaxInFlight > MaxInFlight {
		p.add("destination.max_in_flight", "%d is not within 1..%d", d.MaxInFlight, MaxInFlight)
	}
}

func (d Destination) checkFile(p *problems) {
	if d.Directory == "" {
		p.add("destination.directory", "is empty")
	}
	if strings.ContainsRune(d.Directory, 0) {
		p.add("destination.directory", "has a NUL character")
	}
	defaults := DefaultConfig().Destination
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"bucket", d.Bucket != ""},
		{"prefix", d.Prefix != ""},
		{"region", d.Region != ""},
		{"endpoint_url", d.EndpointURL != ""},
		{"force_path_style", d.ForcePathStyle},
		{"checksum", d.Checksum != defaults.Checksum && d.Checksum != ""},
		{"storage_class", d.StorageClass != defaults.StorageClass && d.StorageClass != ""},
		{"server_side_encryption.type", d.ServerSideEncryption.Type != ""},
		{"server_side_encryption.kms_key_id", d.ServerSideEncryption.KMSKeyID != ""},
		{"metadata", d.Metadata != defaults.Metadata && d.Metadata != ""},
	} {
		if key.set {
			p.add("destination."+key.name, "belongs to type s3, and the type is file")
		}
	}
}

func (d Destination) checkS3(p *problems) {
	if d.Directory != "" && d.Directory != DefaultConfig().Destination.Directory {
		p.add("destination.directory", "belongs to type file, and the type is s3")
	}
	if d.Fsync {
		p.add("destination.fsync", "belongs to type file, and the type is s3")
	}
	checkBucket(p, d)
	checkPrefix(p, d.Prefix)
	checkEndpoint(p, d.EndpointURL)
	oneOf(p, "destination.checksum", d.Checksum, ChecksumCRC32, ChecksumNone)
	// Other servers than Amazon's have classes of their own.
	if d.EndpointURL == "" {
		oneOf(p, "destination.storage_class", d.StorageClass, storageClasses...)
	} else if strings.ContainsFunc(d.StorageClass, notGraphic) {
		p.add("destination.storage_class", "%q has a space or a character that is not printable", d.StorageClass)
	}
	encryption := d.ServerSideEncryption
	if encryption.Type != "" {
		oneOf(p, "destination.server_side_encryption.type", encryption.Type, "AES256", "aws:kms")
	}
	if encryption.KMSKeyID != "" && encryption.Type != "aws:kms" {
		p.add("destination.server_side_encryption.kms_key_id", "belongs to type aws:kms")
	}
	oneOf(p, "destination.metadata", d.Metadata, MetadataNone, MetadataKVS, MetadataFull)
}

func notGraphic(r rune) bool { return r == ' ' || r > unicode.MaxASCII || !unicode.IsPrint(r) }

// bucketName is what Amazon lets a bucket be called (Amazon S3 User Guide, General purpose
// bucket naming rules), in 3 to 63 bytes; dotted numbers are an address and no name.
var (
	bucketName    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[a-z0-9]$`)
	bucketAddress = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// checkBucket holds a name of Amazon to its rules. Other servers have rules of their own,
// and so had Amazon once for the buckets that are still reached by path.
func checkBucket(p *problems, d Destination) {
	const path = "destination.bucket"
	bucket := d.Bucket
	switch {
	case bucket == "":
		p.add(path, "is needed for type s3")
	case strings.HasPrefix(bucket, "s3://"):
		p.add(path, "%q is a URL; give the name alone, and what follows it as prefix", bucket)
	case strings.HasPrefix(bucket, "arn:"):
	case strings.Contains(bucket, "/") || strings.ContainsFunc(bucket, notGraphic):
		p.add(path, "%q is no bucket name", bucket)
	case d.EndpointURL == "" && !d.ForcePathStyle && (len(bucket) < 3 || len(bucket) > 63 || !bucketName.MatchString(bucket) ||
		bucketAddress.MatchString(bucket) || strings.Contains(bucket, "..")):
		p.add(path, "%q is no bucket name: write 3 to 63 small letters, digits, - and single dots, letters or digits at both ends", bucket)
	}
}

// checkPrefix wants what joins with a key to a valid key. A slash at the end says
// nothing more than none.
func checkPrefix(p *problems, prefix string) {
	if prefix == "" {
		return
	}
	if err := CheckKey(strings.TrimSuffix(prefix, "/")); err != nil {
		p.add("destination.prefix", "%v", err)
	} else if strings.ContainsFunc(prefix, unicode.IsControl) {
		p.add("destination.prefix", "%q has a control character", prefix)
	}
}

func checkEndpoint(p *problems, endpoint string) {
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add("destination.endpoint_url", "%q is no URL such as https://s3.example.com", endpoint)
	case u.User != nil:
		p.add("destination.endpoint_url", "has a user name; credentials come from the AWS chain")
	case u.RawQuery != "" || u.Fragment != "":
		p.add("destination.endpoint_url", "%q has a query or a fragment", endpoint)
	}
}
