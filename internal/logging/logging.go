// Package logging gives every package the same meaning of a nil logger, and sums up warnings that repeat.
package logging

import "log/slog"

// OrSilent returns log, or a logger that discards everything when log is nil.
func OrSilent(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
