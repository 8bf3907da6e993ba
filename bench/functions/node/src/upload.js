// POST /upload
import {randomUUID} from 'node:crypto';
import busboy from 'busboy';
import {putObject, signGet, updateItem} from 'aws';
import {caller, create, header, respond, table, uploads} from './common.js';

const read = (event) => new Promise((resolve, reject) => {
  const form = busboy({headers: {'content-type': header(event, 'content-type')}});
  let file;
  form.on('file', (field, stream, {filename}) => {
    if (field !== 'file') return stream.resume();
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => { file = {filename, bytes: Buffer.concat(chunks)}; });
  });
  form.on('close', () => resolve(file));
  form.on('error', reject);
  form.end(Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8'));
});

export const handler = async (event) => {
  const userId = caller(event);
  if (!userId) return respond(401, {message: 'Sign in first.'});
  const file = await read(event);
  if (!file) return respond(400, {message: 'The form has no field file.'});
  const {filename, bytes} = file;
  if (bytes.toString('latin1', 4, 8) !== 'ftyp') return respond(415, {message: 'This file is not an MP4.'});
  const videoId = randomUUID();
  const key = `videos/${userId}/${videoId}.mp4`;
  await create({videoId, userId, key, filename, contentType: 'video/mp4', size: bytes.length});
  await putObject({Bucket: uploads, Key: key, ContentType: 'video/mp4', IfNoneMatch: '*', Body: bytes});
  await updateItem({
    TableName: table,
    Key: {videoId},
    UpdateExpression: 'SET #status = :uploaded REMOVE #ttl',
    ConditionExpression: '#status = :pending',
    ExpressionAttributeNames: {'#status': 'status', '#ttl': 'ttl'},
    ExpressionAttributeValues: {':uploaded': 'UPLOADED', ':pending': 'PENDING'},
  });
  const url = await signGet({Bucket: uploads, Key: key}, 900);
  return respond(200, {success: true, videoId, status: 'UPLOADED', url});
};
