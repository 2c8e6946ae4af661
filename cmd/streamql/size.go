package main

import (
	"fmt"
	"strconv"
	"strings"
)

// size is a number of bytes, written as 1048576, 1024KiB or 1MiB.
type size int64

// UnmarshalText parses a size.
func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "KMGTiB")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, known := map[string]int{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[string(text[len(digits):])]
	if err != nil || !known || n < 0 || n > 1<<62>>shift {
		return fmt.Errorf("%q is not a size: write it as 512MiB", text)
	}
	*s = size(n << shift)
	return nil
}
