package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"
)

// HistoryFile returns the path of the shell's history file: below $XDG_STATE_HOME, or else below
// ~/.local/state.
func HistoryFile() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "streamql", "history"), nil
}

// history stores statements in a file that only its owner can read. A statement that contains SECRET is not
// stored, because it may contain a password.
type history struct{ readline.History }

// openHistory opens a history. It creates the file and the directories above it.
func openHistory(file string) (*history, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	err = f.Chmod(0o600)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	h, err := readline.NewHistoryFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &history{h}, nil
}

// Write stores a statement, unless it contains SECRET.
func (h *history) Write(line string) (int, error) {
	if strings.Contains(strings.ToUpper(line), "SECRET") {
		return h.Len(), nil
	}
	return h.History.Write(line)
}
