package s3_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink/s3"
)

func TestBadConfigs(t *testing.T) {
	for _, test := range []struct {
		name, bucket string
		change       func(c *s3.Config)
		want         []string
	}{
		{"no bucket", "bbb", func(c *s3.Config) { c.Bucket = "" }, []string{"bucket: is required for type s3"}},
		{"a bucket with capitals", "My_Bucket", func(*s3.Config) {}, []string{`bucket: "My_Bucket" is not a bucket name: write 3 to 63 lower-case letters, digits, - and single dots, letters or digits at both ends`}},
		{"a bucket like an address", "10.0.0.1", func(*s3.Config) {}, []string{`bucket: "10.0.0.1" is not a bucket name: write 3 to 63 lower-case letters, digits, - and single dots, letters or digits at both ends`}},
		{"a short bucket", "ab", func(*s3.Config) {}, []string{`bucket: "ab" is not a bucket name: write 3 to 63 lower-case letters, digits, - and single dots, letters or digits at both ends`}},
		{"a bucket as a URL", "s3://b/p", func(*s3.Config) {}, []string{`bucket: "s3://b/p" is a URL; give only the name, and the path as prefix`}},
		{"a bucket with a prefix", "b/p", func(*s3.Config) {}, []string{`bucket: "b/p" is not a bucket name`}},
		{"a prefix from the root", "bbb", func(c *s3.Config) { c.Prefix = "/p" }, []string{`prefix: key is not valid: "/p" has an empty segment`}},
		{"a prefix of nothing", "bbb", func(c *s3.Config) { c.Prefix = "/" }, []string{`prefix: key is not valid: "" has an empty segment`}},
		{"an endpoint without scheme", "bbb", func(c *s3.Config) { c.EndpointURL = "localhost:9000" }, []string{
			`endpoint_url: "localhost:9000" is not a URL such as https://s3.example.com`,
		}},
		{"an endpoint with a password", "bbb", func(c *s3.Config) { c.EndpointURL = "http://a:b@h" }, []string{
			"endpoint_url: has a user name; credentials come from the AWS chain",
		}},
		{"a KMS key without KMS", "bbb", func(c *s3.Config) {
			c.ServerSideEncryption = s3.Encryption{Type: "AES256", KMSKeyID: "k"}
		}, []string{
			"server_side_encryption.kms_key_id: belongs to type aws:kms, and the type is AES256",
		}},
		{"an unknown encryption", "bbb", func(c *s3.Config) { c.ServerSideEncryption.Type = "kms" }, []string{
			`server_side_encryption.type: "kms" is not one of "", AES256, aws:kms`,
		}},
		{"bad tags", "bbb", func(c *s3.Config) {
			c.Tags = []string{"z", "=b", "AWS:x=y", "a=b", "a=c", "q=a,b", "n\n=", strings.Repeat("ü", 129) + "=", "v=" + strings.Repeat("v", 257)}
		}, []string{
			`tags[0]: "z" is not the name of a tag and its value: write {NAME: VALUE}`,
			`tags[1]: "=b" is not the name of a tag and its value: write {NAME: VALUE}`,
			`tags[2]: "AWS:x" is reserved: AWS sets the tags that begin with aws:`,
			`tags[4]: another tag is also called "a"`,
			`tags[5]: "q=a,b" has a character other than letters, digits, spaces and + - = . _ : / @`,
			`tags[6]: "n\n=" has a character other than letters, digits, spaces and + - = . _ : / @`,
			`tags[7]: "` + strings.Repeat("ü", 129) + `=" is too long: a name has at most 128 characters, and a value 256`,
			`tags[8]: "v=` + strings.Repeat("v", 138) + `" is too long: a name has at most 128 characters, and a value 256`,
		}},
		{"too many tags", "bbb", func(c *s3.Config) {
			for i := range 11 {
				c.Tags = append(c.Tags, string(rune('a'+i))+"=")
			}
		}, []string{"tags: has 11 entries, an object has at most 10"}},
		{"spelling", "bbb", func(c *s3.Config) { c.StorageClass, c.MetadataSet, c.Checksum = "STANDARD-IA", "ful", "crc" }, []string{
			`storage_class: "STANDARD-IA" is not one of STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER, DEEP_ARCHIVE, OUTPOSTS, GLACIER_IR, SNOW, EXPRESS_ONEZONE, FSX_OPENZFS (did you mean STANDARD_IA?)`,
			`checksum: "crc" is not one of crc32, none`,
			`metadata: "ful" is not one of none, kvs, full (did you mean full?)`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s3.DefaultConfig()
			c.Bucket = test.bucket
			test.change(&c)
			var got []string
			if several, ok := c.Validate().(interface{ Unwrap() []error }); ok {
				for _, err := range several.Unwrap() {
					var e *setting.Error
					if !errors.As(err, &e) {
						t.Fatalf("%v is no *setting.Error", err)
					}
					got = append(got, e.Error())
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestConfigsThatAreFine(t *testing.T) {
	for name, change := range map[string]func(c *s3.Config){
		"a bucket alone":                       func(*s3.Config) {},
		"a prefix with a slash at its end":     func(c *s3.Config) { c.Prefix = "p/q/" },
		"an access point in place of a bucket": func(c *s3.Config) { c.Bucket = "arn:aws:s3:eu-west-1:123456789012:accesspoint/video" },
		"another server's own storage class":   func(c *s3.Config) { c.EndpointURL, c.StorageClass = "http://h:1/x", "COLD" },
		"an old bucket, by path":               func(c *s3.Config) { c.Bucket, c.ForcePathStyle = "Old_Bucket", true },
		"the longest tags": func(c *s3.Config) {
			c.Tags = []string{strings.Repeat("ü", 128) + "=" + strings.Repeat("v", 256), "b="}
		},
		"a bucket of another server": func(c *s3.Config) { c.Bucket, c.EndpointURL = "B_", "http://h:1" },
	} {
		c := s3.DefaultConfig()
		c.Bucket = "bbb"
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
