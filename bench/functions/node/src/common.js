import {putItem} from 'aws';

export const {TABLE_NAME: table, UPLOADS_BUCKET: uploads, THUMBNAILS_BUCKET: thumbnails} = process.env;

/** Returns the user that the API's authorizer verified. */
export const caller = (event) => event.requestContext.authorizer?.claims?.sub;

export const header = (event, name) =>
  Object.entries(event.headers).find(([key]) => key.toLowerCase() === name)?.[1];

export const respond = (statusCode, body, headers) => {
  console.log(JSON.stringify({level: 'INFO', status: statusCode, message: 'answered'}));
  return {
    statusCode,
    headers: {'content-type': 'application/json', 'access-control-allow-origin': '*', ...headers},
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
};

/** Creates the row of a video that is not uploaded yet. */
export const create = (fields) => {
  const now = Date.now();
  const Item = {
    ...fields, status: 'PENDING', uploadTime: new Date(now).toISOString(), attempts: 0,
    ttl: Math.floor(now / 1000) + 86_400,
  };
  return putItem({TableName: table, Item, ConditionExpression: 'attribute_not_exists(videoId)'});
};
