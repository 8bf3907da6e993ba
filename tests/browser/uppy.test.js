// Unmodified Uppy against the backend, with each of the plugins and versions that the README documents.

import assert from 'node:assert/strict';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, describe, test} from 'node:test';
import {
  FORMATS, bundle, folder, makeVideo, network, openPage, servePages, startBackend, startProxy, until,
} from './harness.js';

const MB = 1 << 20;
const here = import.meta.dirname;

const VERSIONS = {'companion 5': 5, 'companion 6': 6, signRequest: 6};
/** Sends files of any size in parts of 5 MiB, at most two at a time, so that some are left after the first. */
const MULTIPART = {shouldUseMultipart: true, limit: 2};
const PARTS = [1, 2, 3, 4, 5, 6];

const scripts = {};
const videos = {};
let text;

before(async (t) => {
  const dir = await folder(t);
  videos.small = await makeVideo(join(dir, 'small clip.mp4'));
  videos.overApi = await makeVideo(join(dir, 'over.mp4'), {size: 4_650_000});
  videos.middle = await makeVideo(join(dir, 'middle.mp4'), {size: 30 * MB - 3});
  videos.large = await makeVideo(join(dir, 'large.mp4'), {size: 104 * MB + 5});
  text = join(dir, 'notes.txt');
  await writeFile(text, 'no video');
  for (const version of [5, 6]) scripts[version] = await bundle(join(here, `uppy-${version}/page.js`));
});

/** Starts a backend and a page with an Uppy that uses the given plugin and waits for a file. */
async function setUp(t, plugin, {args = [], version = VERSIONS[plugin], proxy, ...options} = {}) {
  const backend = await startBackend(t, ...args);
  const html = '<!doctype html><meta charset=utf-8><body><script type=module src=page.js></script>';
  const site = await servePages(t, {'/index.html': html, ...scripts[version]});
  const page = await openPage(t, site, {proxy});
  const start = () => page.evaluate((options) => window.start(options), {plugin, api: backend.api, ...options});
  await start();
  return {backend, page, start, choose: (file) => page.setInputFiles('input', file.path ?? file)};
}

/** Waits until the upload ends and returns `{successful, failed}`. */
async function outcome(page) {
  return (await page.waitForFunction(() => window.outcome)).jsonValue();
}

/** Checks that the file is uploaded and stored unchanged, and that its video is PROCESSED with a poster. */
async function assertUploaded({backend, page}, file) {
  const {successful, failed} = await outcome(page);
  assert.deepEqual([successful.length, failed], [1, []]);
  await backend.assertStored(successful[0].key, file);
  const video = await backend.onlyVideo();
  assert.equal(video.size, file.size);
  assert.ok(successful[0].key.includes(video.videoId));
  return video;
}

/** Returns the part number of a request that uploads a part, otherwise undefined. */
function partNumberOf(request) {
  if (request.method() !== 'PUT') return undefined;
  return Number(new URL(request.url()).searchParams.get('partNumber')) || undefined;
}

/** Calls a method of Uppy as soon as a part of the file is uploaded. */
function afterOnePart(page, method) {
  return page.evaluate((method) => void uppy.once('s3-multipart:part-uploaded', () => uppy[method]()), method);
}

/** Runs in the page. Returns whether Golden Retriever, of either version, has stored the upload and the file. */
async function isStored([uploadId, file]) {
  const resultOf = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const database = await resultOf(indexedDB.open('uppy-blobs'));
  const all = (store) =>
    database.objectStoreNames.contains(store) ? resultOf(database.transaction(store).objectStore(store).getAll()) : [];
  const state = localStorage['uppyState:uppy'] ?? JSON.stringify(await all('metadata'));
  const files = await all('files');
  database.close();
  return state.includes(uploadId) && (!file || files.length === 1);
}

/** Retries the upload, as Uppy's Retry button does. */
function retry(page) {
  return page.evaluate(() => ((window.outcome = undefined), void uppy.retryAll()));
}

