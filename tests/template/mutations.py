"""Mutation test of the template gate: every way in which MUTATIONS breaks the template must be found.

A mutation is caught by assert_transformed.py, by the SAM transform or by cfn-lint; the output shows the first finding.
"""

import copy
import json
import sys
from concurrent.futures import ProcessPoolExecutor

import cfnlint.api
from assert_transformed import findings
from cfnlint.config import ManualArgs
from samtranslator.model.exceptions import InvalidDocumentException
from transform import REGION, load, transform


def at(template, path):
    """Returns the node of the template at a path such as `Api//DefinitionBody//paths`, within Properties."""
    name, *rest = path.split("//")
    node = template["Resources"][name]["Properties"]
    for part in rest:
        node = node[int(part) if isinstance(node, list) else part]
    return node


MUTATIONS = {}


def mutation(change):
    MUTATIONS[change.__name__.replace("_", " ")] = change
    return change


def body(t):
    return at(t, "Api//DefinitionBody")


def integration(t, path, method):
    return body(t)["paths"][path][method]["x-amazon-apigateway-integration"]


SEGMENT = "/segments/{videoId}/{version}/{rendition}/{segment}"


def statements(t, role):
    return at(t, role)["Policies"][0]["PolicyDocument"]["Statement"]


# ------------------------------------------------------------------------------------------------- checks


@mutation
def read_what_was_not_scanned(t):
    statements = at(t, "UploadsBucketPolicy//PolicyDocument//Statement")
    statements[:] = [s for s in statements if "OnlyScannedIsRead" not in json.dumps(s)]


@mutation
def let_functions_read_what_was_not_scanned(t):
    (deny,) = (s for s in at(t, "UploadsBucketPolicy//PolicyDocument//Statement") if "OnlyScannedIsRead" in json.dumps(s))
    deny["Fn::If"][1]["Condition"]["StringNotEquals"]["aws:PrincipalArn"] = {"Fn::GetAtt": ["ThumbnailRole", "Arn"]}


@mutation
def let_others_set_the_tag_of_the_scanner(t):
    statements = at(t, "UploadsBucketPolicy//PolicyDocument//Statement")
    statements[:] = [s for s in statements if "OnlyTheScannerTags" not in json.dumps(s)]


@mutation
def scan_without_tags(t):
    at(t, "ScanPlan//Actions//Tagging")["Status"] = "DISABLED"


@mutation
def scan_another_folder(t):
    at(t, "ScanPlan//ProtectedResource//S3Bucket")["ObjectPrefixes"] = ["uploads/"]


@mutation
def always_scan(t):
    del t["Resources"]["ScanPlan"]["Condition"], t["Resources"]["ScanRole"]["Condition"]


@mutation
def take_verdicts_on_other_buckets(t):
    del at(t, "CheckRule//EventPattern")["detail"]


@mutation
def take_verdicts_of_everybody(t):
    at(t, "CheckRule//EventPattern")["source"].append("custom")


@mutation
def let_every_rule_invoke_the_thumbnail_function(t):
    del at(t, "CheckPermission")["SourceArn"]


@mutation
def let_the_scanner_read_everything(t):
    statements(t, "ScanRole")[0]["Resource"] = "*"


@mutation
def let_the_scanner_change_other_rules(t):
    del statements(t, "ScanRole")[3]["Condition"]


@mutation
def read_tags_without_a_scan(t):
    policies = at(t, "ThumbnailRole")["Policies"]
    (scan,) = (p for p in policies if "GetObjectTagging" in json.dumps(p))
    policies[policies.index(scan)] = scan["Fn::If"][1]


@mutation
def hold_no_uploads(t):
    del t["Globals"]["Function"]["Environment"]["Variables"]["SCAN"]


# ---------------------------------------------------------------------------------------------------- API


@mutation
def drop_POST_upload(t):
    del body(t)["paths"]["/upload"]["post"]


@mutation
def add_a_route(t):
    body(t)["paths"]["/videos"]["put"] = body(t)["paths"]["/videos"]["get"]


@mutation
def drop_the_authorizer_of_one_method(t):
    del body(t)["paths"]["/videos/{videoId}"]["delete"]["security"]


@mutation
def drop_the_authorizer_of_changes(t):
    del body(t)["paths"]["/videos/{videoId}"]["patch"]["security"]


@mutation
def drop_the_authorizer_of_captions(t):
    del body(t)["paths"]["/videos/{videoId}/captions/{language}"]["put"]["security"]


@mutation
def make_the_authorizer_optional(t):
    body(t)["paths"]["/presign"]["get"]["security"] = [{"Caller": []}, {}]


@mutation
def require_a_caller_for_segments(t):
    body(t)["paths"][SEGMENT]["get"]["security"] = [{"Caller": []}]


@mutation
def leave_out_that_segments_are_public(t):
    del body(t)["paths"][SEGMENT]["get"]["security"]


@mutation
def throttle_segments_like_other_routes(t):
    at(t, "Api//MethodSettings").pop()


@mutation
def write_execution_logs_for_segments(t):
    at(t, "Api//MethodSettings//1")["DataTraceEnabled"] = True


@mutation
def accept_any_token(t):
    body(t)["components"]["securitySchemes"]["Caller"] = {"type": "apiKey", "name": "Authorization", "in": "header"}


@mutation
def drop_a_preflight(t):
    del body(t)["paths"]["/videos/{videoId}"]["options"]


@mutation
def drop_contentHandling_of_a_preflight(t):
    del integration(t, "/upload", "options")["contentHandling"]


@mutation
def drop_contentHandling_of_a_preflight_response(t):
    del integration(t, "/videos", "options")["responses"]["default"]["contentHandling"]


@mutation
def require_a_caller_for_a_preflight(t):
    body(t)["paths"]["/presign"]["options"]["security"] = [{"Caller": []}]


@mutation
def allow_every_origin_in_the_API(t):
    response = integration(t, "/upload", "options")["responses"]["default"]
    response["responseParameters"]["method.response.header.Access-Control-Allow-Origin"] = "'*'"


@mutation
def echo_every_origin(t):
    response = integration(t, "/upload", "options")["responses"]["default"]
    sub = response["responseTemplates"]["application/json"]["Fn::Sub"]
    sub[0] = sub[0].replace("($allowed.contains($origin) || $allowed.contains($anyPort))", "true")


@mutation
def match_origins_by_prefix(t):
    response = integration(t, "/videos", "options")["responses"]["default"]
    sub = response["responseTemplates"]["application/json"]["Fn::Sub"]
    sub[0] = sub[0].replace(":[0-9]+$", ":[0-9]+.*$")


