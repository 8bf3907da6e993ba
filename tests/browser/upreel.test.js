// The client module, web/upreel/upreel.js: first its helpers that need no browser, then the whole module in a browser.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {AwsClient} from 'aws4fetch';
import {folder, makeVideo, network, openPage, servePages, startBackend, until} from './harness.js';

const MiB = 2 ** 20;
const source = readFileSync(new URL('../../web/upreel/upreel.js', import.meta.url), 'utf8');
const videos = {};
let backOff, fingerprint, isDone, partSizeOf, planParts;

before(async (t) => {
  // No package.json marks the file as a module, so it is imported from a data URL.
  const module = `data:text/javascript,${encodeURIComponent(source)}`;
  ({backOff, fingerprint, isDone, partSizeOf, planParts} = await import(module));
  const dir = await folder(t);
  videos.small = await makeVideo(join(dir, 'small.mp4'));
  videos.medium = await makeVideo(join(dir, 'medium.mp4'), {size: 6 * MiB});
  videos.large = await makeVideo(join(dir, 'large.mp4'), {size: 72 * MiB});
});

test('parts cover the file and respect the limits of S3', () => {
  for (const size of [1, 8 * MiB, 8 * MiB + 1, 100 * MiB, 5 * 2 ** 30, 80_000 * MiB + 1, 5 * 2 ** 40]) {
    const parts = planParts(size);
    assert.ok(parts.length <= 10_000, `${parts.length} parts of ${size}`);
    assert.deepEqual([parts[0].start, parts.at(-1).end, parts.at(-1).number], [0, size, parts.length]);
    parts.forEach(({number, start, end}, i) => {
      assert.equal(number, i + 1);
      assert.ok(end > start && end - start <= 5 * 2 ** 30);
      if (i > 0) assert.equal(start, parts[i - 1].end);
      if (i < parts.length - 1) assert.ok(end - start === partSizeOf(size) && end - start >= 5 * MiB);
    });
  }
});

test('delays double up to 30 seconds, with 50 % jitter', () => {
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 0)), [250, 500, 1000, 15_000, 15_000]);
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.ok(new Set(Array.from({length: 20}, () => backOff(3))).size > 10);
});

test('a fingerprint depends on name, size, type and modification time', () => {
  const file = {name: 'a.mp4', size: 7, lastModified: 1, type: 'video/mp4'};
  assert.equal(fingerprint(file), fingerprint({...file}));
  for (const other of [{name: 'b.mp4'}, {size: 8}, {lastModified: 2}, {type: ''}]) {
    assert.notEqual(fingerprint({...file, ...other}), fingerprint(file));
  }
  assert.notEqual(fingerprint({...file, name: 'a', size: 11}), fingerprint({...file, name: 'a,1', size: 1}));
});

test('isDone considers a running transcoding only if renditions are wanted', () => {
  const video = (status, transcode) => ({status, transcode: transcode && {status: transcode}});
  for (const [value, done, withRenditions] of [
    [video('PROCESSING'), false, false],
    [video('FAILED'), true, true],
    [video('PROCESSED'), true, true],
    [video('PROCESSED', 'RUNNING'), true, false],
    [video('PROCESSED', 'DONE'), true, true],
    [video('PROCESSED', 'FAILED'), true, true],
  ]) {
    assert.deepEqual([isDone(value), isDone(value, true)], [done, withRenditions], JSON.stringify(value));
  }
});

// The following tests use a page whose origin differs from the API's, as in a deployment.

const PAGE = '<!doctype html><link rel=icon href=data:,><input type=file>';
/** Starts a backend and opens a cross-origin page that has loaded the module and chosen a file. */
async function start(t, video, ...args) {
  const backend = await startBackend(t, ...args);
  const site = await servePages(t, {'/index.html': PAGE, '/upreel.js': source});
  const page = await openPage(t, site);
  page.responses = [];
  page.on('response', (response) => page.responses.push(response));
  await choose(page, backend, video);
  return {backend, page, site};
}

async function choose(page, backend, video) {
  await page.evaluate(async (api) => Object.assign(window, await import('/upreel.js'), {api}), backend.api);
  await page.setInputFiles('input', video.path);
}

