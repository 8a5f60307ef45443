package setting

import (
	"fmt"
	"strings"
)

// RoleARN is the ARN of a role of IAM, or "".
type RoleARN string

// UnmarshalText accepts the ARN of a role, and "".
func (r *RoleARN) UnmarshalText(text []byte) error {
	const accountDigits = 12
	parts := strings.SplitN(string(text), ":", 6) // arn:PARTITION:iam::ACCOUNT:role/NAME
	ok := len(parts) == 6 && parts[0] == "arn" && parts[1] != "" && parts[2] == "iam" && parts[3] == "" &&
		len(parts[4]) == accountDigits && strings.Trim(parts[4], "0123456789") == "" && len(parts[5]) > len("role/") && strings.HasPrefix(parts[5], "role/")
	if !ok && len(text) > 0 {
		return fmt.Errorf("%q is not %s", Short(string(text)), r.Syntax())
	}
	*r = RoleARN(text)
	return nil
}

// Pattern returns the pattern of the values.
func (RoleARN) Pattern() string { return "^(arn:[^:]+:iam::[0-9]{12}:role/.+)?$" }

// Syntax returns the values that messages ask for.
func (RoleARN) Syntax() string {
	return "the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"
}
