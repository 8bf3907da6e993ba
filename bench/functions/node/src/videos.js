// GET /videos and GET /videos/{videoId}
import {createHash} from 'node:crypto';
import {getItem, query, signGet} from 'aws';
import {caller, header, respond, table, thumbnails} from './common.js';

const sign = (Key) => Key && signGet({Bucket: thumbnails, Key}, 900);

/** Returns the row with signed URLs instead of keys. */
const view = async (row) => {
  const {key, sequencer, attempts, ttl, thumbnailKey, thumbnailLargeKey, storyboardKey, ...video} = row;
  const keys = [thumbnailKey, thumbnailLargeKey, storyboardKey, storyboardKey?.replace('.vtt', '.jpg')];
  const [thumbnailUrl, thumbnailLargeUrl, storyboardUrl, storyboardImageUrl] = await Promise.all(keys.map(sign));
  return {...video, thumbnailUrl, thumbnailLargeUrl, storyboardUrl, storyboardImageUrl};
};

const list = async (userId, limit) => {
  const {Items, LastEvaluatedKey} = await query({
    TableName: table, IndexName: 'byUser', KeyConditionExpression: 'userId = :user',
    ExpressionAttributeValues: {':user': userId}, ScanIndexForward: false, Limit: limit,
  });
  const cursor = LastEvaluatedKey && Buffer.from(JSON.stringify(LastEvaluatedKey)).toString('base64url');
  return respond(200, {videos: await Promise.all(Items.map(view)), cursor});
};

const one = async (event, userId, videoId) => {
  const {Item} = await getItem({TableName: table, Key: {videoId}, ConsistentRead: true});
  if (Item?.userId !== userId) return respond(404, {message: 'There is no such video.'});
  const body = JSON.stringify(await view(Item));
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return header(event, 'if-none-match') === etag ? respond(304, '') : respond(200, body, {etag});
};

export const handler = async (event) => {
  const userId = caller(event);
  if (!userId) return respond(401, {message: 'Sign in first.'});
  const videoId = event.pathParameters?.videoId;
  return videoId ? one(event, userId, videoId) : list(userId, Number(event.queryStringParameters?.limit ?? 20));
};
