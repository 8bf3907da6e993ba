// Tests of the harness that the other files use.

import assert from 'node:assert/strict';
import {join} from 'node:path';
import {test} from 'node:test';
import {folder, makeVideo, network, openPage, servePages, startBackend} from './harness.js';

test('a cross-origin page uploads a padded video and can be taken offline', async (t) => {
  const backend = await startBackend(t);
  const site = await servePages(t, {'/index.html': '<!doctype html><input type=file>'});
  const video = await makeVideo(join(await folder(t), 'a.mp4'), {size: 6 << 20});
  assert.equal(video.size, 6 << 20);

  const page = await openPage(t, site);
  await page.setInputFiles('input', video.path);
  const key = await page.evaluate(async (api) => {
    const [file] = document.querySelector('input').files;
    const query = new URLSearchParams({name: file.name, type: file.type});
    const {uploadUrl, method, headers, key} = await (await fetch(`${api}/presign?${query}`)).json();
    await fetch(uploadUrl, {method, headers, body: file});
    return key;
  }, backend.api);
  await backend.assertStored(key, video);
  assert.equal((await backend.onlyVideo()).size, video.size);
  assert.deepEqual(page.errors, []);

  await network(page, {offline: true});
  const statusOf = (api) => fetch(`${api}/videos`).then((response) => response.status, () => 'unreachable');
  assert.equal(await page.evaluate(statusOf, backend.api), 'unreachable');
  await network(page, {});
  assert.equal(await page.evaluate(statusOf, backend.api), 200);
});
