// A minimal Lambda runtime: runtime.js HANDLER_FILE. Lambda's own does more per invocation.
import http from 'node:http';

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({keepAlive: true, maxSockets: 1});

const call = (method, path, body) => new Promise((resolve, reject) => {
  const headers = body === undefined ? {} : {'content-length': Buffer.byteLength(body)};
  const options = {hostname, port, agent, method, headers, path: `/2018-06-01/runtime/invocation/${path}`};
  const request = http.request(options, (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => resolve({headers: response.headers, body: Buffer.concat(chunks)}));
  });
  request.on('error', reject);
  request.end(body);
});

const {handler} = await import(process.argv[2]);
for (;;) {
  const next = await call('GET', 'next');
  const id = next.headers['lambda-runtime-aws-request-id'];
  try {
    const result = await handler(JSON.parse(next.body));
    await call('POST', `${id}/response`, JSON.stringify(result));
  } catch (error) {
    await call('POST', `${id}/error`, JSON.stringify({errorType: error.name, errorMessage: error.message}));
  }
}
