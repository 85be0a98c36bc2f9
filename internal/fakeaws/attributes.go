package fakeaws

import (
	"crypto/md5" //nolint:gosec // see md5Hex
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// messageAttribute is one typed attribute that a producer adds to a message.
type messageAttribute struct {
	DataType    string  `json:"DataType"`
	StringValue *string `json:"StringValue,omitempty"`
	BinaryValue []byte  `json:"BinaryValue,omitempty"`
}

func (a messageAttribute) check(name string) *apiError {
	kind, _, _ := strings.Cut(a.DataType, ".")
	given := a.StringValue != nil
	if kind == "Binary" {
		given = a.BinaryValue != nil
	}
	if name == "" || !given || kind != "String" && kind != "Number" && kind != "Binary" {
		return errInvalidParameter("The message attribute '%s' with type '%s' is invalid. Reason: expected a name, a type of String, Number or Binary, and the value that goes with it.", name, a.DataType)
	}
	return nil
}

// value is the attribute's value and the mark that the digest has for its kind.
func (a messageAttribute) value() (mark byte, value []byte) {
	if a.StringValue != nil {
		return 1, []byte(*a.StringValue)
	}
	return 2, a.BinaryValue
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // the digest that SQS gives, against damage, not attackers
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the digest that consumers check: names in order, each with
// type and value, every part preceded by its length (SQS Developer Guide,
// "Calculating the MD5 message digest for message attributes").
func attributesMD5(attributes map[string]messageAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	part := func(data []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		mark, value := a.value()
		part([]byte(name))
		part([]byte(a.DataType))
		b = append(b, mark)
		part(value)
	}
	return md5Hex(b)
}

// chosenAttributes are those that a consumer named: exactly, by "prefix.*",
// or all by "All" or ".*".
func chosenAttributes(attributes map[string]messageAttribute, names []string) map[string]messageAttribute {
	chosen := map[string]messageAttribute{}
	for name, a := range attributes {
		for _, wanted := range names {
			prefix, pattern := strings.CutSuffix(wanted, ".*")
			if wanted == "All" || wanted == name || pattern && strings.HasPrefix(name, prefix) {
				chosen[name] = a
			}
		}
	}
	return chosen
}
