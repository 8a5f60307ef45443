// Package lint tests the rules of this repository that no existing linter checks: which package may import what (the
// import table of ARCHITECTURE.md), how long files and functions may be, that every exported name is documented, and
// words that no file may contain.
//
// Each rule is a function from source to findings. Each has a test with a violation, which shows that the rule works.
package lint