/** Checks that none of these parts has been sent since `page.requests` was cleared. */
function assertNotResent(page, parts) {
  const resent = page.requests.map(partNumberOf).filter((part) => parts.includes(part));
  assert.deepEqual(resent, []);
}

/** Checks that the upload has failed, and that Uppy shows this message to the user. */
async function assertFailed(page, message) {
  const {failed} = await outcome(page);
  const notices = await page.evaluate(() => window.notices.map((notice) => notice.details));
  assert.deepEqual([failed, notices.at(-1)], [[message], message]);
}

/** Replaces the first URL for this part by an expired one. */
function expireOnce({backend, page}, number) {
  const matches = (request) =>
    request.url().includes(`/${number}?`) || (request.postData() && request.postDataJSON().partNumber === number);
  let done = false;
  return page.route(/\/s3\/multipart\/|\/presign$/, async (route) => {
    if (done || !matches(route.request())) return route.continue();
    done = true;
    const response = await route.fetch();
    const json = await response.json();
    return route.fulfill({response, json: {...json, url: await backend.expiredUrl('PUT', json.url)}});
  });
}

const waitForIdle = (page) => until('no request is in progress', () => page.pending.size === 0);

for (const plugin of Object.keys(VERSIONS)) {
  describe(`Uppy, ${plugin}`, () => {
    test('uploads a small file in one request', async (t) => {
      const upload = await setUp(t, plugin);
      await upload.choose(videos.small);
      const video = await assertUploaded(upload, videos.small);
      assert.equal(video.filename, 'small clip.mp4');
      assert.deepEqual(upload.page.errors, []);
    });

    test('uploads a file of more than 100 MiB in parts', async (t) => {
      const upload = await setUp(t, plugin);
      // A request ends with its response here: `requestfinished` may come after the next part has been requested.
      let peak = 0;
      const sending = new Set();
      upload.page.on('request', (request) => {
        if (partNumberOf(request)) sending.add(request);
        peak = Math.max(peak, sending.size);
      });
      upload.page.on('response', (response) => sending.delete(response.request()));
      await upload.choose(videos.large);
      await assertUploaded(upload, videos.large);
      assert.deepEqual(upload.page.errors, []);
      assert.equal(upload.page.requests.filter(partNumberOf).length, 21);
      // Version 6 uploads the parts of a file sequentially (S3Uploader.ts, `#uploadRemainingParts`).
      if (VERSIONS[plugin] === 5) assert.ok(peak > 1, `${peak}`);
      else assert.equal(peak, 1);
    });

    test('pauses and resumes without sending a part twice', async (t) => {
      const upload = await setUp(t, plugin, MULTIPART);
      const {backend, page, choose} = upload;
      await afterOnePart(page, 'pauseAll');
      await choose(videos.middle);
      const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
      await waitForIdle(page);
      const before = (await backend.parts(key, uploadId)).map((part) => part.PartNumber);
      assert.ok(before.length >= 1 && before.length < PARTS.length, `${before}`);
      page.requests.length = 0;

      await page.evaluate(() => void uppy.resumeAll());
      await assertUploaded(upload, videos.middle);
      const after = page.requests.map(partNumberOf).filter(Boolean);
      assert.deepEqual([...before, ...after].sort(), PARTS);
    });

    for (const [description, retriever] of [
      ['the file has to be chosen again', {}],
      // Golden Retriever keeps files of at most 10 MiB by default (IndexedDBStore.ts, `maxFileSize`).
      ['the file is restored too', {indexedDB: {maxFileSize: 1 << 30}}],
    ]) {
      test(`resumes after a reload with Golden Retriever: ${description}`, async (t) => {
        const upload = await setUp(t, plugin, {...MULTIPART, retriever});
        const {backend, page, start, choose} = upload;
        await afterOnePart(page, 'pauseAll');
        await choose(videos.middle);
        await page.evaluate(() => void uppy.upload());
        const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
        await waitForIdle(page);
        const before = (await backend.parts(key, uploadId)).map((part) => part.PartNumber);
        assert.ok(before.length >= 1 && before.length < PARTS.length, `${before}`);
        const stored = () => page.evaluate(isStored, [uploadId, Boolean(retriever.indexedDB)]);
        await until('Golden Retriever has stored the upload', stored);
        page.requests.length = 0;

        await page.reload();
        await start();
        const restored = await page.waitForFunction(() => uppy.getFiles()[0]);
        const ghost = await restored.evaluate((file) => file.isGhost);
        assert.equal(ghost, !retriever.indexedDB);
        if (ghost) await choose(videos.middle);
        await page.evaluate(() => void uppy.emit('restore-confirmed'));
        await assertUploaded(upload, videos.middle);
        const after = page.requests.map(partNumberOf).filter(Boolean);
        assert.deepEqual([...before, ...after].sort(), PARTS);
      });
    }

    test('cancelling deletes the parts from S3', async (t) => {
      const {backend, page, choose} = await setUp(t, plugin, MULTIPART);
      await afterOnePart(page, 'cancelAll');
      await choose(videos.middle);
      const {key, uploadId} = await (await page.waitForFunction(() => window.upload)).jsonValue();
      await until('the upload is deleted', async () => (await backend.parts(key, uploadId)) === undefined);
      await waitForIdle(page);
      assert.equal((await backend.object(key)).status, 404);
    });

    test('recovers from a connection that is lost during a part', async (t) => {
      const {proxy, disconnect, reconnect} = await startProxy(t);
      const upload = await setUp(t, plugin, {...MULTIPART, proxy});
      const {page, choose} = upload;
      // At this speed a part takes more than a second.
      await network(page, {up: 4 * MB});
      await choose(videos.middle);
      await page.waitForFunction(() => window.parts.length > 0);
      const lost = page.waitForEvent('requestfailed', partNumberOf);
      await page.waitForRequest(partNumberOf);
      await network(page, {up: 4 * MB, offline: true});
      disconnect();
      await lost;
      await waitForIdle(page);
      const before = await page.evaluate(() => window.parts.slice());
      assert.ok(before.length < PARTS.length);
      page.requests.length = 0;

      reconnect();
      await network(page, {});
      // Version 6 does not retry a part that fails offline (S3Client.ts, `shouldRetry`): the user has to.
      if (VERSIONS[plugin] === 6) {
        assert.equal((await outcome(page)).failed.length, 1);
        await retry(page);
      }
      await assertUploaded(upload, videos.middle);
      assertNotResent(page, before);
    });

    test('recovers from an expired URL of a part', async (t) => {
      const upload = await setUp(t, plugin, MULTIPART);
      const {backend, page, choose} = upload;
      const rejected = [];
      page.on('response', (response) => {
        if (response.status() === 403) rejected.push(partNumberOf(response.request()));
      });
      await expireOnce(upload, 3);
      await choose(videos.middle);
      // Version 5 requests a new URL. Version 6 does not (S3mini.ts, `signed`): the user has to retry.
      if (VERSIONS[plugin] === 6) {
        assert.equal((await outcome(page)).failed.length, 1);
        const before = await page.evaluate(() => window.parts.slice());
        page.requests.length = 0;
        await retry(page);
        await outcome(page);
        assertNotResent(page, before);
      }
      await assertUploaded(upload, videos.middle);
      assert.deepEqual(rejected, [3]);
      assert.equal((await backend.videos()).length, 1);
    });

    test('rejects a file that is not a video', async (t) => {
      const {backend, page, choose} = await setUp(t, plugin);
      await choose(text);
      const message = `This file isn't a video. Supported: ${FORMATS}. Leave the type out, or send the type of the file, such as video/mp4.`;
      // Companion 6 shows only the status (CompanionS3.ts, `_fetch`).
      await assertFailed(page, plugin === 'companion 6' ? 'Companion request failed: Unsupported Media Type' : message);
      assert.deepEqual(await backend.videos(), []);
    });

    test('rejects a multipart upload that is too large', async (t) => {
      const args = ['--max-upload-bytes', `${12 * MB}`];
      const {backend, page, choose} = await setUp(t, plugin, {...MULTIPART, args});
      await choose(videos.middle);
      const message = 'The video is too large. The limit is 12582912 bytes.';
      await assertFailed(page, plugin === 'companion 6' ? 'Companion request failed: Payload Too Large' : message);
      const upload = await page.evaluate(() => window.upload);
      // signRequest passes the size, so the file is rejected before a part is sent.
      assert.equal(upload === undefined, plugin === 'signRequest');
      if (upload) assert.equal(await backend.parts(upload.key, upload.uploadId), undefined);
    });

    test('rejects a single-request upload that is too large', async (t) => {
      const {page, choose} = await setUp(t, plugin, {args: ['--max-upload-bytes', '1000']});
      await choose(videos.small);
      const toS3 = (request) => new URL(request.url()).pathname.startsWith('/uploads/');
      if (plugin === 'signRequest') {
        await assertFailed(page, 'The video is too large. The limit is 1000 bytes.');
        assert.deepEqual(page.requests.filter(toS3), []);
      } else {
        // The POST policy limits the size and S3 rejects the form. Uppy does not show S3's message.
        assert.equal((await outcome(page)).failed.length, 1);
        const [sent] = page.requests.filter(toS3);
        assert.equal((await sent.response()).status(), 400);
      }
    });
  });
}

