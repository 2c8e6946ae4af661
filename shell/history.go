package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"
)

// HistoryFile is where the shell keeps what was typed: in $XDG_STATE_HOME, else ~/.local/state.
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

// history is a history in a file that only its owner can read. What names SECRET is not written: it may hold a password.
type history struct{ readline.History }

// openHistory opens a history, making its file and the directories above it.
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

// Write keeps a statement, unless it names SECRET.
func (h *history) Write(line string) (int, error) {
	if strings.Contains(strings.ToUpper(line), "SECRET") {
		return h.Len(), nil
	}
	return h.History.Write(line)
}
