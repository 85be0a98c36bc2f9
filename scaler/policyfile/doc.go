// Package policyfile keeps the policies that stand in files in force: it reads
// them, watches them, and never lets a bad edit take effect.
//
// Files are judged one by one. One with an error, or one that can't be read,
// keeps its last good version while the others' edits take effect. What is read
// at the very start has no last good version: then what is right of it is in
// force. An edit that makes documents contradict each other changes nothing.
//
// A change takes effect once two reads in a row saw the same bytes, so that a
// file is not judged while an editor is still writing it.
package policyfile
