package policyfiles

import "github.com/keda-headroom/headroom/policy"

// Text is what is read as policies, and where it stands.
type Text struct {
	// Source's Where is one for all that is placed alike.
	Source  policy.Source
	Content []byte
	// File is "" for what is in none.
	File string
	// Object names what carries the text inside the file, "" for the file itself.
	Object string
	// Place turns a place in the text into one in the file; line 0 is unknown.
	Place func(line, column int) (int, int)
}

// Texts are those that were read, by [policy.Source].Where.
type Texts map[string]Text

// Add keeps a text and reads the policies in it; the problems' places are those in
// the text.
func (t Texts) Add(text Text) ([]policy.Document, []policy.Problem) {
	t[text.Source.Where] = text
	return policy.Parse(text.Source, text.Content)
}

// Place returns the text in which a problem is, and the problem's line and column in
// that text's file.
func (t Texts) Place(p policy.Problem) (in Text, line, column int) {
	in = t[p.Where]
	line, column = in.Place(p.Line, p.Column)
	return in, line, column
}
