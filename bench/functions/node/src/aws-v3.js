// The AWS calls of the functions, with the SDK v3. Clients are created once; keep-alive is on by default.
import {GetObjectCommand, PutObjectCommand, S3Client, UploadPartCommand} from '@aws-sdk/client-s3';
import {DynamoDBClient} from '@aws-sdk/client-dynamodb';
import {DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, UpdateCommand} from '@aws-sdk/lib-dynamodb';
import {getSignedUrl} from '@aws-sdk/s3-request-presigner';

const forcePathStyle = process.env.AWS_ENDPOINT_URL !== undefined;
const s3 = /* @__PURE__ */ new S3Client({forcePathStyle});
// A presigned PUT must not include a checksum of a body that does not exist yet.
const signer = /* @__PURE__ */ new S3Client({forcePathStyle, requestChecksumCalculation: 'WHEN_REQUIRED'});
const dynamodb = /* @__PURE__ */ DynamoDBDocumentClient.from(new DynamoDBClient());

export const putItem = (input) => dynamodb.send(new PutCommand(input));
export const updateItem = (input) => dynamodb.send(new UpdateCommand(input));
export const getItem = (input) => dynamodb.send(new GetCommand(input));
export const query = (input) => dynamodb.send(new QueryCommand(input));
export const putObject = (input) => s3.send(new PutObjectCommand(input));
export const signGet = (input, expiresIn) => getSignedUrl(signer, new GetObjectCommand(input), {expiresIn});
export const signPart = (input, expiresIn) => getSignedUrl(signer, new UploadPartCommand(input), {expiresIn});
export const signPut = (input, expiresIn) => {
  const signableHeaders = new Set(['content-length', 'content-type', 'host']);
  return getSignedUrl(signer, new PutObjectCommand(input), {expiresIn, signableHeaders});
};
