// GET /presign and GET /s3/multipart/{uploadId}/{partNumber}
import {randomUUID} from 'node:crypto';
import {signPart, signPut} from 'aws';
import {caller, create, respond, uploads} from './common.js';

const presign = async (userId, {name, type = 'application/octet-stream', size}) => {
  if (!name) return respond(400, {message: 'The parameter name is required.'});
  const videoId = randomUUID();
  const key = `videos/${userId}/${videoId}.mp4`;
  const length = size === undefined ? undefined : Number(size);
  const put = {Bucket: uploads, Key: key, ContentType: type, ...(length && {ContentLength: length})};
  const uploadUrl = await signPut(put, 300);
  await create({videoId, userId, key, filename: name, contentType: type, ...(length && {size: length})});
  return respond(200, {uploadUrl, videoId, method: 'PUT', headers: {'Content-Type': type}, key, expiresIn: 300});
};

const part = async (userId, {uploadId, partNumber}, {key}) => {
  if (!key?.startsWith(`videos/${userId}/`)) return respond(404, {message: 'There is no such upload.'});
  const url = await signPart({Bucket: uploads, Key: key, UploadId: uploadId, PartNumber: Number(partNumber)}, 900);
  return respond(200, {url, expires: 900});
};

export const handler = async (event) => {
  const userId = caller(event);
  if (!userId) return respond(401, {message: 'Sign in first.'});
  const query = event.queryStringParameters ?? {};
  return event.resource === '/presign' ? presign(userId, query) : part(userId, event.pathParameters, query);
};
