// The harness itself: what the other files build on.

import assert from 'node:assert/strict';
import {join} from 'node:path';
import {test} from 'node:test';
import {folder, makeVideo, network, openPage, servePages, startBackend} from './harness.js';

test('a page on another port uploads a video that fills up with a free box', async (t) => {
  const backend = await startBackend(t);
  const site = await servePages(t, {'/index.html': '<!doctype html><input type=file>'});
  const video = await makeVideo(join(await folder(t), 'a.mp4'), {size: 6 << 20});
  assert.equal(video.size, 6 << 20);

  const page = await openPage(t, site);
  await page.setInputFiles('input', video.path);
  const key = await page.evaluate(async (api) => {
    const [file] = document.querySelector('input').files;
    const answer = await (await fetch(`${api}/presign?${new URLSearchParams({name: file.name, type: file.type})}`)).json();
    await fetch(answer.uploadUrl, {method: answer.method, headers: answer.headers, body: file});
    return answer.key;
  }, backend.api);
  await backend.assertStored(key, video);
  assert.equal((await backend.onlyVideo()).size, video.size);
  assert.deepEqual(page.errors, []);

  await network(page, {offline: true});
  const reach = (api) => fetch(`${api}/videos`).then((answer) => answer.status, () => 'unreachable');
  assert.equal(await page.evaluate(reach, backend.api), 'unreachable');
  await network(page, {});
  assert.equal(await page.evaluate(reach, backend.api), 200);
});
