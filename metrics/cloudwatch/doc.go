// Package cloudwatch reads what Amazon CloudWatch has published of SQS queues,
// and whatever speaks its protocol.
//
// All queues of one place (a region, or an endpoint that isn't AWS's) are asked
// about together, once a minute, a little after it has begun: one GetMetricData
// call for each 500 metrics. A standard queue takes four metrics
// (NumberOfMessagesSent, …Received, …Deleted, ApproximateAgeOfOldestMessage), a
// FIFO queue also ApproximateNumberOfGroupsWithInflightMessages.
//
// Points come late (minutes), in any order, and some never; SQS publishes nothing
// of a queue that was idle for six hours, and takes up to 15 minutes to begin
// again. So each read asks for the last [Window] again, or for as long as the last
// success is ago and the window besides, and what comes is merged into a history
// of [Kept]. A value that came later replaces the one that came before. What was
// not published is nil, never 0.
//
// CloudWatch knows queues by region and name, in the account that the credentials
// belong to: there is nothing to be read of a queue of another account.
//
// What is needed is cloudwatch:GetMetricData on "*"; CloudWatch knows no narrower
// resource. Where that is refused, it is asked for again every [RefusedRetry] only.
package cloudwatch
