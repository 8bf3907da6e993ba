import Uppy from '@uppy/core';
import AwsS3 from '@uppy/aws-s3';
import Dashboard from '@uppy/dashboard';
import '@uppy/core/css/style.min.css';
import '@uppy/dashboard/css/style.min.css';

const api = 'http://127.0.0.1:3000'; // the only place that names the backend

async function call(path, init) {
  const response = await fetch(api + path, init); // when deployed, add headers: {Authorization: idToken}
  const body = await response.json();
  if (!response.ok) throw new Error(body.message); // Uppy shows this message
  return {...body, retryAfter: Number(response.headers.get('Retry-After'))};
}

// The key of a new file is its Uppy id, so its name, size and metadata can be sent before the upload starts.
function signRequest(request) {
  const {name, size, meta: metadata} = uppy.getFile(request.key) ?? {};
  return call('/presign', {method: 'POST', body: JSON.stringify({...request, name, size, metadata})});
}

// Some systems do not know that these are videos.
const allowedFileTypes = ['video/*', '.mkv', '.mts', '.m2ts', '.ts', '.flv', '.ogg'];
const uppy = new Uppy({restrictions: {allowedFileTypes}})
  .use(Dashboard, {target: '#uppy', inline: true, note: 'Videos of any size'})
  .use(AwsS3, {signRequest, generateObjectKey: (file) => file.id});

// The video is processed after the upload. Show its poster once it is ready.
async function showPoster(file, {body: {key}}) {
  const [videoId] = key.split('/').pop().split('.');
  for (;;) {
    const video = await call(`/videos/${videoId}`);
    if (video.status === 'PROCESSED') return uppy.setFileState(file.id, {preview: video.thumbnailUrl});
    if (video.status === 'FAILED') throw new Error(`${video.filename}: ${video.error.message}`);
    await new Promise((next) => setTimeout(next, 1000 * (video.retryAfter || 2)));
  }
}
uppy.on('upload-success', (...result) => showPoster(...result).catch(({message}) => uppy.info(message, 'error', 10_000)));
