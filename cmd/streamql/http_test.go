package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var answeredAt = regexp.MustCompile(`serving HTTP at (https?://\S+)`)

// TestHTTP queries a process that runs a file: over loopback, then over TLS with a token from its
// configuration.
func TestHTTP(t *testing.T) {
	sql := file(t, "h.sql", "CREATE STREAM s (id STRING KEY, v INT) WITH (topic='s', format='json');")
	dir := folder(t, "", "")
	certificate(t, dir)
	config := "[server]\ncert_file = \"ca.pem\"\nkey_file = \"ca.key\"\ntoken = \"file:pw\"\n"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		config, address string
		tell            string // the token
		status          int
	}{{"", "127.0.0.1:0", "", 200}, {config, "0.0.0.0:0", canary, 200}, {config, "127.0.0.1:0", "other", 401}} {
		if err := os.WriteFile(filepath.Join(dir, projectFile), []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		cmd, out, _ := command(ctx, "", "run", sql, "--http", c.address)
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = write
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		write.Close()
		said := ""
		buf := make([]byte, 4096)
		for !strings.Contains(said, "stream s created") {
			n, err := read.Read(buf)
			if said += string(buf[:n]); err != nil {
				t.Fatalf("it ends with\n%s", said)
			}
		}
		at := answeredAt.FindStringSubmatch(said)
		if at == nil {
			t.Fatalf("the address is not printed: %s", said)
		}
		r, err := http.NewRequest("POST", strings.Replace(at[1], "[::]", "127.0.0.1", 1)+"/v1/query",
			strings.NewReader(`{"sql":"SHOW STREAMS;"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/csv")
		r.Header.Set("Authorization", "Bearer "+c.tell)
		got, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(got.Body)
		got.Body.Close()
		if got.StatusCode != c.status || c.status == 200 && !strings.Contains(string(text), "\r\ns,s,") {
			t.Errorf("%s: %d, %s", c.address, got.StatusCode, text)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(read)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || strings.Contains(said+string(rest)+out.String(), canary) {
			t.Errorf("%s: %v\n%s%s", c.address, err, said, rest)
		}
		read.Close()
		cancel()
	}
	if err := os.Remove(projectFile); err != nil {
		t.Fatal(err)
	}
	if got := invoke(t, "", "run", sql, "--http", ":0"); got.code != 2 || !strings.Contains(got.err, "SQ7101") {
		t.Errorf("every address without TLS: exit %d, %s", got.code, got.err)
	}
}
