// Stock Uppy against the backend, each way that the README names: with the packages as npm has them.

import assert from 'node:assert/strict';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, describe, test} from 'node:test';
import {bundle, folder, makeVideo, network, openPage, servePages, startBackend, startLine, until} from './harness.js';

const MB = 1 << 20;
const here = import.meta.dirname;

const VERSIONS = {'companion 5': 5, 'companion 6': 6, signRequest: 6};
/** A file in parts of 5 MiB whatever its size, two at a time at most: so some are left when the first is up. */
const IN_PARTS = {shouldUseMultipart: true, limit: 2};
const PARTS = [1, 2, 3, 4, 5, 6];

const scripts = {};
const videos = {};
let text;

before(async (t) => {
  const made = await folder(t);
  videos.small = await makeVideo(join(made, 'small clip.mp4'));
  videos.overApi = await makeVideo(join(made, 'over.mp4'), {size: 4_650_000});
  videos.middle = await makeVideo(join(made, 'middle.mp4'), {size: 30 * MB - 3});
  videos.large = await makeVideo(join(made, 'large.mp4'), {size: 104 * MB + 5});
  text = join(made, 'notes.txt');
  await writeFile(text, 'no video');
  for (const version of [5, 6]) scripts[version] = await bundle(join(here, `uppy-${version}/page.js`));
});

