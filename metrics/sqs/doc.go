// Package sqs reads the depth of Amazon SQS queues, and of whatever speaks its
// protocol.
//
// One GetQueueAttributes call makes one reading; GetQueueUrl is called before it
// only where a queue is given by name, once. Messages are never received: that
// would raise their receive counts and could send them to a dead-letter queue.
//
// Credentials come from the default chain of the AWS SDK: environment, shared
// files, web identity (IRSA), EKS Pod Identity, ECS, EC2. What is needed is
// sqs:GetQueueAttributes on the queue, and sqs:GetQueueUrl where it is given by
// name. Credentials are in no error and no log.
package sqs
