package fakeaws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol is one wire form of requests and answers.
type protocol interface {
	decode(body []byte, into any) error
	writeResult(w http.ResponseWriter, result any)
	writeError(w http.ResponseWriter, err error)
}

// route finds the protocol and the operation, "Service.Operation", of a request.
func route(r *http.Request) (protocol, string) {
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		parts := strings.Split(r.URL.Path, "/")
		if len(parts) == 5 && parts[1] == "service" && parts[3] == "operation" {
			return cborProtocol{}, parts[2] + "." + parts[4]
		}
		return cborProtocol{}, r.URL.Path
	}
	return jsonProtocol{}, r.Header.Get("X-Amz-Target")
}

// asAPIError gives every error the form of AWS.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{http.StatusInternalServerError, "com.amazon.coral.service#InternalFailure", "InternalFailure", err.Error()}
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("X-Amzn-RequestId", newID())
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// jsonProtocol is AWS JSON 1.0.
type jsonProtocol struct{}

func (jsonProtocol) decode(body []byte, into any) error { return json.Unmarshal(body, into) }

func (p jsonProtocol) writeResult(w http.ResponseWriter, result any) {
	p.write(w, http.StatusOK, result)
}

func (p jsonProtocol) writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	w.Header().Set("X-Amzn-Query-Error", e.queryError())
	p.write(w, e.status, map[string]string{"__type": e.shape, "message": e.message})
}

func (jsonProtocol) write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fakeaws: answers are made of plain values, found %T: %v", v, err))
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	writeBody(w, status, body)
}

// cborProtocol is Smithy RPC v2 CBOR. It is read by way of JSON, so that an
// operation has one form of its request.
type cborProtocol struct{}

// cborResult is an answer that this protocol can carry.
type cborResult interface{ cbor() cbor.Value }

func (cborProtocol) decode(body []byte, into any) error {
	value, err := cbor.Decode(body)
	if err != nil {
		return err
	}
	text, err := json.Marshal(plain(value))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// plain turns a CBOR value into what encoding/json writes; a timestamp is its
// number of seconds, as it is in AWS JSON.
func plain(v cbor.Value) any {
	switch v := v.(type) {
	case cbor.Uint:
		return uint64(v)
	case cbor.NegInt:
		return -float64(v)
	case cbor.Float32:
		return float64(v)
	case cbor.Float64:
		return float64(v)
	case cbor.String:
		return string(v)
	case cbor.Slice:
		return []byte(v)
	case cbor.Bool:
		return bool(v)
	case *cbor.Tag:
		return plain(v.Value)
	case cbor.List:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case cbor.Map:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = plain(item)
		}
		return out
	default: // nil and undefined
		return nil
	}
}

func (p cborProtocol) writeResult(w http.ResponseWriter, result any) {
	r, ok := result.(cborResult)
	if !ok {
		p.writeError(w, errUnknownOperation("over CBOR, which SQS does not speak"))
		return
	}
	p.write(w, http.StatusOK, r.cbor())
}

func (p cborProtocol) writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	w.Header().Set("X-Amzn-Query-Error", e.queryError())
	p.write(w, e.status, cbor.Map{"__type": cbor.String(e.shape), "message": cbor.String(e.message)})
}

func (cborProtocol) write(w http.ResponseWriter, status int, v cbor.Value) {
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	writeBody(w, status, cbor.Encode(v))
}

// epoch is a timestamp in seconds since 1970, whole or broken, as both
// protocols send it.
type epoch struct{ time.Time }

// epochTag marks a CBOR timestamp (RFC 8949, section 3.4.2).
const epochTag = 1

// latestEpoch is the end of the year 9999, past which no date is meant.
const latestEpoch = 253402300799

func (e *epoch) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return fmt.Errorf("expected a timestamp in seconds, found %.40s", text)
	}
	if math.Abs(seconds) > latestEpoch {
		return fmt.Errorf("expected a timestamp in seconds up to the year 9999, found %g", seconds)
	}
	e.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}

// MarshalJSON writes whole seconds: points have nothing finer.
func (e epoch) MarshalJSON() ([]byte, error) { return json.Marshal(e.Unix()) }

func (e epoch) cbor() cbor.Value {
	return &cbor.Tag{ID: epochTag, Value: cbor.Float64(float64(e.Unix()))}
}