@mutation
def drop_CORS_from_an_error_response(t):
    del body(t)["x-amazon-apigateway-gateway-responses"]["DEFAULT_4XX"]["responseParameters"]


@mutation
def expose_no_headers_of_an_error_response(t):
    response = body(t)["x-amazon-apigateway-gateway-responses"]["DEFAULT_5XX"]
    del response["responseParameters"]["gatewayresponse.header.Access-Control-Expose-Headers"]


@mutation
def drop_Retry_After(t):
    response = body(t)["x-amazon-apigateway-gateway-responses"]["THROTTLED"]
    del response["responseParameters"]["gatewayresponse.header.Retry-After"]


@mutation
def forbid_signature_headers_in_a_preflight(t):
    headers = integration(t, "/presign", "options")["responses"]["default"]["responseParameters"]
    name = "method.response.header.Access-Control-Allow-Headers"
    headers[name] = headers[name].replace("x-amz-content-sha256,", "")


@mutation
def break_the_JSON_of_an_error_response(t):
    templates = body(t)["x-amazon-apigateway-gateway-responses"]["REQUEST_TOO_LARGE"]["responseTemplates"]
    templates["application/json"] = templates["application/json"].replace('"status":413', '"status":"413')


@mutation
def drop_binary_media_types(t):
    del at(t, "Api")["BinaryMediaTypes"]


@mutation
def drop_throttling(t):
    del at(t, "Api//MethodSettings//0")["ThrottlingRateLimit"]


@mutation
def log_the_token(t):
    log = at(t, "Api//AccessLogSetting")
    log["Format"] = log["Format"].replace('"ip"', '"token":"$context.authorizer.principalId","ip"')


@mutation
def route_to_the_wrong_function(t):
    integration(t, "/presign", "get")["uri"] = integration(t, "/upload", "post")["uri"]


@mutation
def drop_the_route_that_completes_uploads(t):
    del body(t)["paths"]["/s3/multipart/{uploadId}/complete"]["post"]


@mutation
def drop_the_permission_of_the_route_for_parts(t):
    del at(t, "PresignFunction//Events")["Part"]


@mutation
def drop_the_permission_of_a_route(t):
    del at(t, "VideosFunction//Events")["Delete"]


@mutation
def drop_AlwaysDeploy(t):
    del at(t, "Api")["AlwaysDeploy"]


@mutation
def drop_VersionDescription(t):
    del at(t, "PresignFunction")["VersionDescription"]


# ---------------------------------------------------------------------------------------------- functions


@mutation
def drop_the_dead_letter_queue(t):
    del at(t, "ThumbnailFunction")["DeadLetterQueue"]


@mutation
def disable_retries(t):
    at(t, "ThumbnailFunction//EventInvokeConfig")["MaximumRetryAttempts"] = 0


@mutation
def drop_the_layer(t):
    del at(t, "ThumbnailFunction")["Layers"]


@mutation
def drop_the_layer_of_playback(t):
    del at(t, "PlaybackFunction")["Layers"]


@mutation
def enable_the_replay_by_default(t):
    at(t, "ThumbnailFunction//Events//Replay//Properties")["Enabled"] = True


@mutation
def drop_an_environment_variable(t):
    del t["Globals"]["Function"]["Environment"]["Variables"]["THUMBNAILS_BUCKET"]


@mutation
def trim_memory_after_each_request(t):
    t["Globals"]["Function"]["Environment"]["Variables"]["MALLOC_TRIM_THRESHOLD_"] = "131072"


@mutation
def build_the_wrong_binary(t):
    t["Resources"]["PresignFunction"]["Metadata"]["BuildProperties"]["Binary"] = "upload"


@mutation
def exceed_the_visibility_timeout_of_the_replay(t):
    at(t, "ThumbnailFunction")["Timeout"] = 300


@mutation
def create_a_dependency_cycle(t):
    t["Globals"]["Function"]["Environment"]["Variables"]["UPLOADS_BUCKET"] = {"Ref": "UploadsBucket"}


@mutation
def reference_an_unknown_resource(t):
    at(t, "AlarmSubscription")["TopicArn"] = {"Ref": "AlarmsTopic"}


@mutation
def add_an_unknown_property(t):
    at(t, "Dashboard")["DashboardTitle"] = "x"


# ----------------------------------------------------------------------------------------------- webhooks


@mutation
def enable_webhooks_by_default(t):
    t["Parameters"]["WebhookUrl"]["Default"] = "https://app.example.com"


@mutation
def allow_webhooks_over_plain_HTTP(t):
    t["Parameters"]["WebhookUrl"]["AllowedPattern"] = "^(https?://[^@ ]+)?$"


@mutation
def drop_the_secret_of_webhooks(t):
    del t["Resources"]["WebhookSecret"]


@mutation
def put_the_webhook_secret_into_the_environment(t):
    at(t, "WebhookFunction//Environment//Variables")["WEBHOOK_SECRET"] = {"Fn::Sub": "{{resolve:secretsmanager:${WebhookSecret.Id}:SecretString}}"}


@mutation
def take_the_secret_from_a_parameter(t):
    t["Parameters"]["WebhookSecret2"] = {"Type": "String", "NoEcho": True, "Default": ""}
    at(t, "WebhookFunction//Environment//Variables")["WEBHOOK_SECRET"] = {"Ref": "WebhookSecret2"}


@mutation
def let_webhooks_read_the_secret_of_the_CDN(t):
    statement = next(s for s in statements(t, "WebhookRole") if s["Action"] == ["secretsmanager:GetSecretValue"])
    statement["Resource"] = "*"


@mutation
def forbid_videos_to_read_the_secret_of_the_CDN(t):
    at(t, "VideosRole")["Policies"].pop()


@mutation
def forbid_playback_to_read_the_secret_of_the_CDN(t):
    at(t, "PlaybackRole")["Policies"].pop()


@mutation
def generate_a_short_secret(t):
    at(t, "WebhookSecret//GenerateSecretString")["PasswordLength"] = 16


@mutation
def create_the_webhook_queue_without_webhooks(t):
    del t["Resources"]["WebhookDLQ"]["Condition"]


@mutation
def enable_the_stream_without_webhooks(t):
    stream = at(t, "VideoMetadata")["StreamSpecification"]
    at(t, "VideoMetadata")["StreamSpecification"] = stream["Fn::If"][1]


@mutation
def stream_only_new_images(t):
    at(t, "VideoMetadata")["StreamSpecification"]["Fn::If"][1]["StreamViewType"] = "NEW_IMAGE"


