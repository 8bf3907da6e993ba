"""Every metric that counts failures has an alarm, or a reason why not."""

# The metrics of AWS that count failures, by the type of resource that has them.
METRICS = {
    "AWS::Lambda::Function": ("AWS/Lambda", ("Errors", "Throttles", "DeadLetterErrors", "DestinationDeliveryFailures",
                                             "AsyncEventsDropped", "AsyncEventAge", "IteratorAge")),  # fmt: skip
    "AWS::SQS::Queue": ("AWS/SQS", ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")),
    "AWS::StepFunctions::StateMachine": ("AWS/States", ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled")),
    "AWS::ApiGateway::RestApi": ("AWS/ApiGateway", ("5XXError", "4XXError", "IntegrationLatency")),
    "AWS::Scheduler::Schedule": ("AWS/Scheduler", ("TargetErrorCount", "InvocationDroppedCount")),
    "AWS::Events::Rule": ("AWS/Events", ("FailedInvocations",)),
    "AWS::DynamoDB::Table": ("AWS/DynamoDB", ("SystemErrors", "ThrottledRequests")),
    "AWS::CloudFront::Distribution": ("AWS/CloudFront", ("5xxErrorRate",)),
}
# Metrics that the functions write; `Upreel` in the logs (crates/*/src, `telemetry::metrics` and `count`).
OWN = ("PosterFailed", "Stuck", "Unprocessed", "Orphans", "Sweeps")
API = ("UploadFunction", "PresignFunction", "VideosFunction", "PlaybackFunction")
ASYNC = ("ThumbnailFunction",)
# (resource or "*", metric): the reason why it has no alarm.
EXEMPT = {
    **{(name, metric): "its callers get a 5xx, which ApiErrorsAlarm counts" for name in API for metric in ("Errors", "Throttles")},
    **{(name, metric): "nothing invokes it asynchronously, so it has no such events" for name in (*API, "WebhookFunction", "EncodeFunction")
       for metric in ("DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped", "AsyncEventAge")},
    **{(name, "IteratorAge"): "it reads no stream, so it has no such metric" for name in
       (*API, "ThumbnailFunction", "ReconcileFunction", "FetchFunction", "TranscodeFunction", "EncodeFunction")},
    **{("FetchFunction", metric): "Lambda repeats such events, and FetchesFailedAlarm reports those that it gives up" for metric in
       ("Errors", "Throttles", "AsyncEventAge")},
    ("FetchFunction", "DeadLetterErrors"): "it has no dead-letter queue, so it has no such metric",
    ("FetchFunction", "DestinationDeliveryFailures"): "FetchesFailedAlarm fires for the same event, and the row expires within a day",
    ("ThumbnailFunction", "Throttles"): "throttled events wait, and EventAgeAlarm reports those that wait too long",
    ("ThumbnailFunction", "DestinationDeliveryFailures"): "DeadLettersAlarm fires for the same event, and a sweep records the failure later",
    ("ThumbnailFunction", "AsyncEventsDropped"): "dropped events are in the dead-letter queue, which DeadLettersAlarm watches",
    **{("ReconcileFunction", metric): "the next sweep repeats it, and SweepsAlarm reports that none is completed" for metric in
       ("Errors", "Throttles", "DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped", "AsyncEventAge")},
    ("WebhookFunction", "Errors"): "failed batches wait in the stream or the queue: WebhookDelayAlarm, WebhookDeadLettersAlarm",
    ("WebhookFunction", "Throttles"): "throttled batches wait in the stream or the queue: WebhookDelayAlarm, WebhookDeadLettersAlarm",
    **{(name, metric): "the state machine retries it, and TranscodesFailedAlarm reports what still fails"
       for name in ("TranscodeFunction", "EncodeFunction") for metric in ("Errors", "Throttles")},
    **{("TranscodeFunction", metric): "the reconciler looks up executions whose end was not recorded" for metric in
       ("DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped", "AsyncEventAge")},
    ("VideoProcessingDLQ", "ApproximateAgeOfOldestMessage"): "DeadLettersAlarm fires as long as there is a message",
    ("WebhookDLQ", "ApproximateAgeOfOldestMessage"): "WebhookDeadLettersAlarm fires as long as there is a message",
    ("WebhookQueue", "ApproximateNumberOfMessagesVisible"): "webhooks wait here for their next attempt, for up to 17 hours",
    ("WebhookQueue", "ApproximateAgeOfOldestMessage"): "webhooks wait here for their next attempt, for up to 17 hours",
    ("TranscodeMachine", "ExecutionThrottled"): "Step Functions continues throttled executions; those that time out raise TranscodesFailedAlarm",
    ("Api", "4XXError"): "errors of clients: expired tokens, files that are too large, probing",
    **{(name, "TargetErrorCount"): "SweepsAlarm reports missing sweeps; a missed list is repeated a week later" for name in ("SweepSchedule", "ListSchedule")},
    **{(name, "InvocationDroppedCount"): "SweepsAlarm reports missing sweeps; a missed list is repeated a week later"
       for name in ("SweepSchedule", "ListSchedule")},
    ("TranscodeFunctionEnded", "FailedInvocations"): "the reconciler looks up executions whose end was not recorded",
    ("CheckRule", "FailedInvocations"): "the sweep finds uploads that wait for a verdict, and StuckAlarm reports those without one",
    ("VideoMetadata", "SystemErrors"): "functions that cannot read or write the table fail, which their own alarms report",
    ("VideoMetadata", "ThrottledRequests"): "functions that cannot read or write the table fail, which their own alarms report",
    ("CdnDistribution", "5xxErrorRate"): "the same objects can be played through the API, whose own errors ApiErrorsAlarm counts",
    ("*", "PosterFailed"): "counts bad files of users; faults are errors of ThumbnailFunction",
}  # fmt: skip


def failure_problems(resources, watched):
    """Yields failure metrics without an alarm and a reason, and reasons that are no longer needed.

    `watched` has the (namespace, metric, values of the dimensions) of each alarm.
    """
    needed = {}
    for name, resource in resources.items():
        namespace, metrics = METRICS.get(resource["Type"], ("", ()))
        for metric in metrics:
            needed[name, metric] = namespace
    alarmed = set()
    for name, metric in needed:
        # A dimension refers to the resource or one of its attributes; the API's is its name.
        for namespace, watched_metric, values in watched:
            refers = any(value == f"${{{name}}}" or value.startswith(f"${{{name}.") for value in values) or name == "Api"
            if (namespace, watched_metric) == (needed[name, metric], metric) and refers:
                alarmed.add((name, metric))
    for metric in OWN:
        needed["*", metric] = "Upreel"
        if any((namespace, found) == ("Upreel", metric) for namespace, found, _ in watched):
            alarmed.add(("*", metric))
    for name, metric in sorted(needed):
        if (name, metric) not in alarmed and len(EXEMPT.get((name, metric), "")) < 20:
            yield f"{name}: the failure metric {metric} has no alarm, and no reason why"
        if (name, metric) in alarmed and (name, metric) in EXEMPT:
            yield f"{name}: the failure metric {metric} has an alarm, and a reason why not"
