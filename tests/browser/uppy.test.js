// Stock Uppy against the backend, each way that the README names: with the packages as npm has them.

import assert from 'node:assert/strict';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, describe, test} from 'node:test';
import {bundle, folder, makeVideo, network, openPage, servePages, startBackend, until} from './harness.js';

const MB = 1 << 20;
const here = import.meta.dirname;

const VERSIONS = {'companion 5': 5, 'companion 6': 6, signRequest: 6};
/** All of a file in parts of 5 MiB, whatever its size. */
const IN_PARTS = {shouldUseMultipart: true};

const scripts = {};
const videos = {};
let text;

before(async (t) => {
  const made = await folder(t);
  videos.small = await makeVideo(join(made, 'small clip.mp4'));
  videos.middle = await makeVideo(join(made, 'middle.mp4'), {size: 40 * MB - 3});
  videos.large = await makeVideo(join(made, 'large.mp4'), {size: 104 * MB + 5});
  text = join(made, 'notes.txt');
  await writeFile(text, 'no video');
  for (const version of [5, 6]) scripts[version] = await bundle(join(here, `uppy-${version}/page.js`));
});

/** A backend, and a page of one of the ways whose Uppy waits for a file. */
async function setUp(t, way, {args = [], version = VERSIONS[way], ...options} = {}) {
  const backend = await startBackend(t, ...args);
  const html = '<!doctype html><meta charset=utf-8><body><script type=module src=page.js></script>';
  const page = await openPage(t, await servePages(t, {'/index.html': html, ...scripts[version]}));
  const start = () => page.evaluate((options) => window.start(options), {way, api: backend.api, ...options});
  await start();
  return {backend, page, start, choose: (file) => page.setInputFiles('input', file.path ?? file)};
}

/** What came of an upload: `{successful, failed}`. */
async function outcome(page) {
  return (await page.waitForFunction(() => window.outcome)).jsonValue();
}

/** Checks that the one file is up: the object is the file, and the video is PROCESSED with a poster. */
async function assertDone({backend, page}, file) {
  const {successful, failed} = await outcome(page);
  assert.deepEqual([successful.length, failed], [1, []]);
  await backend.assertStored(successful[0].key, file);
  const video = await backend.onlyVideo();
  assert.equal(video.size, file.size);
  assert.ok(successful[0].key.includes(video.videoId));
  return video;
}

/** The part's number of a request that sends one. */
function partOf(request) {
  return request.method() === 'PUT' ? Number(new URL(request.url()).searchParams.get('partNumber')) || undefined : undefined;
}

/** Has Uppy do something as soon as a part of the file is up. */
function afterOnePart(page, what) {
  return page.evaluate((what) => void uppy.once('s3-multipart:part-uploaded', () => uppy[what]()), what);
}

/** In the page: whether Golden Retriever has stored the upload, wherever its version does. */
function remembered(uploadId) {
  if (localStorage['uppyState:uppy']?.includes(uploadId)) return true;
  return new Promise((resolve) => {
    const open = indexedDB.open('uppy-blobs');
    open.onsuccess = () => {
      const database = open.result;
      if (!database.objectStoreNames.contains('metadata')) return resolve(false);
      const get = database.transaction('metadata').objectStore('metadata').getAll();
      get.onsuccess = () => resolve(JSON.stringify(get.result).includes(uploadId));
    };
  });
}

const idle = (page) => until('no request is under way', () => page.pending.size === 0);

