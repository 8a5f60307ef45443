package s3

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/setting"
)

// The limits of an object's tags, in number and in characters (Amazon S3 User Guide, Categorizing your objects using tags).
const (
	maxTags     = 10
	maxTagName  = 128
	maxTagValue = 256
)

// checkTags accepts what S3 accepts: letters, digits and spaces of any script, and some signs.
func checkTags(p *setting.Problems, tags []string) {
	if len(tags) > maxTags {
		p.Add("tags", "has %d entries, an object has at most %d", len(tags), maxTags)
	}
	seen := map[string]bool{}
	for i, pair := range tags {
		path := fmt.Sprintf("tags[%d]", i)
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || name == "":
			p.Add(path, "%.140q is not the name of a tag and its value: write {NAME: VALUE}", pair)
		case strings.HasPrefix(strings.ToLower(name), "aws:"):
			p.Add(path, "%.140q is reserved: AWS sets the tags that begin with aws:", name)
		case utf8.RuneCountInString(name) > maxTagName || utf8.RuneCountInString(value) > maxTagValue:
			p.Add(path, "%.140q is too long: a name has at most %d characters, and a value %d", pair, maxTagName, maxTagValue)
		case strings.ContainsFunc(pair, notOfATag):
			p.Add(path, "%.140q has a character other than letters, digits, spaces and + - = . _ : / @", pair)
		case seen[name]:
			p.Add(path, "another tag is also called %q", name)
		}
		seen[name] = true
	}
}

func notOfATag(r rune) bool {
	return r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.N, unicode.Zs) && !strings.ContainsRune("+-=._:/@", r)
}

// tagging returns the tags as the header x-amz-tagging has them, nil for none.
func tagging(tags []string) *string {
	if len(tags) == 0 {
		return nil
	}
	values := url.Values{}
	for _, pair := range tags {
		name, value, _ := strings.Cut(pair, "=")
		values.Set(name, value)
	}
	header := strings.ReplaceAll(values.Encode(), "+", "%20") // not every server reads a plus as a space
	return &header
}
