import {putItem} from 'aws';

export const {TABLE_NAME: table, UPLOADS_BUCKET: uploads, THUMBNAILS_BUCKET: thumbnails} = process.env;

/** The signed-in user, as the API's authorizer has found it. */
export const caller = (event) => event.requestContext.authorizer?.claims?.sub;

export const header = (event, name) =>
  Object.entries(event.headers).find(([key]) => key.toLowerCase() === name)?.[1];

export const answer = (statusCode, body, headers) => {
  console.log(JSON.stringify({level: 'INFO', status: statusCode, message: 'answered'}));
  return {
    statusCode,
    headers: {'content-type': 'application/json', 'access-control-allow-origin': '*', ...headers},
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
};

/** Adds the row of a video whose bytes are not there yet. */
export const create = (fields) => {
  const now = Date.now();
  const Item = {
    ...fields, status: 'PENDING', uploadTime: new Date(now).toISOString(), attempts: 0,
    ttl: Math.floor(now / 1000) + 86_400,
  };
  return putItem({TableName: table, Item, ConditionExpression: 'attribute_not_exists(videoId)'});
};
