package fakeaws

import (
	"fmt"
	"net/http"
)

// apiError is an error in the form AWS sends it: SDK clients take their typed
// error from the shape and its code from the older query protocol's name.
type apiError struct {
	status    int
	shape     string // with its namespace, as in "com.amazonaws.sqs#QueueDoesNotExist"
	queryCode string
	message   string
}

func (e *apiError) Error() string { return e.queryCode + ": " + e.message }

// senderFault tells whether the request, and not the service, was at fault.
func (e *apiError) senderFault() bool { return e.status < http.StatusInternalServerError }

// queryError is the value of the X-Amzn-Query-Error header.
func (e *apiError) queryError() string {
	if e.senderFault() {
		return e.queryCode + ";Sender"
	}
	return e.queryCode + ";Receiver"
}

func sqsError(shape, queryCode, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "com.amazonaws.sqs#" + shape, queryCode, fmt.Sprintf(format, args...)}
}

// coralError is an error of the framework that AWS services share.
func coralError(shape, queryCode, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "com.amazon.coral.service#" + shape, queryCode, fmt.Sprintf(format, args...)}
}

func errUnknownOperation(target string) *apiError {
	return coralError("UnknownOperationException", "InvalidAction",
		"expected an operation of AmazonSQS or GraniteServiceVersion20100801 that this stand-in offers, found %q", target)
}

func errSerialization(err error) *apiError {
	return coralError("SerializationException", "MalformedInput", "the request body cannot be read: %v", err)
}

func errInvalidParameter(format string, args ...any) *apiError {
	return coralError("InvalidParameterValueException", "InvalidParameterValue", format, args...)
}

func errMissingParameter(name string) *apiError {
	return coralError("MissingRequiredParameterException", "MissingParameter",
		"The request must contain the parameter %s.", name)
}

func errValidation(format string, args ...any) *apiError {
	return coralError("ValidationException", "ValidationError", format, args...)
}

func errQueueDoesNotExist() *apiError {
	return sqsError("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

func errReceiptHandle(handle string) *apiError {
	return sqsError("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", handle)
}

func errMessageNotInflight(handle string) *apiError {
	return sqsError("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight",
		"Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", handle)
}
