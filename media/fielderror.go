package media

// FieldError is one problem of one setting. The Validate methods of the packages
// join one for each problem that they find, so that whoever read the settings can
// add the place where each of them was written.
type FieldError struct {
	// Path is the key path within the part of pipeline.yaml that the package
	// owns, such as start_selector.timestamp or paths[2].
	Path string
	// Problem says what is wrong with it.
	Problem string
}

// Key returns the key path.
func (e *FieldError) Key() string { return e.Path }

// Error implements error: "path: problem".
func (e *FieldError) Error() string { return e.Path + ": " + e.Problem }
