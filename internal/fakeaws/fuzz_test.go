package fakeaws

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

// FuzzRequest holds that whatever arrives, the answer is a result or an error
// in AWS form, in the protocol asked for.
func FuzzRequest(f *testing.F) {
	queueURL := `"QueueUrl":"http://h/000000000000/orders"`
	for target, body := range map[string]string{
		"AmazonSQS.CreateQueue":                       `{"QueueName":"n.fifo","Attributes":{"FifoQueue":"true","RedrivePolicy":"{\"maxReceiveCount\":\"3\"}"}}`,
		"AmazonSQS.GetQueueUrl":                       `{"QueueName":"orders"}`,
		"AmazonSQS.GetQueueAttributes":                `{` + queueURL + `,"AttributeNames":["All"]}`,
		"AmazonSQS.SetQueueAttributes":                `{` + queueURL + `,"Attributes":{"VisibilityTimeout":"5"}}`,
		"AmazonSQS.SendMessage":                       `{` + queueURL + `,"MessageBody":"b","DelaySeconds":1,"MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AAE="}}}`,
		"AmazonSQS.SendMessageBatch":                  `{` + queueURL + `,"Entries":[{"Id":"a","MessageBody":"b"}]}`,
		"AmazonSQS.ReceiveMessage":                    `{` + queueURL + `,"MaxNumberOfMessages":10,"WaitTimeSeconds":20,"AttributeNames":["All"],"MessageAttributeNames":["a.*"]}`,
		"AmazonSQS.DeleteMessage":                     `{` + queueURL + `,"ReceiptHandle":"cmVjZWlwdC8xLzEvMQ"}`,
		"AmazonSQS.DeleteMessageBatch":                `{` + queueURL + `,"Entries":[{"Id":"a","ReceiptHandle":"cmVjZWlwdC8xLzEvMQ"}]}`,
		"AmazonSQS.ChangeMessageVisibility":           `{` + queueURL + `,"ReceiptHandle":"cmVjZWlwdC8xLzEvMQ","VisibilityTimeout":0}`,
		"AmazonSQS.PurgeQueue":                        `{` + queueURL + `}`,
		"AmazonSQS.DeleteQueue":                       `{"QueueUrl":null}`,
		"AmazonSQS.Nothing":                           `[`,
		"GraniteServiceVersion20100801.GetMetricData": `{"StartTime":1,"EndTime":1e9,"MetricDataQueries":[{"Id":"a","MetricStat":{"Metric":{"Namespace":"AWS/SQS","MetricName":"NumberOfMessagesSent","Dimensions":[{"Name":"QueueName","Value":"orders"}]},"Period":60,"Stat":"Sum"}}],"NextToken":"1-1"}`,
	} {
		f.Add(false, target, []byte(body))
	}
	f.Add(true, "/service/GraniteServiceVersion20100801/operation/GetMetricData", cbor.Encode(cbor.Map{
		"StartTime": &cbor.Tag{ID: epochTag, Value: cbor.Float64(1)}, "EndTime": &cbor.Tag{ID: epochTag, Value: cbor.NegInt(5)},
		"MetricDataQueries": cbor.List{cbor.Map{"Id": cbor.String("a"), "ReturnData": cbor.Bool(true)}},
	}))
	f.Add(true, "/service/AmazonSQS/operation/PurgeQueue", cbor.Encode(cbor.Map{}))
	f.Add(true, "/", []byte{0xff})

	// A client that has gone: a long poll must not keep the fuzzer waiting.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, binary bool, target string, body []byte) {
		server := New(Options{})
		if _, err := server.createQueue(call{gone, "h"}, &createQueueInput{QueueName: "orders"}); err != nil {
			t.Fatal(err)
		}
		send := &sendMessageInput{queueInput{"http://h/000000000000/orders"}, messageInput{MessageBody: "x"}}
		if _, err := server.sendMessage(call{gone, "h"}, send); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(gone, http.MethodPost, "/", bytes.NewReader(body))
		if binary {
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
			r.URL.Path = target
		} else {
			r.Header.Set("X-Amz-Target", target)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		kind, message := answerOf(t, binary, w)
		if ok := w.Code == http.StatusOK; ok != (kind == "") || ok != (w.Header().Get("X-Amzn-Query-Error") == "") {
			t.Errorf("status %d: expected an error's type and header with an error alone, found type %q and header %q",
				w.Code, kind, w.Header().Get("X-Amzn-Query-Error"))
		}
		if kind != "" && message == "" {
			t.Errorf("error %s: expected a message, found none", kind)
		}
		if w.Code >= 500 {
			t.Errorf("expected the request's fault, found the server's: %s: %s", kind, message)
		}
	})
}

// answerOf reads an answer and returns an error's type and message.
func answerOf(t *testing.T, binary bool, w *httptest.ResponseRecorder) (kind, message string) {
	t.Helper()
	if !binary {
		var answer struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("expected a JSON object, found %q: %v", w.Body, err)
		}
		return answer.Type, answer.Message
	}
	value, err := cbor.Decode(w.Body.Bytes())
	if err != nil {
		t.Fatalf("expected CBOR, found %x: %v", w.Body.Bytes(), err)
	}
	answer, ok := value.(cbor.Map)
	if !ok {
		t.Fatalf("expected a CBOR map, found %T", value)
	}
	text := func(key string) string {
		s, _ := answer[key].(cbor.String)
		return string(s)
	}
	return text("__type"), text("message")
}
