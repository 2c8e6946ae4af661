package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// newLog returns the log that --log configures, as LEVEL or LEVEL,FORMAT; nil without the flag.
func newLog(to io.Writer, flag string) (*slog.Logger, error) {
	if flag == "" {
		return slog.New(slog.DiscardHandler), nil
	}
	word, format, _ := strings.Cut(flag, ",")
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn,
		"error": slog.LevelError}
	level, known := levels[word]
	o := &slog.HandlerOptions{Level: level}
	switch {
	case known && (format == "" || format == "text"):
		return slog.New(slog.NewTextHandler(to, o)), nil
	case known && format == "json":
		return slog.New(slog.NewJSONHandler(to, o)), nil
	}
	return nil, fmt.Errorf("--log must be debug, info, warn or error, optionally with ,text or ,json, not %q", flag)
}