/** In the page, starts the upload `job`; `outcome` resolves to its result or error, `reports` collects its progress. */
function startUpload(page, headers) {
  return page.evaluate((headers) => {
    window.reports = [];
    const onProgress = ({error, ...progress}) => reports.push({...progress, error: error?.code});
    window.job = new Upload(document.querySelector('input').files[0], {api, headers, onProgress});
    window.outcome = job.start().catch(({name, code, status, message}) => ({name, code, status, message}));
  }, headers);
}

const outcome = (page) => page.evaluate(() => outcome);
const state = (page) => page.evaluate(() => job.state);
const waitForState = (page, wanted) => until(`the upload is ${wanted}`, async () => await state(page) === wanted);
const isPartUpload = (request) => request.method() === 'PUT' && request.url().includes('partNumber=');
const partNumber = (request) => Number(new URL(request.url()).searchParams.get('partNumber'));
/** Returns the numbers of the parts that S3 has accepted from the page. */
const acceptedParts = (page) => page.responses.filter((response) => isPartUpload(response.request()) && response.ok())
  .map((response) => partNumber(response.request())).sort((a, b) => a - b);
const isCreate = (request) => request.method() === 'POST' && request.url().endsWith('/s3/multipart');
/** Returns the number of multipart uploads that the page has created. */
const created = (page) => page.requests.filter(isCreate).length;

/** Lets requests for the given parts through and holds all others. Returns a function that releases them. */
async function holdParts(page, passing) {
  const held = [];
  const handler = (route) => (passing.includes(partNumber(route.request())) ? route.continue() : held.push(route));
  const match = (url) => url.searchParams.has('partNumber');
  await page.route(match, handler);
  return async () => {
    await page.unroute(match, handler);
    for (const route of held.splice(0)) await route.continue().catch(() => {});
  };
}

/** Returns the upload sessions in the page's localStorage. */
const sessions = (page) => page.evaluate(() => Object.values(localStorage).map((text) => JSON.parse(text)));
/** Returns the numbers of the stored parts of the page's upload. */
const storedParts = async (backend, page) => {
  const [{key, uploadId}] = await sessions(page);
  return (await backend.parts(key, uploadId))?.map((part) => part.PartNumber);
};

test('uploads a small file in one request; watch, list and remove work', async (t) => {
  const {backend, page} = await start(t, videos.small);
  const result = await page.evaluate(async () => {
    const seen = [];
    const {videoId} = await upload(document.querySelector('input').files[0], {api});
    const video = await watch(videoId, {api, onChange: ({status}) => seen.push(status)});
    const page = await list({api, limit: 1});
    await remove(videoId, {api});
    await remove(videoId, {api});
    const fields = (error) => [error instanceof UpreelError, error.status, error.code, error.message];
    const gone = await get(videoId, {api}).catch(fields);
    return {videoId, seen, video, listed: page.videos.map((video) => video.videoId), gone};
  });
  assert.equal(result.video.status, 'PROCESSED');
  assert.equal(result.seen.at(-1), 'PROCESSED');
  const order = ['UPLOADED', 'PROCESSING', 'PROCESSED'];
  assert.deepEqual(result.seen, order.flatMap((status) => result.seen.filter((seen) => seen === status)));
  assert.deepEqual(result.listed, [result.videoId]);
  assert.deepEqual(result.gone, [true, 404, 'NOT_FOUND', 'There is no such video.']);
  assert.deepEqual(await backend.videos(), []);
  assert.equal(page.requests.filter((request) => request.method() === 'POST').length, 1);
});

test('uploads up to 64 MiB in one PUT and reports progress', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  await network(page, {up: 2 * MiB});
  await startUpload(page);
  const {videoId} = await outcome(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.medium);
  const reports = await page.evaluate(() => reports);
  const last = reports.at(-1);
  assert.deepEqual([reports[0].state, last.state, last.sent], ['sending', 'stored', videos.medium.size]);
  const between = reports.filter(({sent, total}) => sent > 0 && sent < total);
  assert.ok(between.length > 1 && between.every((report, i) => !i || report.sent >= between[i - 1].sent));
  assert.ok(between.some(({speed, secondsLeft}) => speed > 0 && secondsLeft > 0), JSON.stringify(between));
});

