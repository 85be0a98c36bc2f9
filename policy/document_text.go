package policy

import (
	"net/url"
	"regexp"
	"strings"
)

// docText is the rule for one kind of text. Everything in it but check can be
// said in JSON Schema as well.
type docText struct {
	expected string         // ends the sentence "expected …"
	enum     []string       // the only values, or nil
	pattern  *regexp.Regexp // in the syntax that RE2 and ECMAScript share, or nil
	most     int            // bytes; 0 is unlimited
	check    func(string) bool
}

// obeyed reports whether text obeys the rule.
func (t *docText) obeyed(text string) bool {
	for _, allowed := range t.enum {
		if text == allowed {
			return true
		}
	}
	return t.enum == nil &&
		(t.most == 0 || len(text) <= t.most) &&
		(t.pattern == nil || t.pattern.MatchString(text)) &&
		(t.check == nil || t.check(text))
}

// Kubernetes' names: RFC 1123 labels and subdomains, as its API validates them.
const (
	docLabel     = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	docSubdomain = docLabel + `(\.` + docLabel + `)*`
	docLabelWord = `[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?`
)

var docTexts = map[string]*docText{
	"apiVersion": {
		expected: APIVersion,
		enum:     []string{APIVersion},
	},
	"kind": {
		expected: Kind,
		enum:     []string{Kind},
	},
	"mode": {
		expected: "Observe, Target or Gate",
		enum:     []string{string(Observe), string(Target), string(Gate)},
	},
	"name": {
		expected: "a Kubernetes name: at most 253 lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
		pattern:  regexp.MustCompile(`^` + docSubdomain + `$`),
		most:     253,
	},
	"namespace": {
		expected: "a namespace: at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit",
		pattern:  regexp.MustCompile(`^` + docLabel + `$`),
		most:     63,
	},
	"allowedNamespace": {
		expected: `a namespace (at most 63 lower-case letters, digits and '-'), or "*" for any`,
		pattern:  regexp.MustCompile(`^(\*|` + docLabel + `)$`),
		most:     63,
	},
	"file": {
		expected: "the absolute path of a file",
		pattern:  regexp.MustCompile(`^/[^\x00-\x1f\x7f]+$`),
		most:     4096, // PATH_MAX
		check:    func(text string) bool { return !docLooksSecret(text) },
	},
	"groupVersion": {
		expected: `a group and version, such as "apps/v1"`,
		pattern:  regexp.MustCompile(`^(` + docSubdomain + `/)?v[0-9]([a-z0-9]*[a-z0-9])?$`),
		most:     317, // 253 of the group, a slash and 63
	},
	"objectKind": {
		expected: "the kind of an object, such as Deployment",
		pattern:  regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`),
		most:     63,
	},
	"labelName": {
		expected: `the name of a label, such as "app" or "app.kubernetes.io/name"`,
		pattern:  regexp.MustCompile(`^(` + docSubdomain + `/)?` + docLabelWord + `$`),
		most:     317,
		check:    func(text string) bool { return len(text)-strings.LastIndexByte(text, '/') <= 64 },
	},
	"labelValue": {
		expected: "the value of a label: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, or nothing",
		pattern:  regexp.MustCompile(`^(` + docLabelWord + `)?$`),
		most:     63,
	},
	"env": {
		expected: "the name of an environment variable: letters, digits and '_', not beginning with a digit",
		pattern:  regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`),
		most:     255,
	},
	"secretKey": {
		expected: "the key of a Secret: at most 253 letters, digits, '-', '_' and '.'",
		pattern:  regexp.MustCompile(`^[-._a-zA-Z0-9]+$`),
		most:     253,
	},
	"identifier": {
		// NAMEDATALEN - 1: PostgreSQL cuts what is longer.
		expected: "a name of 1 to 63 bytes, without control characters",
		pattern:  regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`),
		most:     63,
		check:    docIsNoLogin,
	},
	"applicationName": {
		// PostgreSQL cuts what is longer, and replaces every other character.
		expected: "1 to 63 printable ASCII characters",
		pattern:  regexp.MustCompile(`^[ -~]+$`),
		most:     63,
		check:    docIsNoLogin,
	},
	"queueURL": {
		expected: `the URL of a queue, such as "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"`,
		pattern:  regexp.MustCompile(`^https?://[^/?#@\s]+(/[^/?#@\s]+)+$`),
		most:     2048,
		check:    docIsURL,
	},
	"queueName": {
		expected: "the name of a queue: at most 80 letters, digits, '-' and '_', which may end in .fifo",
		pattern:  regexp.MustCompile(`^[A-Za-z0-9_-]+(\.fifo)?$`),
		most:     80,
	},
	"region": {
		expected: `an AWS region, such as "eu-west-1"`,
		pattern:  regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`),
		most:     63,
	},
	"endpoint": {
		expected: `the URL of a service, such as "http://127.0.0.1:9324"`,
		pattern:  regexp.MustCompile(`^https?://[^/?#@\s]+(/[^?#@\s]*)?$`),
		most:     2048,
		check:    docIsURL,
	},
}

// docIsURL reports whether text is a URL that names a host.
func docIsURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && u.User == nil
}

// docIsNoLogin keeps a data source name out of a name's place, where it would be
// shown as one. It is narrower than docLooksSecret: "token-service" is a name.
func docIsNoLogin(text string) bool {
	return !strings.Contains(text, "://") && !docPassword.MatchString(text)
}

var docPassword = regexp.MustCompile(`(?i)\b(password|passwd|pwd)\s*=`)

// docSQSHost is how Amazon names the public endpoint of a region.
var docSQSHost = regexp.MustCompile(`^sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)

// docRegionOf returns the region in the URL of a queue, "" where it shows none.
func docRegionOf(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	found := docSQSHost.FindStringSubmatch(strings.ToLower(u.Hostname()))
	if found == nil {
		return ""
	}
	return found[1]
}
