package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLogFlag(t *testing.T) {
	for flag, want := range map[string]string{"": "", "info": "level=WARN msg=a job=j",
		"warn,json": `"level":"WARN","msg":"a","job":"j"`, "error": "",
		"debug,text": "level=WARN msg=a job=j"} {
		var out bytes.Buffer
		log, err := newLog(&out, flag)
		if err != nil {
			t.Fatal(err)
		}
		if log.Warn("a", "job", "j"); !strings.Contains(out.String(), want) || want == "" && out.Len() > 0 {
			t.Errorf("--log %s: %q", flag, out.String())
		}
	}
	for _, flag := range []string{"loud", "info,xml", "info,", ",json"} {
		if _, err := newLog(&bytes.Buffer{}, flag); (err == nil) != (flag == "info,") {
			t.Errorf("--log %s: %v", flag, err)
		}
	}
}
