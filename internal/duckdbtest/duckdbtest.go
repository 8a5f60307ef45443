// Package duckdbtest reads what kvsframes writes with DuckDB, for tests. DuckDB is an npm package that build/readers.sh installs.
package duckdbtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Rows runs SQL and returns the rows of the last statement, as DuckDB writes them in JSON: 64-bit integers, times and decimals are text. The
// test fails if DuckDB is not there: otherwise an output would look tested that is not.
func Rows(tb testing.TB, sql string) []map[string]any {
	tb.Helper()
	module, err := exec.CommandContext(tb.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		tb.Fatalf("find the module: %v", err)
	}
	command := exec.CommandContext(tb.Context(), "node", "query.mjs")
	command.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "tools", "node")
	command.Stdin = strings.NewReader(sql)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		tb.Fatalf("DuckDB (make setup-test installs it): %v: %s\n%s", err, &stderr, sql)
	}
	var rows []map[string]any
	if err := json.Unmarshal(out, &rows); err != nil {
		tb.Fatalf("read DuckDB's rows: %v", err)
	}
	return rows
}