@mutation
def drop_ReportBatchItemFailures(t):
    del at(t, "WebhookFunction//Events//Waiting//Properties")["FunctionResponseTypes"]


@mutation
def drop_the_failure_destination_of_the_stream(t):
    del at(t, "WebhookFunction//Events//Changed//Properties")["DestinationConfig"]


@mutation
def drop_the_maximum_record_age(t):
    del at(t, "WebhookFunction//Events//Changed//Properties")["MaximumRecordAgeInSeconds"]


@mutation
def start_at_the_latest_record(t):
    at(t, "WebhookFunction//Events//Changed//Properties")["StartingPosition"] = "LATEST"


@mutation
def drop_the_maximum_concurrency_of_webhooks(t):
    del at(t, "WebhookFunction//Events//Waiting//Properties")["ScalingConfig"]


@mutation
def drop_the_redrive_policy_of_webhooks(t):
    del at(t, "WebhookQueue")["RedrivePolicy"]


@mutation
def exceed_the_visibility_timeout_of_webhooks(t):
    at(t, "WebhookFunction")["Timeout"] = 60


@mutation
def drop_ChangeMessageVisibility(t):
    statements(t, "WebhookRole")[1]["Action"].remove("sqs:ChangeMessageVisibility")


@mutation
def let_webhooks_read_videos(t):
    statements(t, "WebhookRole").append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "${UploadsBucket.Arn}/*"}})


@mutation
def drop_the_alarm_of_webhooks(t):
    del t["Resources"]["WebhookDeadLettersAlarm"]


# -------------------------------------------------------------------------------------------------- roles


@mutation
def grant_an_unneeded_action(t):
    statements(t, "PresignRole")[0]["Action"].append("s3:DeleteObject")


@mutation
def drop_AbortMultipartUpload(t):
    statements(t, "PresignRole")[0]["Action"].remove("s3:AbortMultipartUpload")


@mutation
def drop_ListBucket(t):
    del statements(t, "ThumbnailRole")[2]


@mutation
def allow_a_whole_service(t):
    statements(t, "VideosRole")[5]["Action"] = "dynamodb:*"


@mutation
def allow_every_resource(t):
    statements(t, "UploadRole")[0]["Resource"] = "*"


@mutation
def allow_the_whole_bucket(t):
    statements(t, "UploadRole")[0]["Resource"] = {"Fn::Sub": "${UploadsBucket.Arn}/*"}


@mutation
def drop_access_to_storyboards(t):
    statements(t, "ThumbnailRole")[1]["Resource"].pop()


@mutation
def drop_the_permission_to_delete_storyboards(t):
    statements(t, "VideosRole")[1]["Resource"].pop()


@mutation
def let_the_videos_function_write_storyboards(t):
    statements(t, "VideosRole")[1]["Action"].append("s3:PutObject")


@mutation
def drop_access_to_the_index(t):
    statements(t, "VideosRole")[6]["Resource"] = {"Fn::GetAtt": ["VideoMetadata", "Arn"]}


@mutation
def let_SAM_create_the_role(t):
    function = at(t, "ThumbnailFunction")
    del function["Role"]
    function["Policies"] = ["AmazonS3FullAccess"]


# ------------------------------------------------------------------------------------------------ storage


@mutation
def enable_acceleration_by_default(t):
    at(t, "UploadsBucket")["AccelerateConfiguration"] = {"AccelerationStatus": "Enabled"}