/** A backend, and a page of one of the ways whose Uppy waits for a file. */
async function setUp(t, way, {args = [], version = VERSIONS[way], line, ...options} = {}) {
  const backend = await startBackend(t, ...args);
  const html = '<!doctype html><meta charset=utf-8><body><script type=module src=page.js></script>';
  const site = await servePages(t, {'/index.html': html, ...scripts[version]});
  const page = await openPage(t, site, {proxy: line?.proxy});
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

/** In the page: whether Golden Retriever has stored the upload, wherever its version does, and the file. */
async function remembered([uploadId, file]) {
  const answer = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const database = await answer(indexedDB.open('uppy-blobs'));
  const all = (store) =>
    database.objectStoreNames.contains(store) ? answer(database.transaction(store).objectStore(store).getAll()) : [];
  const state = localStorage['uppyState:uppy'] ?? JSON.stringify(await all('metadata'));
  const files = await all('files');
  database.close();
  return state.includes(uploadId) && (!file || files.length === 1);
}

/** Presses Retry. */
function retry(page) {
  return page.evaluate(() => ((window.outcome = undefined), void uppy.retryAll()));
}

/** Checks that none of these parts has been sent since the page's requests were forgotten. */
function assertNoneAgain(page, parts) {
  const again = page.requests.map(partOf).filter((part) => parts.includes(part));
  assert.deepEqual(again, []);
}

/** Checks that Uppy gave the file up, and that it shows these words to the user. */
async function assertRefused(page, words) {
  const {failed} = await outcome(page);
  const notices = await page.evaluate(() => window.notices.map((notice) => notice.details));
  assert.deepEqual([failed, notices.at(-1)], [[words], words]);
}

/** Has the first URL for this part be one that S3 takes no more. */
function expireOnce({backend, page}, number) {
  const asks = (request) =>
    request.url().includes(`/${number}?`) || (request.postData() && request.postDataJSON().partNumber === number);
  let done = false;
  return page.route(/\/s3\/multipart\/|\/presign$/, async (route) => {
    if (done || !asks(route.request())) return route.continue();
    done = true;
    const response = await route.fetch();
    const json = await response.json();
    return route.fulfill({response, json: {...json, url: await backend.expired('PUT', json.url)}});
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
      assert.ok(before.length >= 1 && before.length < PARTS.length, `${before}`);
      page.requests.length = 0;

      await page.evaluate(() => void uppy.resumeAll());
      await assertDone(upload, videos.middle);
      const after = page.requests.map(partOf).filter(Boolean);
      assert.deepEqual([...before, ...after].sort(), PARTS);
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
        assert.ok(before.length >= 1 && before.length < PARTS.length, `${before}`);
        await until('Golden Retriever has it', () => page.evaluate(remembered, [uploadId, Boolean(retriever.indexedDB)]));
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
        assert.deepEqual([...before, ...after].sort(), PARTS);
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

    test('offline in the middle of a part, and back', async (t) => {
      const line = await startLine(t);
      const upload = await setUp(t, way, {...IN_PARTS, line});
      const {page, choose} = upload;
      // A part takes more than a second.
      await network(page, {up: 4 * MB});
      await choose(videos.middle);
      await page.waitForFunction(() => window.parts.length > 0);
      const lost = page.waitForEvent('requestfailed', partOf);
      await page.waitForRequest(partOf);
      await network(page, {up: 4 * MB, offline: true});
      line.cut();
      await lost;
      await idle(page);
      const before = await page.evaluate(() => window.parts.slice());
      assert.ok(before.length < PARTS.length);
      page.requests.length = 0;

      line.mend();
      await network(page, {});
      // Version 6 gives the part up when it fails offline (S3Client.ts, `shouldRetry`), and waits for Retry.
      if (VERSIONS[way] === 6) {
        assert.equal((await outcome(page)).failed.length, 1);
        await retry(page);
      }
      await assertDone(upload, videos.middle);
      assertNoneAgain(page, before);
    });

    test('a part whose URL has expired', async (t) => {
      const upload = await setUp(t, way, IN_PARTS);
      const {backend, page, choose} = upload;
      const refused = [];
      page.on('response', (response) => {
        if (response.status() === 403) refused.push(partOf(response.request()));
      });
      await expireOnce(upload, 3);
      await choose(videos.middle);
      // Version 5 asks for another URL; 6 does not (S3mini.ts, `signed`), and waits for Retry.
      if (VERSIONS[way] === 6) {
        assert.equal((await outcome(page)).failed.length, 1);
        const before = await page.evaluate(() => window.parts.slice());
        page.requests.length = 0;
        await retry(page);
        await outcome(page);
        assertNoneAgain(page, before);
      }
      await assertDone(upload, videos.middle);
      assert.deepEqual(refused, [3]);
      assert.equal((await backend.videos()).length, 1);
    });

    test('what is no video is refused', async (t) => {
      const {backend, page, choose} = await setUp(t, way);
      await choose(text);
      const ours = "This type is no video. Leave it out, or send the file's own, such as video/mp4.";
      // It shows the status only (CompanionS3.ts, `_fetch`).
      await assertRefused(page, way === 'companion 6' ? 'Companion request failed: Unsupported Media Type' : ours);
      assert.deepEqual(await backend.videos(), []);
    });

    test('parts that are too large together are refused', async (t) => {
      const {backend, page, choose} = await setUp(t, way, {...IN_PARTS, args: ['--max-upload-bytes', `${12 * MB}`]});
      await choose(videos.middle);
      const ours = 'A video has at most 12582912 bytes here.';
      await assertRefused(page, way === 'companion 6' ? 'Companion request failed: Payload Too Large' : ours);
      const upload = await page.evaluate(() => window.upload);
      // signRequest is told the size, so not a byte of it is sent.
      assert.equal(upload === undefined, way === 'signRequest');
      if (upload) assert.equal(await backend.parts(upload.key, upload.uploadId), undefined);
    });

    test('a file in one piece that is too large is refused', async (t) => {
      const {page, choose} = await setUp(t, way, {args: ['--max-upload-bytes', '1000']});
      await choose(videos.small);
      const toS3 = (request) => new URL(request.url()).pathname.startsWith('/uploads/');
      if (way === 'signRequest') {
        await assertRefused(page, 'A video has at most 1000 bytes here.');
        assert.deepEqual(page.requests.filter(toS3), []);
      } else {
        // The form holds the limit, and S3 refuses; Uppy shows none of its words.
        assert.equal((await outcome(page)).failed.length, 1);
        const [sent] = page.requests.filter(toS3);
        assert.equal((await sent.response()).status(), 400);
      }
    });
  });
}

test('Uppy, companion 5, sends the headers that it is given', async (t) => {
  const {page, choose} = await setUp(t, 'companion 5', {headers: {'x-user': 'ann'}});
  await choose(videos.small);
  const {successful} = await outcome(page);
  assert.match(successful[0].key, /^videos\/ann\//);
});

test('Uppy, signRequest, sends a file as a form where `fields` asks for one', async (t) => {
  const upload = await setUp(t, 'signRequest', {fields: true});
  await upload.choose(videos.small);
  await assertDone(upload, videos.small);
  const sent = upload.page.requests.filter((request) => new URL(request.url()).pathname.startsWith('/uploads'));
  assert.deepEqual(sent.map((request) => request.method()), ['POST']);
});

for (const version of [5, 6]) {
  describe(`Uppy, xhr-upload ${version}`, () => {
    test('a small file through the API', async (t) => {
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

    test('what is refused is refused in our words, and sent once', async (t) => {
      const {backend, page, choose} = await setUp(t, 'xhr', {version, args: ['--max-upload-bytes', '1000']});
      for (const [file, words] of [
        [text, 'These bytes are no video that is supported: MP4, MOV, WebM, MKV, AVI, MPEG-TS, MPEG-PS, FLV, OGG, 3GP or WMV.'],
        [videos.small, 'A video has at most 1000 bytes here.'],
      ]) {
        page.requests.length = 0;
        await choose(file);
        await assertRefused(page, words);
        assert.equal(page.requests.length, 1);
        await page.evaluate(() => ((window.outcome = undefined), uppy.cancelAll()));
      }
      assert.deepEqual(await backend.videos(), []);
    });

    test('a file that is too large for the API is sent elsewhere', async (t) => {
      const {page, choose} = await setUp(t, 'xhr', {version});
      await choose(videos.overApi);
      const where = 'Ask GET /presign for a URL and PUT a larger one there.';
      await assertRefused(page, `A video sent to /upload has at most 4613734 bytes. ${where}`);
    });
  });
}