test('uploads a large file in parts', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await startUpload(page);
  const {videoId} = await outcome(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(acceptedParts(page), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(await sessions(page), [], 'the session is deleted');
  assert.deepEqual(page.errors, []);
});

test('signs a new URL for a part whose URL has expired', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const keys = {accessKeyId: 'upreel', secretAccessKey: 'upreel-local'};
  const owner = new AwsClient({...keys, region: 'us-east-1', service: 's3'});
  const rejected = [];
  page.on('response', (response) => {
    if (isPartUpload(response.request()) && !response.ok()) rejected.push(response.status());
  });
  // The first URL is signed like the API's, but an hour ago. `times: 1` would remove the route during requests.
  let signings = 0;
  await page.route(/\/s3\/multipart\/[^/]+\/3\?/, async (route) => {
    signings += 1;
    if (signings > 1) return route.continue();
    const response = await (await route.fetch()).json();
    const url = new URL(response.url);
    for (const name of [...url.searchParams.keys()]) {
      if (name.startsWith('X-Amz-') && name !== 'X-Amz-Expires') url.searchParams.delete(name);
    }
    const datetime = new Date(Date.now() - 3600_000).toISOString().replace(/[:-]|\.\d+/g, '');
    const signed = await owner.sign(url, {method: 'PUT', aws: {signQuery: true, datetime}});
    return route.fulfill({json: {...response, url: signed.url}, headers: {'access-control-allow-origin': '*'}});
  });
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.deepEqual([rejected, signings], [[403], 2]);
  assert.deepEqual(acceptedParts(page), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('pauses and resumes without sending stored parts again', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const release = await holdParts(page, [1, 2, 3]);
  await startUpload(page);
  await until('three parts are stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 3);
  await page.evaluate(() => job.pause());
  await waitForState(page, 'paused');
  const before = acceptedParts(page).length;
  await release();
  assert.equal(acceptedParts(page).length, before, 'nothing is sent while paused');
  await page.evaluate(() => job.resume());
  const {videoId} = await outcome(page);
  for (const number of [1, 2, 3]) {
    assert.equal(acceptedParts(page).filter((accepted) => accepted === number).length, 1, `part ${number}`);
  }
  assert.equal(created(page), 1);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('after a reload, uploads the missing parts of the same file', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await holdParts(page, [1, 2, 5]);
  await startUpload(page);
  await until('three parts are stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 3);
  await page.reload();
  await page.unrouteAll();
  page.requests.length = page.responses.length = 0;
  await choose(page, backend, videos.large);
  const [entry, ...others] = await page.evaluate(() => interrupted({api}));
  assert.deepEqual([entry.name, entry.size, entry.sent, others], ['large.mp4', videos.large.size, 24 * MiB, []]);
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.equal(videoId, entry.videoId);
  assert.deepEqual(acceptedParts(page), [3, 4, 6, 7, 8, 9]);
  assert.equal(created(page), 0);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
});

test('discards uploads, and forgets deleted and expired ones', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const interrupt = async () => {
    await holdParts(page, [1]);
    await startUpload(page);
    await until('a part is stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 1);
    const [session] = await sessions(page);
    await page.reload();
    await page.unrouteAll();
    await choose(page, backend, videos.large);
    return session;
  };
  const first = await interrupt();
  await page.evaluate(async () => { for (const entry of await interrupted({api})) await discard(entry, {api}); });
  assert.equal(await backend.parts(first.key, first.uploadId), undefined);
  assert.deepEqual([await sessions(page), await backend.videos()], [[], []]);

  const second = await interrupt();
  await fetch(`${backend.api}/s3/multipart/${second.uploadId}?key=${second.key}`, {method: 'DELETE'});
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
  assert.deepEqual(await sessions(page), []);

  await interrupt();
  await page.evaluate(() => {
    const [[id, text]] = Object.entries(localStorage);
    localStorage.setItem(id, JSON.stringify({...JSON.parse(text), at: Date.now() - 25 * 3600_000}));
  });
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
  await startUpload(page);
  const {videoId} = await outcome(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('cancelling deletes the parts and the video', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await holdParts(page, [1, 2]);
  await startUpload(page);
  await until('two parts are stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 2);
  const [{key, uploadId}] = await sessions(page);
  assert.equal((await backend.videos()).length, 1);
  await page.evaluate(() => job.cancel());
  assert.equal((await outcome(page)).name, 'AbortError');
  assert.equal(await backend.parts(key, uploadId), undefined);
  assert.deepEqual([await backend.videos(), await sessions(page), await state(page)], [[], [], 'cancelled']);
});

test('an AbortSignal cancels an upload before and during its PUT', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  await network(page, {up: MiB});
  const result = await page.evaluate(async () => {
    const [file] = document.querySelector('input').files;
    const controller = new AbortController();
    const onProgress = ({sent}) => { if (sent > 0) controller.abort(); };
    const reasons = [];
    for (const signal of [controller.signal, AbortSignal.abort('too late')]) {
      await upload(file, {api, onProgress, signal}).catch((reason) => reasons.push(reason.name ?? reason));
    }
    return reasons;
  });
  assert.deepEqual(result, ['AbortError', 'too late']);
  await until('the video is deleted', async () => (await backend.videos()).length === 0);
});

test('waits while offline', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await network(page, {up: 24 * MiB});
  await startUpload(page);
  await until('more than 12 MiB are sent', () => page.evaluate(() => job.sent > 12 * 2 ** 20));
  await network(page, {offline: true});
  await waitForState(page, 'waiting');
  await network(page, {});
  const {videoId} = await outcome(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.ok((await page.evaluate(() => reports)).some(({error}) => ['NETWORK', 'OFFLINE'].includes(error)));
  assert.equal(created(page), 1);
});

test('repeats a request whose response was lost, without a second video', async (t) => {
  const {backend, page} = await start(t, videos.small);
  const loseResponse = (url) => page.route(url, async (route) => {
    await route.fetch();
    await route.abort();
  }, {times: 1});
  await loseResponse('**/upload');
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.equal((await backend.onlyVideo()).videoId, videoId);
  await backend.json('/videos');

  await page.setInputFiles('input', videos.large.path);
  await loseResponse('**/complete?*');
  await startUpload(page);
  const large = await outcome(page);
  await backend.assertStored(`videos/local/${large.videoId}.mp4`, videos.large);
  assert.equal((await backend.videos()).length, 2);
});

test('retries server errors, after the delay in Retry-After', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  const cors = {'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after'};
  const busy = {status: 503, headers: {...cors, 'retry-after': '1'}, json: {code: 'INTERNAL', detail: 'Busy.'}};
  await page.route('**/presign?*', (route) => route.fulfill(busy), {times: 1});
  const broken = {status: 500, headers: cors};
  await page.route((url) => url.pathname.startsWith('/uploads/'), (route) => route.fulfill(broken), {times: 1});
  const started = Date.now();
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.ok(Date.now() - started >= 1000);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.medium);
  const errors = (await page.evaluate(() => reports)).filter(({error}) => error).map(({error}) => error);
  assert.deepEqual(errors, ['INTERNAL', 'HTTP_500']);
});

test('reports why the server rejects a file, before sending it', async (t) => {
  const {backend, page} = await start(t, videos.medium, '--max-upload-bytes', String(5 * MiB));
  const message = `The video is too large. The limit is ${5 * MiB} bytes.`;
  const tooLarge = {name: 'UpreelError', code: 'TOO_LARGE', status: 413, message};
  await startUpload(page);
  assert.deepEqual(await outcome(page), tooLarge);
  await page.setInputFiles('input', videos.large.path);
  await startUpload(page);
  assert.deepEqual(await outcome(page), tooLarge);
  await page.setInputFiles('input', {name: 'notes.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video')});
  await startUpload(page);
  assert.equal((await outcome(page)).code, 'UNSUPPORTED_MEDIA');
  await startUpload(page, {'x-user': '../x'});
  assert.deepEqual([(await outcome(page)).status, (await outcome(page)).code], [401, 'UNAUTHORIZED']);
  assert.deepEqual(await backend.videos(), []);
  assert.ok(!page.requests.some((request) => request.url().startsWith(backend.s3)));
});

test('uploading a file in two tabs creates two separate videos', async (t) => {
  const {backend, page, site} = await start(t, videos.large);
  const release = await holdParts(page, [1]);
  await startUpload(page);
  await until('a part is stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 1);
  const other = await page.context().newPage();
  await other.goto(site);
  await choose(other, backend, videos.large);
  assert.deepEqual(await other.evaluate(() => interrupted({api})), [], 'a running upload is not listed');
  await startUpload(other);
  const second = await outcome(other);
  await release();
  const first = await outcome(page);
  assert.notEqual(first.videoId, second.videoId);
  for (const {videoId} of [first, second]) await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.equal((await backend.videos()).length, 2);
});
