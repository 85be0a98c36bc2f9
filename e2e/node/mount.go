package node

import "strings"

// mounted is where a container believes a volume to be, and where it is.
type mounted struct{ at, host string }

type mounts []mounted

// rewrite replaces paths in a container's mounts by those where they are.
func (m mounts) rewrite(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		found := mounted{}
		for _, c := range m {
			if len(c.at) > len(found.at) && strings.HasPrefix(text[i:], c.at) && (i == 0 || !inPath(text[i-1])) && (i+len(c.at) == len(text) || !inName(text[i+len(c.at)])) {
				found = c
			}
		}
		if found.at == "" {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(found.host)
		i += len(found.at)
	}
	return out.String()
}

// inName is true of what continues the last name of a path, inPath of what a
// path that begins in mid-text would continue.
func inName(c byte) bool {
	return c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func inPath(c byte) bool { return c == '/' || inName(c) }
