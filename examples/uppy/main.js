import Uppy from '@uppy/core';
import AwsS3 from '@uppy/aws-s3';
import Dashboard from '@uppy/dashboard';
import '@uppy/core/css/style.min.css';
import '@uppy/dashboard/css/style.min.css';

const api = 'http://127.0.0.1:3000';

async function call(path, init) {
  const answer = await fetch(api + path, init); // deployed: with headers: {Authorization: idToken}
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message); // for the user, so Uppy shows it
  return body;
}

// Of a new file the key is Uppy's id: so its name and size are known before a byte is sent.
function signRequest(request) {
  const {name, size} = uppy.getFile(request.key) ?? {};
  return call('/presign', {method: 'POST', body: JSON.stringify({...request, name, size})});
}

const uppy = new Uppy()
  .use(Dashboard, {target: '#uppy', inline: true, note: 'Videos of any size'})
  .use(AwsS3, {signRequest, generateObjectKey: (file) => file.id});

// Uploaded is not ready: the picture shows when the video is processed.
uppy.on('upload-success', async (file, {body: {key}}) => {
  const [videoId] = key.split('/').pop().split('.');
  for (;;) {
    const video = await call(`/videos/${videoId}`);
    if (video.status === 'PROCESSED') return uppy.setFileState(file.id, {preview: video.thumbnailUrl});
    if (video.status === 'FAILED') return uppy.info(`${video.filename}: ${video.error.message}`, 'error', 10_000);
    await new Promise((next) => setTimeout(next, 1000));
  }
});
