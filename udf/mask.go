package udf

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/streamql/streamql/flow"
)

var (
	_ = builtin(
		masking(
			"MASK",
			"the text with upper-case and lower-case characters, digits and all others replaced",
			false,
			everywhere,
			Example{
				"MASK('My Test $123')",
				"Xx-Xxxx--nnn",
			},
			Example{"MASK('My Test $123', '*', NULL, '1', NULL)", "*y *est $111"},
		),
	)
	_ = builtin(masking("MASK_LEFT", "the text with its first characters hidden", true,
		func(n, count int) (int, int) { return 0, count }, Example{"MASK_LEFT('My Test $123', 4)", "Xx-Xest $123"}))
	_ = builtin(masking(
		"MASK_RIGHT",
		"the text with its last characters hidden",
		true,
		func(n, count int) (int, int) { return n - count, n },
		Example{"MASK_RIGHT('My Test $123', 4)", "My Test -nnn"},
	))
	_ = builtin(masking(
		"MASK_KEEP_LEFT",
		"the text hidden but for its first characters",
		true,
		func(n, count int) (int, int) { return count, n },
		Example{"MASK_KEEP_LEFT('My Test $123', 4)", "My Txxx--nnn"},
	))
	_ = builtin(masking(
		"MASK_KEEP_RIGHT",
		"the text hidden but for its last characters",
		true,
		func(n, count int) (int, int) { return 0, n - count },
		Example{"MASK_KEEP_RIGHT('My Test $123', 4)", "Xx-Xxxx-$123"},
	))
)

func everywhere(n, _ int) (int, int) { return 0, n }

// masking returns a function (text[, count], [upper, lower, digit, other]). The last four
// arguments replace the characters of each kind; NULL leaves them. where returns the bounds of
// the hidden part of n characters.
func masking(name, doc string, counted bool, where func(n, count int) (from, to int), examples ...Example) Scalar {
	lead := []flow.Type{flow.String}
	if counted {
		lead = append(lead, flow.Int)
	}
	full := append(append([]flow.Type{}, lead...), repeat(flow.String, 4)...)
	doc += " by X, x, n and -, or by four characters of your own (NULL: not hidden)"
	return bound(name, doc, func(have []flow.Type) (Signature, error) {
		args := full
		if len(have) == len(lead) {
			args = lead
		}
		sig := Signature{
			Args:   args,
			Result: flow.String,
			Kernel: Each(flow.String, true, func(args []any) (any, error) {
				return mask(args, len(lead), where)
			}),
		}
		return sig, Accept(name, have, args...)
	}, examples...)
}

func mask(args []any, lead int, where func(n, count int) (int, int)) (any, error) {
	count := 0
	for _, a := range args[:lead] {
		if a == nil {
			return nil, nil
		}
	}
	if lead == 2 {
		if count = int(args[1].(int32)); count < 0 {
			return nil, errors.New("the number of characters is negative")
		}
	}
	by, err := masks(args[lead:])
	if err != nil {
		return nil, err
	}
	text := []rune(args[0].(string))
	from, to := where(len(text), min(count, len(text)))
	for i := from; i < to; i++ {
		if m := by[kind(text[i])]; m >= 0 {
			text[i] = m
		}
	}
	return string(text), nil
}

func masks(args []any) ([4]rune, error) {
	by := [4]rune{'X', 'x', 'n', '-'}
	for i, a := range args {
		s, ok := a.(string)
		switch {
		case !ok:
			by[i] = -1
		case utf8.RuneCountInString(s) != 1:
			return by, errors.New("a mask is one character, not " + quote(s))
		default:
			by[i], _ = utf8.DecodeRuneInString(s)
		}
	}
	return by, nil
}

func kind(r rune) int {
	switch {
	case unicode.IsUpper(r):
		return 0
	case unicode.IsLower(r):
		return 1
	case unicode.IsDigit(r):
		return 2
	}
	return 3
}
