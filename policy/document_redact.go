package policy

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// docHidden stands where a value may be a secret.
const docHidden = "a value that is not shown"

// docShownBytes is how much of a text is shown.
const docShownBytes = 80

// docSecretWords are what passwords and keys come with: a URL with a login, the
// keywords of a DSN, the prefixes of AWS access keys, a PEM block.
var docSecretWords = regexp.MustCompile(`(?i)://[^/?#\s]*@|passw|pwd|secret|token|sslkey|\b(AKIA|ASIA)[A-Z0-9]{12,}|-----BEGIN`)

// docDataSource is how a PostgreSQL data source name begins or goes on.
var docDataSource = regexp.MustCompile(`(?i)^postgres(ql)?:|\b(host|hostaddr|user|dbname|port|service|passfile)\s*=`)

// docLooksSecret reports whether a text may hold a login. It errs towards yes:
// all that is lost is that a message shows no value.
func docLooksSecret(text string) bool {
	return docSecretWords.MatchString(text) || docDataSource.MatchString(text)
}

// docFound names what stands in a document, for a [Problem]. Where secret is
// true, or the text itself looks like one, it shows nothing of it.
func docFound(n *yaml.Node, secret bool) string {
	if n.Style&yaml.TaggedStyle != 0 {
		return "a value with a YAML tag"
	}
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
	}
	if secret || docLooksSecret(n.Value) {
		return docHidden
	}
	if n.ShortTag() == "!!str" {
		return docQuote(n.Value)
	}
	return docCut(strings.Map(docPrintable, n.Value))
}

// docQuote shows a text in quotes, at most docShownBytes of it.
func docQuote(text string) string {
	return strconv.Quote(docCut(text))
}

func docCut(text string) string {
	if len(text) <= docShownBytes {
		return text
	}
	end := docShownBytes
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func docPrintable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return -1
}

// docPlainKey is a key that can be shown: a word, as fields are named.
var docPlainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)

// docShowKey names an unknown key in a path. One that is not a word shows as
// "?": it may be a value that slipped into a key's place. So does every word but
// the usual ones where a secret might stand.
func docShowKey(key string, secret bool) string {
	if !docPlainKey.MatchString(key) || secret && !docUsualKeys[key] {
		return "?"
	}
	return key
}

// docUsualKeys are keys by which other programs say where a secret is kept, or
// what it is made of.
var docUsualKeys = map[string]bool{
	"secretKeyRef": true, "configMapKeyRef": true, "valueFrom": true, "value": true, "iam": true,
	"url": true, "uri": true, "host": true, "port": true, "user": true, "username": true,
	"password": true, "database": true, "dbname": true, "sslmode": true,
	"name": true, "key": true, "path": true, "from": true,
}
