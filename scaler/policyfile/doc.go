// Package policyfile is the origin of policies that stand in files: it reads and
// watches them, package policies judges what it found.
//
// A change is told once two reads in a row saw the same bytes, so that a file is
// not judged while an editor is still writing it.
package policyfile
