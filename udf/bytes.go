package udf

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

var (
	_ = builtin(
		Try2(
			"TO_BYTES",
			"the bytes that a text writes in an encoding: hex, utf8, ascii or base64",
			toBytes,
			Example{"FROM_BYTES(TO_BYTES('21', 'hex'), 'utf8')", "!"},
		),
	)
	_ = builtin(
		Try2(
			"FROM_BYTES",
			"the bytes written as text in an encoding: hex, utf8, ascii or base64",
			fromBytes,
			Example{"FROM_BYTES(TO_BYTES('Ko', 'utf8'), 'hex')", "4B6F"},
		),
	)
	_ = builtin(
		Try3(
			"ENCODE",
			"a text that is written in one encoding, written in another: hex, utf8, ascii or base64",
			encode,
			Example{"ENCODE('4578', 'hex', 'utf8')", "Ex"},
		),
	)
	_ = builtin(Func1("MD5", "the MD5 digest of a text, in hexadecimal digits", func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}, Example{"MD5('')", "d41d8cd98f00b204e9800998ecf8427e"}))
)

var (
	_ = builtin(fromOrdered(
		"INT_FROM_BYTES",
		"the INTEGER in 4 bytes",
		4,
		func(o binary.ByteOrder, b []byte) int32 { return int32(o.Uint32(b)) },
		Example{"INT_FROM_BYTES(TO_BYTES('000007e5', 'hex'))", "2021"},
	))
	_ = builtin(fromOrdered(
		"BIGINT_FROM_BYTES",
		"the BIGINT in 8 bytes",
		8,
		func(o binary.ByteOrder, b []byte) int64 { return int64(o.Uint64(b)) },
		Example{"BIGINT_FROM_BYTES(TO_BYTES('0200000000000000', 'hex'), 'LITTLE_ENDIAN')", "2"},
	))
	_ = builtin(fromOrdered(
		"DOUBLE_FROM_BYTES",
		"the DOUBLE in 8 bytes",
		8,
		func(o binary.ByteOrder, b []byte) float64 { return math.Float64frombits(o.Uint64(b)) },
		Example{"DOUBLE_FROM_BYTES(TO_BYTES('3ff8000000000000', 'hex'))", "1.5"},
	))
)

func fromOrdered[R Native](name, doc string, width int, f func(binary.ByteOrder, []byte) R, example Example) Scalar {
	get := func(b []byte, order string) (R, error) {
		var o binary.ByteOrder
		var none R
		switch upper(order) {
		case "BIG_ENDIAN":
			o = binary.BigEndian
		case "LITTLE_ENDIAN":
			o = binary.LittleEndian
		default:
			return none, fmt.Errorf("a byte order is BIG_ENDIAN or LITTLE_ENDIAN, not '%s'", order)
		}
		if len(b) != width {
			return none, fmt.Errorf("%d bytes are needed, not %d", width, len(b))
		}
		return f(o, b), nil
	}
	return overload(
		name,
		doc+", BIG_ENDIAN or, if the second argument says so, LITTLE_ENDIAN; NULL for another number of bytes",
		[]Example{example},
		Try1(name, "", func(b []byte) (R, error) { return get(b, "BIG_ENDIAN") }),
		Try2(name, "", get),
	)
}

func toBytes(s, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("the text is not in hexadecimal digits: %w", err)
		}
		return b, nil
	case "utf8":
		return []byte(s), nil
	case "ascii":
		out := make([]byte, 0, len(s))
		for _, r := range s {
			if r >= utf8.RuneSelf {
				r = '?'
			}
			out = append(out, byte(r))
		}
		return out, nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("the text is not base64: %w", err)
		}
		return b, nil
	}
	return nil, encodingError(encoding)
}

func encodingError(name string) error {
	return fmt.Errorf("an encoding is hex, utf8, ascii or base64, not '%s'", name)
}

func fromBytes(b []byte, encoding string) (string, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return strings.ToUpper(hex.EncodeToString(b)), nil
	case "utf8":
		return strings.ToValidUTF8(string(b), "\uFFFD"), nil
	case "ascii":
		var out strings.Builder
		for _, c := range b {
			if c >= utf8.RuneSelf {
				out.WriteRune(utf8.RuneError)
			} else {
				out.WriteByte(c)
			}
		}
		return out.String(), nil
	case "base64":
		return base64.StdEncoding.EncodeToString(b), nil
	}
	return "", encodingError(encoding)
}

// encode writes hexadecimal digits small, as ksqlDB's ENCODE does, and reads them with the
// prefixes 0x and x'..' too.
func encode(s, from, to string) (string, error) {
	if strings.EqualFold(from, "hex") {
		s = hexDigits(s)
	}
	b, err := toBytes(s, from)
	if err != nil {
		return "", err
	}
	if strings.EqualFold(to, "hex") {
		return hex.EncodeToString(b), nil
	}
	return fromBytes(b, to)
}

func hexDigits(s string) string {
	lower := strings.ToLower(s)
	switch {
	case strings.HasPrefix(lower, "0x"):
		s = s[2:]
	case strings.HasPrefix(lower, "x'") && strings.HasSuffix(s, "'") && len(s) > 2:
		s = s[2 : len(s)-1]
	}
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}
