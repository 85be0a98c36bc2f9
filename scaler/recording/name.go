package recording

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// segment is one segment in a store.
type segment struct {
	number uint64
	// start is the time of its first record.
	start time.Time
	// sealed segments are compressed and never change.
	sealed bool
	// size is what it occupies, in bytes.
	size int64
}

const (
	startLayout  = "20060102T150405.000000000Z"
	openSuffix   = ".rec"
	sealedSuffix = ".rec.zst"
	temporary    = ".tmp"
)

var namePattern = regexp.MustCompile(`^(\d{8,20})-(\d{8}T\d{6}\.\d{9}Z)(\.rec|\.rec\.zst)$`)

// name is the segment's name: of its file, and in errors.
func (s segment) name() string {
	suffix := openSuffix
	if s.sealed {
		suffix = sealedSuffix
	}
	return fmt.Sprintf("%08d-%s%s", s.number, s.start.UTC().Format(startLayout), suffix)
}

// parseName is the reverse of name; ok is false for files that are not ours.
func parseName(name string) (s segment, ok bool) {
	parts := namePattern.FindStringSubmatch(name)
	if parts == nil {
		return segment{}, false
	}
	number, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return segment{}, false
	}
	start, err := time.Parse(startLayout, parts[2])
	if err != nil {
		return segment{}, false
	}
	return segment{number: number, start: start, sealed: parts[3] == sealedSuffix}, true
}

// IsSegment reports whether a file of this name is one of a recording's.
func IsSegment(name string) bool {
	_, ok := parseName(name)
	return ok
}

// inOrder sorts segments by number. Of one that is there twice, because a crash
// came between compressing it and removing the original, the sealed one stays.
func inOrder(segments []segment) []segment {
	slices.SortFunc(segments, func(a, b segment) int {
		if a.number != b.number {
			return cmp.Compare(a.number, b.number)
		}
		if a.sealed == b.sealed {
			return 0
		}
		if a.sealed {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(segments, func(a, b segment) bool { return a.number == b.number })
}
