package udf

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// The result for a URL that is invalid or lacks the part is NULL, as ksqlDB documents.

func urlPart(name, doc string, part func(*url.URL) (string, bool), examples ...Example) Scalar {
	return Try1(name, doc+"; NULL if there is none or the URL is not valid", func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil {
			return "", errNull
		}
		v, ok := part(u)
		if !ok {
			return "", errNull
		}
		return v, nil
	}, examples...)
}

const exampleURL = "('http://test@example.com:8080/a%20b/c?x=1&y=a%20b#f%20g')"

var (
	_ = builtin(
		urlPart(
			"URL_EXTRACT_PROTOCOL",
			"the protocol of a URL",
			func(u *url.URL) (string, bool) { return u.Scheme, u.Scheme != "" },
			Example{"URL_EXTRACT_PROTOCOL" + exampleURL, "http"},
		),
	)
	_ = builtin(
		urlPart(
			"URL_EXTRACT_HOST",
			"the name of the host in a URL",
			func(u *url.URL) (string, bool) { return u.Hostname(), u.Hostname() != "" },
			Example{"URL_EXTRACT_HOST" + exampleURL, "example.com"},
		),
	)
	_ = builtin(
		urlPart(
			"URL_EXTRACT_PATH",
			"the path of a URL, decoded",
			func(u *url.URL) (string, bool) { return u.Path, u.Opaque == "" },
			Example{"URL_EXTRACT_PATH" + exampleURL, "/a b/c"},
		),
	)
	_ = builtin(
		urlPart(
			"URL_EXTRACT_QUERY",
			"the query of a URL, decoded",
			query,
			Example{"URL_EXTRACT_QUERY" + exampleURL, "x=1&y=a b"},
		),
	)
	_ = builtin(
		urlPart(
			"URL_EXTRACT_FRAGMENT",
			"the part of a URL after the #, decoded",
			func(u *url.URL) (string, bool) { return u.Fragment, u.Fragment != "" },
			Example{"URL_EXTRACT_FRAGMENT" + exampleURL, "f g"},
		),
	)
)

func query(u *url.URL) (string, bool) {
	if u.RawQuery == "" && !u.ForceQuery {
		return "", false
	}
	v, err := url.PathUnescape(u.RawQuery) // a + is not an encoding in this part of a URL
	return v, err == nil
}

var _ = builtin(
	Try1(
		"URL_EXTRACT_PORT",
		"the port of a URL, as an INTEGER; NULL if there is none or the URL is not valid",
		func(s string) (int32, error) {
			u, err := url.Parse(s)
			if err != nil {
				return 0, errNull
			}
			n, err := strconv.ParseInt(u.Port(), 10, 32)
			if err != nil {
				return 0, errNull
			}
			return int32(n), nil
		},
		Example{"URL_EXTRACT_PORT" + exampleURL, "8080"},
	),
)

var _ = builtin(
	Try2(
		"URL_EXTRACT_PARAMETER",
		"the value of a parameter in the query of a URL, decoded; NULL if it does not exist, has no value, or "+
			"the URL is not valid",
		func(s, name string) (string, error) {
			u, err := url.Parse(s)
			if err != nil {
				return "", errNull
			}
			for _, pair := range strings.Split(u.RawQuery, "&") {
				key, value, found := strings.Cut(pair, "=")
				if k, err := url.PathUnescape(key); found && err == nil && k == name {
					if v, err := url.PathUnescape(value); err == nil {
						return v, nil
					}
				}
			}
			return "", errNull
		},
		Example{"URL_EXTRACT_PARAMETER" + strings.TrimSuffix(exampleURL, ")") + ", 'y')", "a b"},
	),
)

var _ = builtin(
	Func1(
		"URL_ENCODE_PARAM",
		"a text as a parameter's value in a URL (application/x-www-form-urlencoded)",
		func(s string) string {
			var out strings.Builder
			for _, c := range []byte(s) {
				switch {
				case c == ' ':
					out.WriteByte('+')
				case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.*", c) >= 0:
					out.WriteByte(c)
				default:
					fmt.Fprintf(&out, "%%%02X", c)
				}
			}
			return out.String()
		},
		Example{"URL_ENCODE_PARAM('?foo $bar')", "%3Ffoo+%24bar"},
	),
)

var _ = builtin(
	Try1(
		"URL_DECODE_PARAM",
		"the text that a parameter's value in a URL stands for: the inverse of URL_ENCODE_PARAM",
		url.QueryUnescape,
		Example{"URL_DECODE_PARAM('url%20encoded')", "url encoded"},
	),
)