@mutation
def allow_every_origin_in_a_bucket(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["AllowedOrigins"] = ["*"]


@mutation
def drop_CORS_of_storyboards(t):
    del at(t, "ThumbnailsBucket")["CorsConfiguration"]


@mutation
def allow_every_origin_by_default(t):
    t["Parameters"]["AllowedOrigins"]["Default"] = "*"


@mutation
def stop_exposing_ETag(t):
    del at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["ExposedHeaders"]


@mutation
def stop_exposing_Location(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["ExposedHeaders"].remove("Location")


@mutation
def drop_POST_from_CORS_of_the_bucket(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["AllowedMethods"].remove("POST")


@mutation
def allow_a_public_bucket(t):
    at(t, "ThumbnailsBucket//PublicAccessBlockConfiguration")["BlockPublicPolicy"] = False


@mutation
def drop_the_age_limit_of_presigned_URLs(t):
    del at(t, "UploadsBucketPolicy//PolicyDocument//Statement")[2]


@mutation
def allow_plain_HTTP(t):
    del at(t, "ThumbnailsBucketPolicy//PolicyDocument//Statement")[0]


@mutation
def keep_incomplete_multipart_uploads(t):
    del at(t, "UploadsBucket")["LifecycleConfiguration"]


@mutation
def drop_the_prefix_of_S3_events(t):
    del at(t, "ThumbnailFunction//Events//Stored//Properties")["Filter"]


@mutation
def use_the_wrong_TTL_attribute(t):
    at(t, "VideoMetadata//TimeToLiveSpecification")["AttributeName"] = "expiresAt"


@mutation
def disable_point_in_time_recovery(t):
    at(t, "VideoMetadata//PointInTimeRecoverySpecification")["PointInTimeRecoveryEnabled"] = False


@mutation
def delete_the_videos_with_the_stack(t):
    t["Resources"]["UploadsBucket"]["DeletionPolicy"] = "Delete"


# --------------------------------------------------------------------------------------------- reconciler


@mutation
def drop_the_failure_destination(t):
    del at(t, "ThumbnailFunction//EventInvokeConfig")["DestinationConfig"]


@mutation
def send_failures_to_the_queue_only(t):
    destination = at(t, "ThumbnailFunction//EventInvokeConfig//DestinationConfig//OnFailure")
    destination.update(Type="SQS", Destination={"Fn::GetAtt": ["VideoProcessingDLQ", "Arn"]})


@mutation
def drop_the_permission_to_invoke_the_destination(t):
    policy = statements(t, "ThumbnailRole")
    policy[:] = [s for s in policy if "lambda:InvokeFunction" not in s["Action"]]


@mutation
def refer_to_the_reconciler_from_the_role_of_thumbnails(t):
    (statement,) = [s for s in statements(t, "ThumbnailRole") if "lambda:InvokeFunction" in s["Action"]]
    statement["Resource"] = {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}


@mutation
def rename_the_reconciler(t):
    at(t, "ReconcileFunction")["FunctionName"] = {"Fn::Sub": "${AWS::StackName}-sweeper"}


@mutation
def send_failures_of_the_reconciler_to_the_dead_letter_queue(t):
    at(t, "ReconcileFunction")["DeadLetterQueue"] = at(t, "ThumbnailFunction")["DeadLetterQueue"]


@mutation
def shorten_the_timeout_of_the_reconciler(t):
    at(t, "ReconcileFunction")["Timeout"] = 30


@mutation
def drop_THUMBNAIL_FUNCTION(t):
    del at(t, "ReconcileFunction//Environment//Variables")["THUMBNAIL_FUNCTION"]


@mutation
def drop_STATE_MACHINE_ARN_of_the_reconciler(t):
    del at(t, "ReconcileFunction//Environment//Variables")["STATE_MACHINE_ARN"]


@mutation
def drop_the_sweeps(t):
    del t["Resources"]["SweepSchedule"]


@mutation
def disable_the_sweeps(t):
    at(t, "SweepSchedule")["State"] = "DISABLED"


@mutation
def sweep_every_hour(t):
    at(t, "SweepSchedule")["ScheduleExpression"] = "rate(1 hour)"


@mutation
def sweep_within_a_flexible_window(t):
    at(t, "SweepSchedule")["FlexibleTimeWindow"] = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}


@mutation
def retry_a_sweep_after_the_next_one(t):
    del at(t, "SweepSchedule//Target")["RetryPolicy"]


@mutation
def list_in_every_sweep(t):
    at(t, "SweepSchedule//Target")["Input"] = '{"task":"list"}'


@mutation
def drop_the_weekly_list(t):
    del t["Resources"]["ListSchedule"]


@mutation
def let_the_schedules_invoke_every_function(t):
    statements(t, "ReconcileScheduleRole")[0]["Resource"] = "*"


@mutation
def let_schedules_of_every_account_assume_the_role(t):
    del at(t, "ReconcileScheduleRole//AssumeRolePolicyDocument//Statement//0")["Condition"]


@mutation
def drop_the_index_of_due_rows(t):
    at(t, "VideoMetadata//GlobalSecondaryIndexes").pop(1)


@mutation
def drop_the_index_of_expiring_videos(t):
    at(t, "VideoMetadata//GlobalSecondaryIndexes").pop(2)


@mutation
def copy_whole_rows_into_the_index_of_due_rows(t):
    at(t, "VideoMetadata//GlobalSecondaryIndexes//1")["Projection"] = {"ProjectionType": "ALL"}


@mutation
def store_the_due_time_as_text(t):
    at(t, "VideoMetadata//AttributeDefinitions//4")["AttributeType"] = "S"


@mutation
def let_the_reconciler_query_every_user(t):
    (statement,) = [s for s in statements(t, "ReconcileRole") if "dynamodb:Query" in s["Action"]]
    statement["Resource"] = {"Fn::Sub": "${VideoMetadata.Arn}/index/*"}


@mutation
def let_the_reconciler_write_objects(t):
    statements(t, "ReconcileRole")[0]["Action"].append("s3:PutObject")


@mutation
def let_the_reconciler_scan_the_table(t):
    (statement,) = [s for s in statements(t, "ReconcileRole") if "dynamodb:UpdateItem" in s["Action"]]
    statement["Action"].append("dynamodb:Scan")


@mutation
def drop_the_restart_of_transcodings(t):
    del at(t, "ReconcileRole")["Policies"][1]


@mutation
def drop_the_list_of_previews_of_the_videos_function(t):
    (statement,) = [s for s in statements(t, "VideosRole") if "s3:ListBucket" in s["Action"]]
    statement["Resource"].pop(0)


@mutation
def end_videos_before_a_retry(t):
    at(t, "VideosFunction")["Timeout"] = 10


@mutation
def ignore_missing_sweeps(t):
    at(t, "SweepsAlarm")["TreatMissingData"] = "notBreaching"


@mutation
def ignore_a_video_that_is_stuck_once(t):
    at(t, "StuckAlarm")["EvaluationPeriods"] = 4


@mutation
def drop_the_alarm_of_unprocessed_uploads(t):
    del t["Resources"]["UnprocessedAlarm"]


@mutation
def drop_DEAD_LETTER_QUEUE_URL(t):
    del at(t, "ReconcileFunction//Environment//Variables")["DEAD_LETTER_QUEUE_URL"]


@mutation
def let_the_reconciler_send_dead_letters(t):
    (statement,) = [s for s in statements(t, "ReconcileRole") if "sqs:DeleteMessage" in s["Action"]]
    statement["Action"].append("sqs:SendMessage")


@mutation
def hide_missing_objects_from_presign(t):
    policy = statements(t, "PresignRole")
    policy[:] = [s for s in policy if "s3:ListBucket" not in s["Action"]]


@mutation
def drop_the_alarm_of_orphans(t):
    del t["Resources"]["OrphansAlarm"]


@mutation
def watch_the_metrics_of_another_function(t):
    at(t, "StuckAlarm//Dimensions//1")["Value"] = "thumbnail"


@mutation
def drop_the_logs_of_the_reconciler(t):
    del at(t, "ReconcileFunction")["LoggingConfig"]


@mutation
def drop_the_reconciler_from_the_query_of_the_dashboard(t):
    sub = at(t, "Dashboard//DashboardBody")["Fn::Sub"]
    sub[0] = sub[0].replace(" | SOURCE '${ReconcileLogs}'", "")


# --------------------------------------------------------------------------------------------- operations


@mutation
def exceed_the_free_alarms(t):
    for number in (1, 2):
        t["Resources"][f"Alarm{number}"] = copy.deepcopy(t["Resources"]["ApiErrorsAlarm"])


@mutation
def drop_the_action_of_an_alarm(t):
    del at(t, "DeadLetterErrorsAlarm")["AlarmActions"]


@mutation
def watch_a_metric_that_does_not_exist(t):
    at(t, "ApiErrorsAlarm//Dimensions//0")["Value"] = "upload"


@mutation
def keep_logs_forever(t):
    del at(t, "VideosLogs")["RetentionInDays"]


@mutation
def create_a_KMS_key_by_default(t):
    t["Parameters"]["CustomerManagedKey"]["Default"] = "true"


@mutation
def suppress_a_check_without_a_reason(t):
    del t["Resources"]["Api"]["Metadata"]["checkov"]["skip"][0]["comment"]


@mutation
def drop_an_output(t):
    del t["Outputs"]["DlqUrl"]


# --------------------------------------------------------------------------------------------------- HLS


@mutation
def enable_transcoding_by_default(t):
    t["Parameters"]["Transcode"]["Default"] = "true"


@mutation
def create_the_state_machine_role_without_transcoding(t):
    del t["Resources"]["TranscodeMachineRole"]["Condition"]


@mutation
def drop_STATE_MACHINE_ARN(t):
    del at(t, "ThumbnailFunction//Environment//Variables")["STATE_MACHINE_ARN"]


@mutation
def drop_StartExecution(t):
    del at(t, "ThumbnailRole")["Policies"][1]


@mutation
def drop_AUDIO(t):
    del at(t, "ThumbnailFunction//Environment//Variables")["AUDIO"]


@mutation
def fetch_videos_from_URLs_by_default(t):
    t["Parameters"]["ImportUrls"]["Default"] = "true"


@mutation
def create_the_fetch_function_in_every_stack(t):
    for name in ("FetchFunction", "FetchRole", "FetchLogs", "FetchesFailedAlarm"):
        del t["Resources"][name]["Condition"]


@mutation
def drop_FETCH_FUNCTION(t):
    del at(t, "PresignFunction//Environment//Variables")["FETCH_FUNCTION"]


@mutation
def drop_the_authorizer_of_fetches(t):
    del body(t)["paths"]["/videos"]["post"]["security"]


@mutation
def let_every_stack_invoke_the_fetch_function(t):
    at(t, "PresignRole")["Policies"][2]["Fn::If"][0] = "HasQuotas"


@mutation
def let_fetches_delete(t):
    statements(t, "FetchRole")[0]["Action"].append("s3:DeleteObject")


@mutation
def keep_the_URLs_of_failed_fetches(t):
    at(t, "FetchFunction")["DeadLetterQueue"] = at(t, "ThumbnailFunction")["DeadLetterQueue"]


@mutation
def do_not_repeat_fetches(t):
    at(t, "FetchFunction//EventInvokeConfig")["MaximumRetryAttempts"] = 0


@mutation
def lose_failed_fetches(t):
    del at(t, "FetchFunction//EventInvokeConfig")["DestinationConfig"]


@mutation
def put_fetches_into_a_VPC(t):
    at(t, "FetchFunction")["VpcConfig"] = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


@mutation
def drop_the_alarm_of_fetches(t):
    del t["Resources"]["FetchesFailedAlarm"]


@mutation
def drop_TRANSCODE(t):
    del at(t, "ThumbnailFunction//Environment//Variables")["TRANSCODE"]


@mutation
def drop_TRANSCODE_of_the_videos_function(t):
    del at(t, "VideosFunction//Environment//Variables")["TRANSCODE"]


@mutation
def let_every_stack_start_executions_from_the_api(t):
    at(t, "VideosRole")["Policies"][2]["Fn::If"][0] = "HasTranscode"


@mutation
def drop_StartExecution_of_the_videos_function(t):
    del at(t, "VideosRole")["Policies"][2]


@mutation
def drop_the_objects_of_rungs(t):
    del at(t, "TranscodeRole")["Policies"][1]


@mutation
def transcode_by_no_name_but_true(t):
    t["Conditions"]["HasTranscode"] = {"Fn::Equals": [{"Ref": "Transcode"}, "true"]}


@mutation
def use_an_express_state_machine(t):
    at(t, "TranscodeMachine")["Type"] = "EXPRESS"


@mutation
def rename_the_state_machine(t):
    at(t, "TranscodeMachine")["Name"] = {"Fn::Sub": "${AWS::StackName}-hls"}


@mutation
def drop_the_concurrency_of_chunks(t):
    del at(t, "TranscodeMachine//DefinitionSubstitutions")["Concurrency"]


@mutation
def let_the_state_machine_invoke_every_function(t):
    statements(t, "TranscodeMachineRole")[0]["Resource"] = "*"


@mutation
def ignore_executions_that_time_out(t):
    detail = at(t, "TranscodeFunction//Events//Ended//Properties//Pattern//detail")
    detail["status"].remove("TIMED_OUT")


@mutation
def receive_events_of_every_state_machine(t):
    del at(t, "TranscodeFunction//Events//Ended//Properties//Pattern//detail")["stateMachineArn"]


@mutation
def drop_the_layer_of_the_encoder(t):
    del at(t, "EncodeFunction")["Layers"]


@mutation
def exceed_the_memory_of_a_new_account(t):
    at(t, "EncodeFunction")["MemorySize"] = 10240


@mutation
def keep_intermediate_chunks_forever(t):
    del at(t, "ProcessedBucket//LifecycleConfiguration//Rules")[1]


@mutation
def drop_the_public_access_block_of_renditions(t):
    del at(t, "ProcessedBucket")["PublicAccessBlockConfiguration"]


@mutation
def let_every_distribution_read_renditions(t):
    statement = at(t, "ProcessedBucketPolicy//PolicyDocument//Statement")[3]["Fn::If"][1]
    del statement["Condition"]


@mutation
def drop_the_signature_check_of_the_CDN(t):
    del at(t, "CdnDistribution//DistributionConfig//DefaultCacheBehavior")["FunctionAssociations"]


@mutation
def drop_the_signature_check_of_segments(t):
    del at(t, "CdnDistribution//DistributionConfig//CacheBehaviors//0")["FunctionAssociations"]


@mutation
def ask_the_API_before_the_bucket(t):
    at(t, "CdnDistribution//DistributionConfig//OriginGroups//Items//0//Members//Items").reverse()


@mutation
def fail_over_on_404_only(t):
    at(t, "CdnDistribution//DistributionConfig//OriginGroups//Items//0//FailoverCriteria//StatusCodes").update(Quantity=1, Items=[404])


@mutation
def fail_over_for_every_path(t):
    at(t, "CdnDistribution//DistributionConfig//DefaultCacheBehavior")["TargetOriginId"] = "segments"


@mutation
def request_segments_from_the_bucket_only(t):
    at(t, "CdnDistribution//DistributionConfig")["CacheBehaviors"].pop()


@mutation
def request_the_default_endpoint_of_an_API_with_a_domain(t):
    origin = at(t, "CdnDistribution//DistributionConfig//Origins//1")
    origin["DomainName"] = origin["DomainName"]["Fn::If"][2]


@mutation
def request_the_API_without_its_stage(t):
    del at(t, "CdnDistribution//DistributionConfig//Origins//1")["OriginPath"]


@mutation
def request_the_API_over_plain_HTTP(t):
    at(t, "CdnDistribution//DistributionConfig//Origins//1//CustomOriginConfig")["OriginProtocolPolicy"] = "match-viewer"


@mutation
def forward_the_host_of_the_CDN_to_the_API(t):
    at(t, "CdnSignaturePolicy//OriginRequestPolicyConfig//HeadersConfig//Headers").append("Host")


@mutation
def keep_the_signature_from_the_API(t):
    del at(t, "CdnDistribution//DistributionConfig//CacheBehaviors//0")["OriginRequestPolicyId"]


@mutation
def let_viewers_set_the_header_of_the_signature(t):
    code = at(t, "CdnFunction")["FunctionCode"]
    code["Fn::Sub"] = code["Fn::Sub"].replace("request.headers['x-upreel-signature']", "request.headers['x-signature']")


@mutation
def cache_segments_by_viewer(t):
    at(t, "CdnDistribution//DistributionConfig//CacheBehaviors//0")["CachePolicyId"] = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


@mutation
def keep_segments_from_the_distribution(t):
    statement = at(t, "ProcessedBucketPolicy//PolicyDocument//Statement")[3]["Fn::If"][1]
    statement["Resource"].pop()


@mutation
def keep_segments_for_ever(t):
    at(t, "ProcessedBucket//LifecycleConfiguration//Rules").pop()


@mutation
def expire_playlists(t):
    at(t, "ProcessedBucket//LifecycleConfiguration//Rules")[2]["Prefix"] = "playback/"


@mutation
def allow_only_the_pages_of_the_API_to_read_redirected_segments(t):
    at(t, "ProcessedBucket")["CorsConfiguration"] = at(t, "ThumbnailsBucket")["CorsConfiguration"]


@mutation
def give_playback_too_little_memory_for_an_image(t):
    at(t, "PlaybackFunction")["MemorySize"] = 1024


@mutation
def let_playback_write_originals(t):
    statements(t, "PlaybackRole")[0]["Action"].append("s3:PutObject")


@mutation
def forbid_playback_to_delete_segments(t):
    statements(t, "PlaybackRole")[1]["Action"].remove("s3:DeleteObject")


@mutation
def forbid_playback_to_delete_the_poster_that_was_replaced(t):
    statements(t, "PlaybackRole")[2]["Action"].remove("s3:DeleteObject")


@mutation
def forbid_videos_to_sign_segments(t):
    (statement,) = [s for s in statements(t, "VideosRole") if s["Action"] == ["s3:GetObject"]]
    statement["Resource"].pop()


@mutation
def let_thumbnails_write_segments(t):
    (statement,) = [s for s in statements(t, "ThumbnailRole") if "s3:PutObject" in s["Action"]]
    statement["Resource"].append({"Fn::Sub": "${ProcessedBucket.Arn}/segments/*"})


@mutation
def forbid_videos_to_store_captions(t):
    (statement,) = [s for s in statements(t, "VideosRole") if "s3:PutObject" in s["Action"]]
    statement["Action"].remove("s3:PutObject")


@mutation
def let_videos_write_playlists(t):
    (statement,) = [s for s in statements(t, "VideosRole") if "s3:PutObject" in s["Action"]]
    statement["Resource"] = {"Fn::Sub": "${ProcessedBucket.Arn}/*"}


@mutation
def let_thumbnails_delete_captions(t):
    (statement,) = [s for s in statements(t, "ThumbnailRole") if "s3:PutObject" in s["Action"]]
    statement["Resource"].append({"Fn::Sub": "${ProcessedBucket.Arn}/captions/*"})


@mutation
def forbid_the_reconciler_to_delete_captions(t):
    (statement,) = [s for s in statements(t, "ReconcileRole") if s["Action"] == ["s3:DeleteObject"]]
    statement["Resource"].remove({"Fn::Sub": "${ProcessedBucket.Arn}/captions/*"})


@mutation
def let_captions_expire(t):
    rules = at(t, "ProcessedBucket//LifecycleConfiguration//Rules")
    rules.append({"Id": "captions", "Status": "Enabled", "Prefix": "captions/", "ExpirationInDays": 30})


@mutation
def forbid_the_reconciler_to_delete_playlists(t):
    (statement,) = [s for s in statements(t, "ReconcileRole") if s["Action"] == ["s3:DeleteObject"]]
    statement["Resource"].remove({"Fn::Sub": "${ProcessedBucket.Arn}/playback/*"})


@mutation
def let_the_reconciler_invalidate_every_distribution(t):
    at(t, "ReconcileRole//Policies//1//Fn::If//1//PolicyDocument//Statement//0")["Resource"] = "*"


@mutation
def keep_deleted_videos_in_the_cache(t):
    del at(t, "VideosFunction//Environment//Variables")["CDN_DISTRIBUTION_ID"]


@mutation
def give_playback_the_domain_of_the_distribution(t):
    domain = at(t, "VideosFunction//Environment//Variables")["CDN_DOMAIN"]
    at(t, "PlaybackFunction//Environment//Variables")["CDN_DOMAIN"] = domain


@mutation
def let_the_API_refer_to_the_alias_of_videos(t):
    integration(t, "/videos", "get")["uri"] = {"Fn::Sub": ["arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/${F}/invocations", {"F": {"Ref": "VideosFunction.Alias"}}]}


@mutation
def give_the_videos_function_another_name(t):
    del at(t, "VideosFunction")["FunctionName"]


@mutation
def end_a_release_of_playback_without_its_alarm(t):
    at(t, "PlaybackFunction//DeploymentPreference")["Alarms"]["Fn::If"][1].pop(0)


@mutation
def leave_playback_out_of_the_query_of_the_dashboard(t):
    sub = at(t, "Dashboard//DashboardBody")["Fn::Sub"]
    sub[0] = sub[0].replace("SOURCE '${PlaybackLogs}' | ", "")


@mutation
def write_the_secret_of_the_CDN_into_the_template(t):
    at(t, "CdnSecret")["SecretString"] = at(t, "CdnSecret").pop("GenerateSecretString")["ExcludeCharacters"]


@mutation
def allow_quotes_in_the_CDN_secret(t):
    generated = dict(at(t, "CdnSecret//GenerateSecretString"))
    at(t, "CdnSecret")["GenerateSecretString"] = {**generated, "ExcludeCharacters": generated["ExcludeCharacters"].replace("'", "")}


@mutation
def create_the_CDN_secret_without_a_CDN(t):
    del t["Resources"]["CdnSecret"]["Condition"]


@mutation
def keep_the_secrets_of_the_CDN_after_a_release(t):
    at(t, "CdnFunction//FunctionConfig")["Comment"] = "Verifies signed paths"


@mutation
def accept_one_secret_at_the_CDN(t):
    code = at(t, "CdnFunction")["FunctionCode"]
    code["Fn::Sub"] = code["Fn::Sub"].replace(".split(',')", "")


@mutation
def drop_the_key_of_a_secret(t):
    del at(t, "WebhookSecret")["KmsKeyId"]


@mutation
def forbid_the_key_to_Secrets_Manager(t):
    statement = next(s for s in at(t, "Key//KeyPolicy//Statement") if s["Sid"] == "ThroughTheServices")
    statement["Condition"]["StringEquals"]["kms:ViaService"].pop()


@mutation
def name_a_secret_outside_of_the_stack(t):
    del at(t, "WebhookSecret")["Name"]


@mutation
def publish_no_version_for_the_CDN(t):
    at(t, "VideosFunction")["VersionDescription"] = at(t, "UploadFunction")["VersionDescription"]


@mutation
def drop_the_origin_access_control(t):
    del at(t, "CdnDistribution//DistributionConfig//Origins//0")["OriginAccessControlId"]


# ------------------------------------------------------------------------------------- updates of a stack


@mutation
def publish_versions_for_a_setting_that_they_do_not_have(t):
    at(t, "ThumbnailFunction")["VersionDescription"]["Fn::Sub"][0] += " ${ReservedConcurrency}"


@mutation
def publish_no_version_for_a_log_level(t):
    description = at(t, "EncodeFunction")["VersionDescription"]["Fn::Sub"]
    description[0] = description[0].replace("${LogLevel} ", "")


@mutation
def publish_no_version_for_traces(t):
    description = at(t, "UploadFunction")["VersionDescription"]["Fn::Sub"]
    description[0] = description[0].replace("${Traces} ", "")


@mutation
def publish_no_version_for_checks(t):
    description = at(t, "WebhookFunction")["VersionDescription"]["Fn::Sub"]
    description[0] = description[0].replace("${Checks}", "")


@mutation
def trace_by_default(t):
    t["Parameters"]["Traces"]["Default"] = "true"


@mutation
def show_the_cost_by_function(t):
    sub = at(t, "Dashboard//DashboardBody")["Fn::Sub"]
    sub[0] = sub[0].replace('"Cost", "Stack", "${AWS::StackName}"', '"Cost", "Stack", "${AWS::StackName}", "Function", "thumbnail"')


@mutation
def divide_the_cost_by_another_metric(t):
    sub = at(t, "Dashboard//DashboardBody")["Fn::Sub"]
    sub[0] = sub[0].replace('"id": "videos"', '"id": "attempts"')


@mutation
def publish_no_version_for_transcoding(t):
    at(t, "ReconcileFunction")["VersionDescription"] = {"Fn::Sub": "${Release} ${Architecture} ${LogLevel} ${MaxUploadBytes}"}


@mutation
def release_without_a_change_of_the_functions(t):
    del t["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"]


@mutation
def exceed_the_description_of_versions(t):
    t["Parameters"]["AllowedOrigins"]["MaxLength"] = 200


@mutation
def delete_the_previous_version_with_a_changed_parameter(t):
    del t["Resources"]["PresignFunction"]["UpdateReplacePolicy"]


@mutation
def delete_the_previous_version_with_changed_code(t):
    at(t, "UploadFunction")["VersionDeletionPolicy"] = "Delete"


@mutation
def delete_the_previous_layer(t):
    at(t, "FfmpegLayer")["RetentionPolicy"] = "Delete"


@mutation
def process_videos_without_an_alias(t):
    for name in ("AutoPublishAlias", "AutoPublishAliasAllProperties", "VersionDeletionPolicy", "VersionDescription"):
        del at(t, "ThumbnailFunction")[name]


@mutation
def sweep_with_the_unpublished_code(t):
    at(t, "SweepSchedule//Target")["Arn"] = {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}


@mutation
def heal_with_the_unpublished_code(t):
    at(t, "ReconcileFunction//Environment//Variables")["THUMBNAIL_FUNCTION"] = {"Ref": "ThumbnailFunction"}


@mutation
def encode_with_the_unpublished_code(t):
    at(t, "TranscodeMachine//DefinitionSubstitutions")["EncodeFunction"] = {"Fn::GetAtt": ["EncodeFunction", "Arn"]}


@mutation
def report_failures_to_the_unpublished_code(t):
    destination = at(t, "ThumbnailFunction//EventInvokeConfig//DestinationConfig//OnFailure")
    destination["Destination"] = {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}


@mutation
def drop_lines_with_metrics(t):
    for name in ("ThumbnailFunction", "ReconcileFunction"):
        at(t, name)["LoggingConfig"]["ApplicationLogLevel"] = "WARN"


@mutation
def drop_debug_lines(t):
    at(t, "UploadFunction")["LoggingConfig"].pop("ApplicationLogLevel")


@mutation
def name_buckets_after_the_host_that_created_the_stack(t):
    text = json.dumps(t["Resources"]).replace('"Fn::Select": [0, {"Fn::Split": ["-"', '"Fn::Select": [4, {"Fn::Split": ["-"')
    t["Resources"] = json.loads(text)
    variables = t["Globals"]["Function"]["Environment"]["Variables"]
    variables |= {f"{kind.upper()}_BUCKET": at(t, f"{kind}Bucket")["BucketName"] for kind in ("Uploads", "Thumbnails", "Processed")}


@mutation
def exceed_the_name_of_a_bucket(t):
    name = json.dumps(at(t, "ThumbnailsBucket")["BucketName"]).replace("-thumbnails-", "-thumbnails-and-storyboards-")
    at(t, "ThumbnailsBucket")["BucketName"] = t["Globals"]["Function"]["Environment"]["Variables"]["THUMBNAILS_BUCKET"] = json.loads(name)


@mutation
def exceed_the_name_of_a_function(t):
    at(t, "EncodeFunction")["FunctionName"] = {"Fn::Sub": "${AWS::StackName}-encodes-one-chunk-of-a-video"}


@mutation
def replace_the_queue(t):
    at(t, "VideoProcessingDLQ")["QueueName"] = {"Fn::Sub": "${AWS::StackName}-videos-VideoProcessingDLQ"}


@mutation
def rename_the_logical_ID_of_a_topic(t):
    t["Resources"]["Topic"] = json.loads(json.dumps(t["Resources"].pop("AlarmTopic")))
    for part in ("Resources", "Outputs"):
        t[part] = json.loads(json.dumps(t[part]).replace('"AlarmTopic"', '"Topic"'))


@mutation
def set_the_log_role_of_the_account_by_default(t):
    t["Parameters"]["SetApiLogRole"]["Default"] = "true"


@mutation
def delete_the_log_role_with_a_failed_creation(t):
    t["Resources"]["ApiLogRole"]["DeletionPolicy"] = "RetainExceptOnCreate"


@mutation
def read_the_origin_of_an_error_in_one_spelling(t):
    headers = body(t)["x-amazon-apigateway-gateway-responses"]["DEFAULT_4XX"]["responseParameters"]
    headers["gatewayresponse.header.Access-Control-Allow-Origin"]["Fn::If"][2] = "method.request.header.Origin"


# ------------------------------------------------------------------------------------------------ alarms


@mutation
def ignore_transcodings_that_time_out(t):
    at(t, "TranscodesFailedAlarm//Metrics").pop(2)


@mutation
def ignore_the_age_of_the_stream(t):
    del t["Resources"]["WebhookDelayAlarm"]


@mutation
def count_the_sweeps_of_every_stack(t):
    at(t, "SweepsAlarm//Dimensions").pop(0)


@mutation
def show_the_metrics_of_every_stack(t):
    sub = at(t, "Dashboard//DashboardBody")["Fn::Sub"]
    sub[0] = sub[0].replace('"Upreel", "PosterFailed", "Stack", "${AWS::StackName}", ', '"Upreel", "PosterFailed", ')


@mutation
def name_no_stack_in_an_alarm(t):
    at(t, "DeadLettersAlarm")["AlarmDescription"] = "Videos failed. Run `make dlq` to list them."


@mutation
def drop_the_stack_from_the_environment(t):
    del t["Globals"]["Function"]["Environment"]["Variables"]["STACK_NAME"]


@mutation
def budget_without_a_recipient(t):
    del t["Rules"]["BudgetHasARecipient"]


@mutation
def send_the_budget_to_nobody(t):
    at(t, "Budget//NotificationsWithSubscribers//0")["Subscribers"].clear()


@mutation
def deploy_without_watching_a_function(t):
    at(t, "VideosFunction//DeploymentPreference")["Alarms"]["Fn::If"][1].pop(0)


@mutation
def end_deployments_for_errors_of_the_present_version(t):
    at(t, "UploadCanaryAlarm//Dimensions").pop()


@mutation
def send_all_requests_to_a_new_release_at_once(t):
    at(t, "PresignFunction//DeploymentPreference")["Type"] = "AllAtOnce"


@mutation
def let_canaries_change_every_function(t):
    statements(t, "CanaryRole")[0]["Action"].append("lambda:UpdateFunctionCode")


# ------------------------------------------------------------------------------------------------- domains


@mutation
def keep_the_default_endpoint_of_an_API_with_a_domain(t):
    del at(t, "Api")["DisableExecuteApiEndpoint"]


@mutation
def disable_the_default_endpoint_at_the_top_of_the_document(t):
    body(t)["x-amazon-apigateway-endpoint-configuration"] = {"disableExecuteApiEndpoint": at(t, "Api").pop("DisableExecuteApiEndpoint")}


@mutation
def disable_the_only_endpoint(t):
    at(t, "Api")["DisableExecuteApiEndpoint"] = True


@mutation
def accept_a_certificate_of_the_CDN_in_every_region(t):
    parameter = t["Parameters"]["CdnCertificateArn"]
    parameter["AllowedPattern"] = parameter["AllowedPattern"].replace("us-east-1", "[a-z0-9-]+")


@mutation
def accept_a_domain_without_a_certificate(t):
    del t["Rules"]["ApiDomainHasACertificate"]


@mutation
def accept_a_domain_of_the_CDN_without_a_certificate(t):
    del t["Rules"]["CdnDomainHasACertificate"]


@mutation
def accept_a_domain_in_capitals(t):
    t["Parameters"]["ApiDomain"]["AllowedPattern"] = t["Parameters"]["ApiDomain"]["AllowedPattern"].replace("a-z", "A-Za-z")


@mutation
def use_the_domain_of_the_CDN_without_a_CDN(t):
    t["Conditions"]["HasCdnDomain"] = t["Conditions"]["HasCdnDomain"]["Fn::And"][1]


@mutation
def sign_URLs_for_the_default_domain_of_the_CDN(t):
    at(t, "VideosFunction//Environment//Variables")["CDN_DOMAIN"]["Fn::If"][1] = {"Fn::GetAtt": "CdnDistribution.DomainName"}


@mutation
def drop_the_alias_of_the_CDN(t):
    del at(t, "CdnDistribution//DistributionConfig")["Aliases"]


@mutation
def accept_old_TLS_at_the_CDN(t):
    at(t, "CdnDistribution//DistributionConfig//ViewerCertificate")["Fn::If"][1]["MinimumProtocolVersion"] = "TLSv1"


@mutation
def accept_old_TLS_at_the_API(t):
    at(t, "ApiDomainName")["SecurityPolicy"] = "TLS_1_0"


@mutation
def put_the_stage_into_the_URL_of_the_domain(t):
    at(t, "ApiDomainMapping")["BasePath"] = "v1"


@mutation
def print_the_default_address_of_an_API_with_a_domain(t):
    t["Outputs"]["ApiUrl"]["Value"] = t["Outputs"]["ApiUrl"]["Value"]["Fn::If"][2]


@mutation
def create_records_without_a_hosted_zone(t):
    t["Resources"]["ApiDomainRecord"]["Condition"] = "HasApiDomain"


@mutation
def drop_the_record_for_IPv6(t):
    at(t, "CdnRecords//RecordSets").pop()


@mutation
def create_canaries_by_default(t):
    t["Parameters"]["Canary"]["Default"] = "true"


def lint(transformed):
    """Returns cfn-lint's findings, with the options of gate.sh."""
    config = ManualArgs(regions=[REGION], ignore_checks=["I", "W2001", "W3011"])
    return [f"{m.rule.id} {m.message}" for m in cfnlint.api.lint(json.dumps(transformed, default=str), config=config)]


def first_finding(template, original):
    try:
        for case, problem in findings(template, original):
            return f"{case}: {problem}"
        for problem in lint(transform(template)):
            return f"cfn-lint: {problem}"
    except InvalidDocumentException as error:
        return f"SAM: {error.message}"
    return None


def mutate(original, name):
    """Applies a mutation and returns the first finding; None if there is no finding, or if nothing changed."""
    template = copy.deepcopy(original)
    MUTATIONS[name](template)
    return first_finding(template, original) if template != original else None


def main(path):
    original = load(path)
    if problem := first_finding(original, original):
        print(f"the template without a mutation: {problem}")
        return 1
    caught = 0
    with ProcessPoolExecutor() as pool:
        for name, problem in zip(MUTATIONS, pool.map(mutate, [original] * len(MUTATIONS), MUTATIONS)):
            caught += problem is not None
            print(f"{'caught' if problem else 'MISSED'}  {name}: {(problem or 'no finding')[:110]}")
    print(f"{caught}/{len(MUTATIONS)} caught")
    return caught != len(MUTATIONS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
