// Package lint holds the rules of this repository that no ready-made linter
// knows, as tests: which package may import what (the import table of
// ARCHITECTURE.md), how long files and functions may grow, that every exported
// name says what it is, and words that must not stand in any file.
//
// Each rule is a function from source to findings, and each has a test that
// hands it a violation, so that a rule cannot pass by finding nothing.
package lint
