package setting

import (
	"fmt"
	"regexp"
)

// RoleARN is the ARN of a role of IAM, or "".
type RoleARN string

// UnmarshalText accepts the ARN of a role, and "".
func (r *RoleARN) UnmarshalText(text []byte) error {
	if !regexp.MustCompile(r.Pattern()).Match(text) {
		return fmt.Errorf("%q is not %s", Short(string(text)), r.Syntax())
	}
	*r = RoleARN(text)
	return nil
}

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (RoleARN) Pattern() string { return "^(arn:[^:]+:iam::[0-9]{12}:role/.+)?$" }

// Syntax returns the values that messages ask for.
func (RoleARN) Syntax() string {
	return "the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"
}
