// examples/uppy as it stands, with its own packages: what somebody who copies it would see.

import assert from 'node:assert/strict';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {test} from 'node:test';
import {bundle, folder, makeVideo, openPage, servePages, startBackend, until} from './harness.js';

const example = join(import.meta.dirname, '../../examples/uppy');

test("the example's Dashboard shows posters, and what was refused and why", async (t) => {
  const backend = await startBackend(t);
  const made = await folder(t);
  const video = await makeVideo(join(made, 'harbour.mp4'));
  await writeFile(join(made, 'notes.txt'), 'no video');
  await writeFile(join(made, 'broken.mp4'), 'no video either');

  // Only the address of the backend is another.
  const files = await bundle(join(example, 'main.js'));
  const script = files['/main.js'].replace('http://127.0.0.1:3000', backend.api);
  assert.notEqual(script, files['/main.js']);
  const site = await servePages(t, {'/dist/main.js': script, '/dist/main.css': files['/main.css']}, example);
  const page = await openPage(t, site, {viewport: {width: 900, height: 700}});

  const upload = async (name) => {
    if ((await page.locator('.uppy-Dashboard-input').count()) === 0) await page.getByText('Add more').click();
    await page.setInputFiles('.uppy-Dashboard-input >> nth=0', join(made, name));
    await page.click('.uppy-StatusBar-actionBtn--upload');
  };
  await upload('harbour.mp4');
  const poster = page.locator('.uppy-Dashboard-Item-previewImg');
  await poster.waitFor();
  const {thumbnailUrl} = await backend.onlyVideo();
  const shown = await poster.evaluate((picture) => picture.decode().then(() => [picture.src, picture.naturalWidth]));
  assert.deepEqual([new URL(shown[0]).pathname, shown[1]], [new URL(thumbnailUrl).pathname, 640]);
  const [{videoId}] = await backend.videos();
  await backend.assertStored(`videos/local/${videoId}.mp4`, video);
  assert.deepEqual(page.errors, []);

  await upload('broken.mp4');
  const reason = (await until('it has failed', async () => (await backend.videos()).find((v) => v.error))).error.message;
  await page.getByText(`broken.mp4: ${reason}`).first().waitFor();

  await upload('notes.txt');
  await page.getByText('Failed to upload notes.txt').first().waitFor();
  const words = "This type is no video. Leave it out, or send the file's own, such as video/mp4.";
  // The Dashboard has two Informers, for both of its panels.
  await page.locator(`.uppy-Informer [aria-label="${words}"]`).first().waitFor();
  if (process.env.SCREENSHOTS) await page.screenshot({path: join(process.env.SCREENSHOTS, 'uppy.png')});
});
