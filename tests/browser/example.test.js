// examples/uppy unchanged, with the packages of its own lock file.

import assert from 'node:assert/strict';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {test} from 'node:test';
import {FORMATS, bundle, folder, makeVideo, openPage, servePages, startBackend, until} from './harness.js';

const example = join(import.meta.dirname, '../../examples/uppy');

test('the Dashboard of the example shows posters, and why uploads failed', async (t) => {
  const backend = await startBackend(t);
  const dir = await folder(t);
  const video = await makeVideo(join(dir, 'harbour.mp4'));
  await writeFile(join(dir, 'notes.txt'), 'no video');
  await writeFile(join(dir, 'broken.mp4'), 'no video either');

  // Only the URL of the backend is replaced.
  const files = await bundle(join(example, 'main.js'));
  const script = files['/main.js'].replace('http://127.0.0.1:3000', backend.api);
  assert.notEqual(script, files['/main.js']);
  const site = await servePages(t, {'/dist/main.js': script, '/dist/main.css': files['/main.css']}, example);
  const page = await openPage(t, site, {viewport: {width: 900, height: 700}});

  const upload = async (name) => {
    if ((await page.locator('.uppy-Dashboard-input').count()) === 0) await page.getByText('Add more').click();
    await page.setInputFiles('.uppy-Dashboard-input >> nth=0', join(dir, name));
    await page.click('.uppy-StatusBar-actionBtn--upload');
  };
  await upload('harbour.mp4');
  const poster = page.locator('.uppy-Dashboard-Item-previewImg');
  await poster.waitFor();
  const {thumbnailUrl} = await backend.onlyVideo();
  const shown = await poster.evaluate((img) => img.decode().then(() => [img.src, img.naturalWidth]));
  assert.deepEqual([new URL(shown[0]).pathname, shown[1]], [new URL(thumbnailUrl).pathname, 640]);
  const [{videoId}] = await backend.videos();
  await backend.assertStored(`videos/local/${videoId}.mp4`, video);
  assert.deepEqual(page.errors, []);

  await upload('broken.mp4');
  const {error} = await until('the video has failed', async () => (await backend.videos()).find((v) => v.error));
  await page.getByText(`broken.mp4: ${error.message}`).first().waitFor();

  await upload('notes.txt');
  await page.getByText('Failed to upload notes.txt').first().waitFor();
  const message = `This file isn't a video. Supported: ${FORMATS}. Leave the type out, or send the file's own, such as video/mp4.`;
  // The Dashboard has an Informer in each of its two panels.
  await page.locator(`.uppy-Informer [aria-label="${message}"]`).first().waitFor();
  if (process.env.SCREENSHOTS) await page.screenshot({path: join(process.env.SCREENSHOTS, 'uppy.png')});
});