for (const way of Object.keys(VERSIONS)) {
  describe(`Uppy, ${way}`, () => {
    test('a small file in one piece', async (t) => {
      const upload = await setUp(t, way);
      await upload.choose(videos.small);
      const video = await assertDone(upload, videos.small);
      assert.equal(video.filename, 'small clip.mp4');
      assert.deepEqual(upload.page.errors, []);
    });

    test('a file of more than 100 MiB in parts', async (t) => {
      const upload = await setUp(t, way);
      let most = 0;
      upload.page.on('request', () => {
        most = Math.max(most, [...upload.page.pending].filter(partOf).length);
      });
      await upload.choose(videos.large);
      await assertDone(upload, videos.large);
      assert.deepEqual(upload.page.errors, []);
      assert.equal(upload.page.requests.filter(partOf).length, 21);
      // Version 6 sends the parts of one file one after the other (S3Uploader.ts, `#uploadRemainingParts`).
      if (VERSIONS[way] === 5) assert.ok(most > 1, `${most}`);
      else assert.equal(most, 1);
    });

    test('pause and resume send no part twice', async (t) => {
      const upload = await setUp(t, way, IN_PARTS);
      const {backend, page, choose} = upload;
      await afterOnePart(page, 'pauseAll');
      await choose(videos.middle);
      const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
      await idle(page);
      const before = (await backend.parts(key, uploadId)).map((part) => part.PartNumber);
      assert.ok(before.length >= 1 && before.length < 8, `${before}`);
      page.requests.length = 0;

      await page.evaluate(() => void uppy.resumeAll());
      await assertDone(upload, videos.middle);
      const after = page.requests.map(partOf).filter(Boolean);
      assert.deepEqual([...before, ...after].sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
    });

    for (const [what, retriever] of [
      ['the file chosen again', {}],
      // Golden Retriever keeps files of at most 10 MiB by default (IndexedDBStore.ts, `maxFileSize`).
      ['nothing asked', {indexedDB: {maxFileSize: 1 << 30}}],
    ]) {
      test(`reload and resume with Golden Retriever, ${what}`, async (t) => {
        const upload = await setUp(t, way, {...IN_PARTS, retriever});
        const {backend, page, start, choose} = upload;
        await afterOnePart(page, 'pauseAll');
        await choose(videos.middle);
        await page.evaluate(() => void uppy.upload());
        const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
        await idle(page);
        const before = (await backend.parts(key, uploadId)).map((part) => part.PartNumber);
        assert.ok(before.length >= 1 && before.length < 8, `${before}`);
        await until('Golden Retriever has it', () => page.evaluate(remembered, uploadId));
        page.requests.length = 0;

        await page.reload();
        await start();
        const restored = await page.waitForFunction(() => uppy.getFiles()[0]);
        const ghost = await restored.evaluate((file) => file.isGhost);
        assert.equal(ghost, !retriever.indexedDB);
        if (ghost) await choose(videos.middle);
        await page.evaluate(() => void uppy.emit('restore-confirmed'));
        await assertDone(upload, videos.middle);
        const after = page.requests.map(partOf).filter(Boolean);
        assert.deepEqual([...before, ...after].sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
      });
    }

    test('cancel removes the parts from S3', async (t) => {
      const {backend, page, choose} = await setUp(t, way, IN_PARTS);
      await afterOnePart(page, 'cancelAll');
      await choose(videos.middle);
      const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
      await until('the upload is gone', async () => (await backend.parts(key, uploadId)) === undefined);
      await idle(page);
      assert.equal((await backend.object(key)).status, 404);
    });

    test('offline for a while', async (t) => {
      const upload = await setUp(t, way, IN_PARTS);
      const {page, choose} = upload;
      await network(page, {up: 10 * MB});
      await choose(videos.middle);
      await page.waitForFunction(() => window.parts.length > 0);
      await network(page, {offline: true});
      await page.waitForFunction(() => !navigator.onLine);
      await idle(page);
      console.error('DBG', way, page.errors, await page.evaluate(() => JSON.stringify([window.outcome, parts])));
      await network(page, {});
      await assertDone(upload, videos.middle);
    });

    test('a part whose URL has expired', async (t) => {
      const upload = await setUp(t, way, IN_PARTS);
      const {backend, page, choose} = upload;
      let expired = 0;
      await page.route(/\/s3\/multipart\/[^/]+\/3\?|\/presign$/, async (route) => {
        const request = route.request();
        const third = request.url().includes('/s3/') || request.postDataJSON()?.partNumber === 3;
        if (!third || expired) return route.continue();
        expired += 1;
        const response = await route.fetch();
        const json = await response.json();
        return route.fulfill({response, json: {...json, url: await backend.expired('PUT', json.url)}});
      });
      await choose(videos.middle);
      await page.waitForFunction(() => window.outcome);
      console.error('DBG', way, page.errors, await page.evaluate(() => JSON.stringify([window.outcome, parts])));
      await assertDone(upload, videos.middle);
    });

    test('what is no video is refused in our words', async (t) => {
      const {page, choose} = await setUp(t, way);
      await choose(text);
      const {failed} = await outcome(page);
      console.error('DBG', way, failed, await page.evaluate(() => JSON.stringify([window.notices])));
      assert.equal(failed.length, 1);
    });

    test('what is too large is refused in our words', async (t) => {
      const {page, choose} = await setUp(t, way, {...IN_PARTS, args: ['--max-upload-bytes', `${MB}`]});
      await choose(videos.middle);
      const {failed} = await outcome(page);
      console.error('DBG', way, failed, await page.evaluate(() => JSON.stringify([window.notices])));
      assert.equal(failed.length, 1);
    });
  });
}