test('Uppy, companion 5, sends configured headers', async (t) => {
  const {page, choose} = await setUp(t, 'companion 5', {headers: {'x-user': 'ann'}});
  await choose(videos.small);
  const {successful} = await outcome(page);
  assert.match(successful[0].key, /^videos\/ann\//);
});

test('Uppy, signRequest, sends a file as a form if `fields` is set', async (t) => {
  const upload = await setUp(t, 'signRequest', {fields: true});
  await upload.choose(videos.small);
  await assertUploaded(upload, videos.small);
  const sent = upload.page.requests.filter((request) => new URL(request.url()).pathname.startsWith('/uploads'));
  assert.deepEqual(sent.map((request) => request.method()), ['POST']);
});

for (const version of [5, 6]) {
  describe(`Uppy, xhr-upload ${version}`, () => {
    test('uploads a small file through the API', async (t) => {
      const upload = await setUp(t, 'xhr', {version});
      await upload.choose(videos.small);
      const {successful, failed} = await outcome(upload.page);
      assert.deepEqual(failed, []);
      const video = await upload.backend.onlyVideo();
      assert.deepEqual(
        [video.videoId, video.filename, video.size],
        [successful[0].videoId, 'small clip.mp4', videos.small.size],
      );
      await upload.backend.assertStored(new URL(successful[0].url).pathname.replace('/uploads/', ''), videos.small);
      assert.deepEqual(upload.page.errors, []);
    });

    test('shows why the server rejects a file, and does not retry', async (t) => {
      const {backend, page, choose} = await setUp(t, 'xhr', {version, args: ['--max-upload-bytes', '1000']});
      for (const [file, message] of [
        [text, `This file isn't a supported video. Supported: ${FORMATS}.`],
        [videos.small, 'The video is too large. The limit is 1000 bytes.'],
      ]) {
        page.requests.length = 0;
        await choose(file);
        await assertFailed(page, message);
        assert.equal(page.requests.length, 1);
        await page.evaluate(() => ((window.outcome = undefined), uppy.cancelAll()));
      }
      assert.deepEqual(await backend.videos(), []);
    });

    test('a file too large for the API is referred to /presign', async (t) => {
      const {page, choose} = await setUp(t, 'xhr', {version});
      await choose(videos.overApi);
      const hint = 'Request a URL from GET /presign, and send the video there with PUT.';
      await assertFailed(page, `The video is too large for /upload, which accepts up to 4613734 bytes. ${hint}`);
    });
  });
}
