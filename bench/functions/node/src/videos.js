// GET /videos and GET /videos/{videoId}
import {createHash} from 'node:crypto';
import {getItem, query, signGet} from 'aws';
import {answer, caller, header, table, thumbnails} from './common.js';

const sign = (Key) => Key && signGet({Bucket: thumbnails, Key}, 900);

/** The row with URLs in place of keys. */
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
  return answer(200, {videos: await Promise.all(Items.map(view)), cursor});
};

const one = async (event, userId, videoId) => {
  const {Item} = await getItem({TableName: table, Key: {videoId}, ConsistentRead: true});
  if (Item?.userId !== userId) return answer(404, {message: 'There is no such video.'});
  const body = JSON.stringify(await view(Item));
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return header(event, 'if-none-match') === etag ? answer(304, '') : answer(200, body, {etag});
};

export const handler = async (event) => {
  const userId = caller(event);
  if (!userId) return answer(401, {message: 'Sign in first.'});
  const videoId = event.pathParameters?.videoId;
  return videoId ? one(event, userId, videoId) : list(userId, Number(event.queryStringParameters?.limit ?? 20));
};
