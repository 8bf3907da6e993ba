// The AWS calls of the functions, with the SDK v2. Only two of its clients are bundled.
import DynamoDB from 'aws-sdk/clients/dynamodb.js';
import S3 from 'aws-sdk/clients/s3.js';

const endpoint = process.env.AWS_ENDPOINT_URL;
const s3 = /* @__PURE__ */ new S3({endpoint, s3ForcePathStyle: endpoint !== undefined, signatureVersion: 'v4'});
const dynamodb = /* @__PURE__ */ new DynamoDB.DocumentClient({endpoint});

export const putItem = (input) => dynamodb.put(input).promise();
export const updateItem = (input) => dynamodb.update(input).promise();
export const getItem = (input) => dynamodb.get(input).promise();
export const query = (input) => dynamodb.query(input).promise();
export const putObject = (input) => s3.putObject(input).promise();
const sign = (operation) => (input, Expires) => s3.getSignedUrlPromise(operation, {...input, Expires});
export const signGet = sign('getObject');
export const signPart = sign('uploadPart');
// The SDK v2 cannot sign Content-Length.
export const signPut = ({ContentLength, ...input}, expiresIn) => sign('putObject')(input, expiresIn);
