package s3

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// storageClasses are the storage classes of S3 (Amazon S3 API Reference,
// PutObject, x-amz-storage-class).
var storageClasses = []string{
	standardClass, "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
	"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS",
}

// Validate implements sink.Location.
func (c Config) Validate() error {
	var p setting.Problems
	c.checkBucket(&p)
	checkPrefix(&p, c.Prefix)
	checkEndpoint(&p, c.EndpointURL)
	checkTags(&p, c.Tags)
	// Other servers have their own classes.
	if c.EndpointURL == "" {
		if err := setting.CheckValue(c.StorageClass, storageClasses, nil); err != nil {
			p.Add("storage_class", "%v", err)
		}
	} else if strings.ContainsFunc(c.StorageClass, notGraphic) {
		p.Add("storage_class", "%q has a space or a character that is not printable", c.StorageClass)
	}
	p.Check("", c, DefaultConfig())
	return p.Err()
}

func notGraphic(r rune) bool { return r == ' ' || r > unicode.MaxASCII || !unicode.IsPrint(r) }

// bucketName and bucketAddress state Amazon's rules for names of 3 to 63 bytes (Amazon S3 User Guide, General
// purpose bucket naming rules): a dotted address is not a name.
var (
	bucketName    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[a-z0-9]$`)
	bucketAddress = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// checkBucket checks a name by Amazon's rules. Other servers have their own rules, and Amazon had looser ones
// for old buckets, which are still reached by path.
func (c Config) checkBucket(p *setting.Problems) {
	const path = "bucket"
	bucket := c.Bucket
	switch {
	case bucket == "":
		p.Add(path, "is required for type s3")
	case strings.HasPrefix(bucket, "s3://"):
		p.Add(path, "%q is a URL; give only the name, and the path as prefix", bucket)
	case strings.HasPrefix(bucket, "arn:"):
	case strings.Contains(bucket, "/") || strings.ContainsFunc(bucket, notGraphic):
		p.Add(path, "%q is not a bucket name", bucket)
	case c.EndpointURL == "" && !c.ForcePathStyle && (len(bucket) < 3 || len(bucket) > 63 || !bucketName.MatchString(bucket) ||
		bucketAddress.MatchString(bucket) || strings.Contains(bucket, "..")):
		p.Add(path, "%q is not a bucket name: write 3 to 63 lower-case letters, digits, - and single dots, letters or digits at both ends", bucket)
	}
}

// checkPrefix accepts a prefix that forms a valid key together with a key. A slash at its end has no effect.
func checkPrefix(p *setting.Problems, prefix string) {
	if prefix == "" {
		return
	}
	if err := sink.CheckKey(strings.TrimSuffix(prefix, "/")); err != nil {
		p.Add("prefix", "%v", err)
	} else if strings.ContainsFunc(prefix, unicode.IsControl) {
		p.Add("prefix", "%q has a control character", prefix)
	}
}

func checkEndpoint(p *setting.Problems, endpoint string) {
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.Add("endpoint_url", "%q is not a URL such as https://s3.example.com", endpoint)
	case u.User != nil:
		p.Add("endpoint_url", "has a user name; credentials come from the AWS chain")
	case u.RawQuery != "" || u.Fragment != "":
		p.Add("endpoint_url", "%q has a query or a fragment", endpoint)
	}
}
