package kafka

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestSecretIsNeverShown prints a secret with every verb except %p, for which fmt does not call
// a method.
func TestSecretIsNeverShown(t *testing.T) {
	const canary = "canary-161803"
	s := SASL{Mechanism: "PLAIN", User: "u", Password: canary}
	shown := []string{
		s.Password.String(),
		fmt.Sprint(s.Password, s, &s, []Secret{canary}, map[Secret]Secret{canary: canary}),
	}
	for _, verb := range "vdsqxXtTUcboeEfgG" {
		for _, flag := range []string{"%", "%+", "%#", "%50"} {
			shown = append(
				shown,
				fmt.Sprintf(flag+string(verb), s.Password),
				fmt.Sprintf(flag+string(verb), s),
				fmt.Sprintf(flag+string(verb), Config{SASL: &s}),
			)
		}
	}
	text, err := json.Marshal(
		map[string]any{"password": s.Password, "sasl": []any{s.Password, Config{SASL: &s}.SASL.Password}},
	)
	if err != nil {
		t.Fatal(err)
	}
	hex := fmt.Sprintf("%x", canary)
	for _, text := range append(shown, string(text), fmt.Errorf("login: %v", s).Error()) {
		if strings.Contains(text, canary) || strings.Contains(text, hex) {
			t.Errorf("the secret is shown: %s", text)
		}
	}
}
