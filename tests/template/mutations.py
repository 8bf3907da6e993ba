"""The gate's own test: breaks the template in many ways, and each must be found.

`caught by` names the first finding: of assert_transformed.py or the transform, else of cfn-lint.
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
    """The part of the template at a path such as `Api/DefinitionBody/paths`, within Properties."""
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


def statements(t, role):
    return at(t, role)["Policies"][0]["PolicyDocument"]["Statement"]


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
def make_the_authorizer_optional(t):
    body(t)["paths"]["/presign"]["get"]["security"] = [{"Caller": []}, {}]


@mutation
def let_every_token_in(t):
    body(t)["components"]["securitySchemes"]["Caller"] = {"type": "apiKey", "name": "Authorization", "in": "header"}


@mutation
def drop_a_preflight(t):
    del body(t)["paths"]["/videos/{videoId}"]["options"]


@mutation
def drop_contentHandling_of_a_preflight(t):
    del integration(t, "/upload", "options")["contentHandling"]


@mutation
def drop_contentHandling_of_its_answer(t):
    del integration(t, "/videos", "options")["responses"]["default"]["contentHandling"]


@mutation
def guard_a_preflight(t):
    body(t)["paths"]["/presign"]["options"]["security"] = [{"Caller": []}]


@mutation
def open_CORS_of_the_API(t):
    answer = integration(t, "/upload", "options")["responses"]["default"]
    answer["responseParameters"]["method.response.header.Access-Control-Allow-Origin"] = "'*'"


@mutation
def echo_every_origin(t):
    answer = integration(t, "/upload", "options")["responses"]["default"]
    sub = answer["responseTemplates"]["application/json"]["Fn::Sub"]
    sub[0] = sub[0].replace("($allowed.contains($origin) || $allowed.contains($anyPort))", "true")


@mutation
def match_origins_by_their_beginning(t):
    answer = integration(t, "/videos", "options")["responses"]["default"]
    sub = answer["responseTemplates"]["application/json"]["Fn::Sub"]
    sub[0] = sub[0].replace(":[0-9]+$", ":[0-9]+.*$")


@mutation
def drop_CORS_from_an_error(t):
    del body(t)["x-amazon-apigateway-gateway-responses"]["DEFAULT_4XX"]["responseParameters"]


@mutation
def hide_headers_of_an_error(t):
    response = body(t)["x-amazon-apigateway-gateway-responses"]["DEFAULT_5XX"]
    del response["responseParameters"]["gatewayresponse.header.Access-Control-Expose-Headers"]


@mutation
def throttle_without_an_end(t):
    response = body(t)["x-amazon-apigateway-gateway-responses"]["THROTTLED"]
    del response["responseParameters"]["gatewayresponse.header.Retry-After"]


@mutation
def let_no_page_sign_for_IAM(t):
    headers = integration(t, "/presign", "options")["responses"]["default"]["responseParameters"]
    name = "method.response.header.Access-Control-Allow-Headers"
    headers[name] = headers[name].replace("x-amz-content-sha256,", "")


@mutation
def break_the_JSON_of_an_error(t):
    templates = body(t)["x-amazon-apigateway-gateway-responses"]["REQUEST_TOO_LARGE"]["responseTemplates"]
    templates["application/json"] = templates["application/json"].replace('"status":413', '"status":"413')


@mutation
def no_binary_types(t):
    del at(t, "Api")["BinaryMediaTypes"]


@mutation
def no_throttling(t):
    del at(t, "Api//MethodSettings//0")["ThrottlingRateLimit"]


@mutation
def log_the_token(t):
    log = at(t, "Api//AccessLogSetting")
    log["Format"] = log["Format"].replace('"ip"', '"token":"$context.authorizer.principalId","ip"')


@mutation
def wrong_function_behind_a_route(t):
    integration(t, "/presign", "get")["uri"] = integration(t, "/upload", "post")["uri"]


@mutation
def drop_the_completion(t):
    del body(t)["paths"]["/s3/multipart/{uploadId}/complete"]["post"]


@mutation
def drop_the_permission_of_the_parts(t):
    del at(t, "PresignFunction//Events")["Part"]


@mutation
def drop_a_permission(t):
    del at(t, "VideosFunction//Events")["Delete"]


@mutation
def deploy_the_API_only_for_text(t):
    del at(t, "Api")["AlwaysDeploy"]


@mutation
def publish_no_version_for_a_parameter(t):
    del at(t, "PresignFunction")["VersionDescription"]


# ---------------------------------------------------------------------------------------------- functions


@mutation
def drop_the_dead_letter_queue(t):
    del at(t, "ThumbnailFunction")["DeadLetterQueue"]


@mutation
def retry_never(t):
    at(t, "ThumbnailFunction//EventInvokeConfig")["MaximumRetryAttempts"] = 0


@mutation
def drop_the_layer(t):
    del at(t, "ThumbnailFunction")["Layers"]


@mutation
def replay_at_once(t):
    at(t, "ThumbnailFunction//Events//Replay//Properties")["Enabled"] = True


@mutation
def drop_an_environment_variable(t):
    del t["Globals"]["Function"]["Environment"]["Variables"]["THUMBNAILS_BUCKET"]


@mutation
def give_memory_back_after_each_request(t):
    t["Globals"]["Function"]["Environment"]["Variables"]["MALLOC_TRIM_THRESHOLD_"] = "131072"


@mutation
def wrong_binary(t):
    t["Resources"]["PresignFunction"]["Metadata"]["BuildProperties"]["Binary"] = "upload"


@mutation
def replay_overlaps_itself(t):
    at(t, "ThumbnailFunction")["Timeout"] = 300


@mutation
def a_cycle(t):
    t["Globals"]["Function"]["Environment"]["Variables"]["UPLOADS_BUCKET"] = {"Ref": "UploadsBucket"}


@mutation
def unknown_reference(t):
    at(t, "AlarmSubscription")["TopicArn"] = {"Ref": "AlarmsTopic"}


@mutation
def wrong_runtime_property(t):
    at(t, "Dashboard")["DashboardTitle"] = "x"


# ----------------------------------------------------------------------------------------------- webhooks


@mutation
def webhooks_by_default(t):
    t["Parameters"]["WebhookUrl"]["Default"] = "https://app.example.com"


@mutation
def webhooks_over_plain_HTTP(t):
    t["Parameters"]["WebhookUrl"]["AllowedPattern"] = "^(https?://[^@ ]+)?$"


@mutation
def webhooks_without_a_secret(t):
    del t["Rules"]["WebhooksAreSigned"]


@mutation
def show_the_secret(t):
    del t["Parameters"]["WebhookSecret"]["NoEcho"]


@mutation
def a_short_secret(t):
    del t["Parameters"]["WebhookSecret"]["AllowedPattern"]


@mutation
def a_queue_for_nobody(t):
    del t["Resources"]["WebhookDLQ"]["Condition"]


@mutation
def a_stream_for_nobody(t):
    stream = at(t, "VideoMetadata")["StreamSpecification"]
    at(t, "VideoMetadata")["StreamSpecification"] = stream["Fn::If"][1]


@mutation
def a_stream_without_what_was(t):
    at(t, "VideoMetadata")["StreamSpecification"]["Fn::If"][1]["StreamViewType"] = "NEW_IMAGE"


@mutation
def one_failure_fails_the_batch(t):
    del at(t, "WebhookFunction//Events//Waiting//Properties")["FunctionResponseTypes"]


@mutation
def lose_changes_that_could_not_be_queued(t):
    del at(t, "WebhookFunction//Events//Changed//Properties")["DestinationConfig"]


@mutation
def hold_up_the_shard_for_a_day(t):
    del at(t, "WebhookFunction//Events//Changed//Properties")["MaximumRecordAgeInSeconds"]


@mutation
def miss_what_happens_meanwhile(t):
    at(t, "WebhookFunction//Events//Changed//Properties")["StartingPosition"] = "LATEST"


@mutation
def flood_the_endpoint(t):
    del at(t, "WebhookFunction//Events//Waiting//Properties")["ScalingConfig"]


@mutation
def never_give_up(t):
    del at(t, "WebhookQueue")["RedrivePolicy"]


@mutation
def deliver_twice_at_a_time(t):
    at(t, "WebhookFunction")["Timeout"] = 60


@mutation
def forget_the_wait(t):
    statements(t, "WebhookRole")[1]["Action"].remove("sqs:ChangeMessageVisibility")


@mutation
def let_webhooks_read_videos(t):
    statements(t, "WebhookRole").append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "${UploadsBucket.Arn}/*"}})


@mutation
def no_alarm_for_webhooks(t):
    del t["Resources"]["WebhookDeadLettersAlarm"]


# -------------------------------------------------------------------------------------------------- roles


@mutation
def add_an_action(t):
    statements(t, "PresignRole")[0]["Action"].append("s3:GetObject")


@mutation
def forget_to_abort(t):
    statements(t, "PresignRole")[0]["Action"].remove("s3:AbortMultipartUpload")


@mutation
def drop_ListBucket(t):
    del statements(t, "ThumbnailRole")[2]


@mutation
def allow_a_whole_service(t):
    statements(t, "VideosRole")[2]["Action"] = "dynamodb:*"


@mutation
def allow_every_resource(t):
    statements(t, "UploadRole")[0]["Resource"] = "*"


@mutation
def allow_the_whole_bucket(t):
    statements(t, "UploadRole")[0]["Resource"] = {"Fn::Sub": "${UploadsBucket.Arn}/*"}


@mutation
def forget_the_storyboards(t):
    statements(t, "ThumbnailRole")[1]["Resource"].pop()


@mutation
def delete_posters_and_leave_storyboards(t):
    statements(t, "VideosRole")[1]["Resource"].pop()


@mutation
def let_users_requests_write_storyboards(t):
    statements(t, "VideosRole")[1]["Action"].append("s3:PutObject")


@mutation
def forget_the_index(t):
    statements(t, "VideosRole")[3]["Resource"] = {"Fn::GetAtt": ["VideoMetadata", "Arn"]}


@mutation
def let_SAM_make_the_role(t):
    function = at(t, "ThumbnailFunction")
    del function["Role"]
    function["Policies"] = ["AmazonS3FullAccess"]


# ------------------------------------------------------------------------------------------------ storage


@mutation
def accelerate_without_being_asked(t):
    at(t, "UploadsBucket")["AccelerateConfiguration"] = {"AccelerationStatus": "Enabled"}


@mutation
def open_CORS_of_the_bucket(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["AllowedOrigins"] = ["*"]


@mutation
def keep_pages_from_storyboards(t):
    del at(t, "ThumbnailsBucket")["CorsConfiguration"]


@mutation
def allow_every_origin_by_default(t):
    t["Parameters"]["AllowedOrigins"]["Default"] = "*"


@mutation
def hide_the_ETag(t):
    del at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["ExposedHeaders"]


@mutation
def hide_the_Location(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["ExposedHeaders"].remove("Location")


@mutation
def refuse_forms(t):
    at(t, "UploadsBucket")["CorsConfiguration"]["Fn::If"][1]["CorsRules"][0]["AllowedMethods"].remove("POST")


@mutation
def a_public_bucket(t):
    at(t, "ThumbnailsBucket//PublicAccessBlockConfiguration")["BlockPublicPolicy"] = False


@mutation
def signed_URLs_of_any_age(t):
    del at(t, "UploadsBucketPolicy//PolicyDocument//Statement")[2]


@mutation
def plain_HTTP(t):
    del at(t, "ThumbnailsBucketPolicy//PolicyDocument//Statement")[0]


@mutation
def keep_cut_off_uploads(t):
    del at(t, "UploadsBucket")["LifecycleConfiguration"]


@mutation
def every_object_starts_the_function(t):
    del at(t, "ThumbnailFunction//Events//Stored//Properties")["Filter"]


@mutation
def wrong_TTL_attribute(t):
    at(t, "VideoMetadata//TimeToLiveSpecification")["AttributeName"] = "expiresAt"


@mutation
def no_point_in_time_recovery(t):
    at(t, "VideoMetadata//PointInTimeRecoverySpecification")["PointInTimeRecoveryEnabled"] = False


@mutation
def delete_the_videos_with_the_stack(t):
    t["Resources"]["UploadsBucket"]["DeletionPolicy"] = "Delete"


# --------------------------------------------------------------------------------------------- operations


@mutation
def an_eleventh_alarm(t):
    for number in (1, 2):
        t["Resources"][f"Alarm{number}"] = copy.deepcopy(t["Resources"]["ApiErrorsAlarm"])


@mutation
def an_alarm_that_tells_nobody(t):
    del at(t, "DeadLetterErrorsAlarm")["AlarmActions"]


@mutation
def an_alarm_on_nothing(t):
    at(t, "ApiErrorsAlarm//Dimensions//0")["Value"] = "upload"


@mutation
def logs_for_ever(t):
    del at(t, "VideosLogs")["RetentionInDays"]


@mutation
def a_key_by_default(t):
    t["Parameters"]["CustomerManagedKey"]["Default"] = "true"


@mutation
def a_suppression_without_a_reason(t):
    del t["Resources"]["Api"]["Metadata"]["checkov"]["skip"][0]["comment"]


@mutation
def drop_an_output(t):
    del t["Outputs"]["DlqUrl"]


# --------------------------------------------------------------------------------------------------- HLS


@mutation
def transcode_by_default(t):
    t["Parameters"]["Transcode"]["Default"] = "true"


@mutation
def a_state_machine_for_nobody(t):
    del t["Resources"]["TranscodeMachineRole"]["Condition"]


@mutation
def a_state_machine_that_nobody_starts(t):
    del at(t, "ThumbnailFunction//Environment//Variables")["STATE_MACHINE_ARN"]


@mutation
def do_not_let_thumbnails_start_it(t):
    del at(t, "ThumbnailRole")["Policies"][1]


@mutation
def start_transcodings_twice(t):
    at(t, "TranscodeMachine")["Type"] = "EXPRESS"


@mutation
def another_name_than_its_role_knows(t):
    at(t, "TranscodeMachine")["Name"] = {"Fn::Sub": "${AWS::StackName}-hls"}


@mutation
def forget_the_limit_of_chunks(t):
    del at(t, "TranscodeMachine//DefinitionSubstitutions")["Concurrency"]


@mutation
def a_state_machine_may_invoke_all(t):
    statements(t, "TranscodeMachineRole")[0]["Resource"] = "*"


@mutation
def leave_a_record_that_runs_for_ever(t):
    detail = at(t, "TranscodeFunction//Events//Ended//Properties//Pattern//detail")
    detail["status"].remove("TIMED_OUT")


@mutation
def hear_of_every_state_machine(t):
    del at(t, "TranscodeFunction//Events//Ended//Properties//Pattern//detail")["stateMachineArn"]


@mutation
def no_ffmpeg_for_chunks(t):
    del at(t, "EncodeFunction")["Layers"]


@mutation
def memory_that_a_new_account_has_not(t):
    at(t, "EncodeFunction")["MemorySize"] = 10240


@mutation
def keep_the_work_of_transcodings(t):
    del at(t, "ProcessedBucket//LifecycleConfiguration//Rules")[1]


@mutation
def open_the_renditions(t):
    del at(t, "ProcessedBucket")["PublicAccessBlockConfiguration"]


@mutation
def let_every_distribution_in(t):
    statement = at(t, "ProcessedBucketPolicy//PolicyDocument//Statement")[3]["Fn::If"][1]
    del statement["Condition"]


@mutation
def play_what_is_not_signed(t):
    del at(t, "CdnDistribution//DistributionConfig//DefaultCacheBehavior")["FunctionAssociations"]


@mutation
def play_without_a_secret(t):
    del t["Rules"]["CdnIsSigned"]


@mutation
def a_secret_that_breaks_out(t):
    t["Parameters"]["CdnSecret"]["AllowedPattern"] = "^(.{20,})?$"


@mutation
def show_the_secret_of_URLs(t):
    del t["Parameters"]["CdnSecret"]["NoEcho"]


@mutation
def a_new_secret_makes_no_new_version(t):
    at(t, "VideosFunction")["VersionDescription"] = at(t, "UploadFunction")["VersionDescription"]


@mutation
def a_bucket_of_everybody_s(t):
    del at(t, "CdnDistribution//DistributionConfig//Origins//0")["OriginAccessControlId"]


def lint(transformed):
    """cfn-lint's findings, as the gate asks for them."""
    config = ManualArgs(regions=[REGION], ignore_checks=["I", "W2001"])
    return [f"{m.rule.id} {m.message}" for m in cfnlint.api.lint(json.dumps(transformed, default=str), config=config)]


def caught_by(template):
    try:
        for case, wrong in findings(template):
            return f"{case}: {wrong}"
        for wrong in lint(transform(template)):
            return f"cfn-lint: {wrong}"
    except InvalidDocumentException as error:
        return f"SAM: {error.message}"
    return None


def broken(original, name):
    """What is found once the change is made."""
    template = copy.deepcopy(original)
    MUTATIONS[name](template)
    return caught_by(template) if template != original else None


def main(path):
    original = load(path)
    if wrong := caught_by(original):
        print(f"the template itself: {wrong}")
        return 1
    caught = 0
    with ProcessPoolExecutor() as pool:
        for name, wrong in zip(MUTATIONS, pool.map(broken, [original] * len(MUTATIONS), MUTATIONS)):
            caught += wrong is not None
            print(f"{'caught' if wrong else 'MISSED'}  {name}: {(wrong or 'nothing was found')[:110]}")
    print(f"{caught}/{len(MUTATIONS)} caught")
    return caught != len(MUTATIONS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
