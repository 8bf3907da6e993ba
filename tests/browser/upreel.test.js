// The module that others copy: web/upreel/upreel.js. What needs no browser first, then all of it in one.

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
  // No package says that the file is a module.
  ({backOff, fingerprint, isDone, partSizeOf, planParts} = await import(`data:text/javascript,${encodeURIComponent(source)}`));
  const made = await folder(t);
  videos.small = await makeVideo(join(made, 'small.mp4'));
  videos.medium = await makeVideo(join(made, 'medium.mp4'), {size: 6 * MiB});
  videos.large = await makeVideo(join(made, 'large.mp4'), {size: 72 * MiB});
});

test('parts cover the file, are large enough for S3, and never too many', () => {
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

test('waits double up to half a minute, and half of each is chance', () => {
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 0)), [250, 500, 1000, 15_000, 15_000]);
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.ok(new Set(Array.from({length: 20}, () => backOff(3))).size > 10);
});

test('a fingerprint tells files apart by what can be known without reading them', () => {
  const file = {name: 'a.mp4', size: 7, lastModified: 1, type: 'video/mp4'};
  assert.equal(fingerprint(file), fingerprint({...file}));
  for (const other of [{name: 'b.mp4'}, {size: 8}, {lastModified: 2}, {type: ''}]) {
    assert.notEqual(fingerprint({...file, ...other}), fingerprint(file));
  }
  assert.notEqual(fingerprint({...file, name: 'a', size: 11}), fingerprint({...file, name: 'a,1', size: 1}));
});

test('renditions are waited for by those who want them, and only if there are to be any', () => {
  const video = (status, rendition) => ({status, transcode: rendition && {status: rendition}});
  for (const [one, done, withRenditions] of [
    [video('PROCESSING'), false, false],
    [video('FAILED'), true, true],
    [video('PROCESSED'), true, true],
    [video('PROCESSED', 'RUNNING'), true, false],
    [video('PROCESSED', 'DONE'), true, true],
    [video('PROCESSED', 'FAILED'), true, true],
  ]) {
    assert.deepEqual([isDone(one), isDone(one, true)], [done, withRenditions], JSON.stringify(one));
  }
});

// From here on: a page on another port than the API, as when deployed.

const PAGE = '<!doctype html><link rel=icon href=data:,><input type=file>';
/** A backend, and a page of another site with the module and a chosen file. */
async function start(t, video, ...args) {
  const backend = await startBackend(t, ...args);
  const site = await servePages(t, {'/index.html': PAGE, '/upreel.js': source});
  const page = await openPage(t, site);
  page.answered = [];
  page.on('response', (response) => page.answered.push(response));
  await choose(page, backend, video);
  return {backend, page, site};
}

async function choose(page, backend, video) {
  await page.evaluate(async (api) => Object.assign(window, await import('/upreel.js'), {api}), backend.api);
  await page.setInputFiles('input', video.path);
}

/** Starts an upload as `it`; how it ends is in `ended`, what it told in `told`. */
function begin(page, headers) {
  return page.evaluate((headers) => {
    window.told = [];
    const onProgress = ({error, ...progress}) => told.push({...progress, error: error?.code});
    window.it = new Upload(document.querySelector('input').files[0], {api, headers, onProgress});
    window.ended = it.start().catch(({name, code, status, message}) => ({name, code, status, message}));
  }, headers);
}

const ended = (page) => page.evaluate(() => ended);
const state = (page) => page.evaluate(() => it.state);
const is = (page, wanted) => until(`it is ${wanted}`, async () => await state(page) === wanted);
const isPart = (request) => request.method() === 'PUT' && request.url().includes('partNumber=');
const number = (request) => Number(new URL(request.url()).searchParams.get('partNumber'));
/** The parts that were sent and taken. */
const parts = (page) => page.answered.filter((response) => isPart(response.request()) && response.ok())
  .map((response) => number(response.request())).sort((a, b) => a - b);
const begins = (request) => request.method() === 'POST' && request.url().endsWith('/s3/multipart');
const begun = (page) => page.requests.filter(begins).length;

/** Lets these parts through and holds the others; returns what lets them go on. */
async function hold(page, let_through) {
  const held = [];
  const handler = (route) => (let_through.includes(number(route.request())) ? route.continue() : held.push(route));
  const match = (url) => url.searchParams.has('partNumber');
  await page.route(match, handler);
  return async () => {
    await page.unroute(match, handler);
    for (const route of held.splice(0)) await route.continue().catch(() => {});
  };
}

/** The upload that the page remembers. */
const remembered = (page) => page.evaluate(() => Object.values(localStorage).map((text) => JSON.parse(text)));
const stored = async (backend, page) => {
  const [{key, uploadId}] = await remembered(page);
  return (await backend.parts(key, uploadId))?.map((part) => part.PartNumber);
};

test('a small file goes up in one request; watch, list and remove', async (t) => {
  const {backend, page} = await start(t, videos.small);
  const result = await page.evaluate(async () => {
    const seen = [];
    const {videoId} = await upload(document.querySelector('input').files[0], {api});
    const video = await watch(videoId, {api, onChange: ({status}) => seen.push(status)});
    const page = await list({api, limit: 1});
    await remove(videoId, {api});
    await remove(videoId, {api});
    const words = (error) => [error instanceof UpreelError, error.status, error.code, error.message];
    const gone = await get(videoId, {api}).catch(words);
    return {videoId, seen, video, listed: page.videos.map((one) => one.videoId), gone};
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

test('up to 64 MiB go up in one PUT, with progress', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  await network(page, {up: 12 * MiB});
  await begin(page);
  const {videoId} = await ended(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.medium);
  const told = await page.evaluate(() => told);
  assert.deepEqual([told[0].state, told.at(-1).state, told.at(-1).sent], ['sending', 'stored', videos.medium.size]);
  const between = told.filter(({sent, total}) => sent > 0 && sent < total);
  assert.ok(between.length > 1 && between.every((one, i) => !i || one.sent >= between[i - 1].sent));
  assert.ok(between.some(({speed, secondsLeft}) => speed > 0 && secondsLeft > 0), JSON.stringify(between));
});

test('a large one goes up in parts', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await begin(page);
  const {videoId} = await ended(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(parts(page), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(await remembered(page), [], 'nothing to remember any more');
  assert.deepEqual(page.errors, []);
});

test('a part whose URL has expired gets another', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const keys = {accessKeyId: 'upreel', secretAccessKey: 'upreel-local'};
  const owner = new AwsClient({...keys, region: 'us-east-1', service: 's3'});
  const refused = [];
  page.on('response', (response) => isPart(response.request()) && !response.ok() && refused.push(response.status()));
  // Signed as the API does it, an hour ago. (A route for one time would be taken away with requests under way.)
  let signings = 0;
  await page.route(/\/s3\/multipart\/[^/]+\/3\?/, async (route) => {
    signings += 1;
    if (signings > 1) return route.continue();
    const answer = await (await route.fetch()).json();
    const url = new URL(answer.url);
    const signature = [...url.searchParams.keys()].filter((name) => name.startsWith('X-Amz-') && name !== 'X-Amz-Expires');
    for (const name of signature) url.searchParams.delete(name);
    const datetime = new Date(Date.now() - 3600_000).toISOString().replace(/[:-]|\.\d+/g, '');
    const signed = await owner.sign(url, {method: 'PUT', aws: {signQuery: true, datetime}});
    return route.fulfill({json: {...answer, url: signed.url}, headers: {'access-control-allow-origin': '*'}});
  });
  await begin(page);
  const {videoId} = await ended(page);
  assert.deepEqual([refused, signings], [[403], 2]);
  assert.deepEqual(parts(page), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('it pauses and goes on, and sends no part twice that is there', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const go = await hold(page, [1, 2, 3]);
  await begin(page);
  await until('three parts are there', async () => (await stored(backend, page).catch(() => []))?.length === 3);
  await page.evaluate(() => it.pause());
  await is(page, 'paused');
  const before = parts(page).length;
  await go();
  assert.equal(parts(page).length, before, 'nothing is sent while it is paused');
  await page.evaluate(() => it.resume());
  const {videoId} = await ended(page);
  for (const number of [1, 2, 3]) assert.equal(parts(page).filter((one) => one === number).length, 1, `part ${number}`);
  assert.equal(begun(page), 1);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('after a reload the same file goes on with the parts that are missing', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await hold(page, [1, 2, 5]);
  await begin(page);
  await until('three parts are there', async () => (await stored(backend, page).catch(() => []))?.length === 3);
  await page.reload();
  await page.unrouteAll();
  page.requests.length = page.answered.length = 0;
  await choose(page, backend, videos.large);
  const [entry, ...others] = await page.evaluate(() => interrupted({api}));
  assert.deepEqual([entry.name, entry.size, entry.sent, others], ['large.mp4', videos.large.size, 24 * MiB, []]);
  await begin(page);
  const {videoId} = await ended(page);
  assert.equal(videoId, entry.videoId);
  assert.deepEqual(parts(page), [3, 4, 6, 7, 8, 9]);
  assert.equal(begun(page), 0);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
});

test('what is gone or old is forgotten, and what is discarded leaves nothing', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const leave = async () => {
    await hold(page, [1]);
    await begin(page);
    await until('a part is there', async () => (await stored(backend, page).catch(() => []))?.length === 1);
    const [trace] = await remembered(page);
    await page.reload();
    await page.unrouteAll();
    await choose(page, backend, videos.large);
    return trace;
  };
  const first = await leave();
  await page.evaluate(async () => { for (const one of await interrupted({api})) await discard(one, {api}); });
  assert.equal(await backend.parts(first.key, first.uploadId), undefined);
  assert.deepEqual([await remembered(page), await backend.videos()], [[], []]);

  const second = await leave();
  await fetch(`${backend.api}/s3/multipart/${second.uploadId}?key=${second.key}`, {method: 'DELETE'});
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
  assert.deepEqual(await remembered(page), []);

  await leave();
  await page.evaluate(() => {
    const [[id, text]] = Object.entries(localStorage);
    localStorage.setItem(id, JSON.stringify({...JSON.parse(text), at: Date.now() - 25 * 3600_000}));
  });
  assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
  await begin(page);
  const {videoId} = await ended(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('to cancel leaves no part and no row', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await hold(page, [1, 2]);
  await begin(page);
  await until('two parts are there', async () => (await stored(backend, page).catch(() => []))?.length === 2);
  const [{key, uploadId}] = await remembered(page);
  assert.equal((await backend.videos()).length, 1);
  await page.evaluate(() => it.cancel());
  assert.equal((await ended(page)).name, 'AbortError');
  assert.equal(await backend.parts(key, uploadId), undefined);
  assert.deepEqual([await backend.videos(), await remembered(page), await state(page)], [[], [], 'cancelled']);
});

test('an AbortSignal cancels, while one PUT is under way and before it began', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  await network(page, {up: MiB});
  const result = await page.evaluate(async () => {
    const [file] = document.querySelector('input').files;
    const control = new AbortController();
    const onProgress = ({sent}) => { if (sent > 0) control.abort(); };
    const reasons = [];
    for (const signal of [control.signal, AbortSignal.abort('too late')]) {
      await upload(file, {api, onProgress, signal}).catch((reason) => reasons.push(reason.name ?? reason));
    }
    return reasons;
  });
  assert.deepEqual(result, ['AbortError', 'too late']);
  await until('the row is gone', async () => (await backend.videos()).length === 0);
});

test('it waits while there is no connection', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await network(page, {up: 24 * MiB});
  await begin(page);
  await until('some of it is sent', () => page.evaluate(() => it.sent > 12 * 2 ** 20));
  await network(page, {offline: true});
  await is(page, 'waiting');
  await network(page, {});
  const {videoId} = await ended(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.ok((await page.evaluate(() => told)).some(({error}) => ['NETWORK', 'OFFLINE'].includes(error)));
  assert.equal(begun(page), 1);
});

test('an answer that was lost is asked for again, and there is one video', async (t) => {
  const {backend, page} = await start(t, videos.small);
  const lose = (url) => page.route(url, async (route) => {
    await route.fetch();
    await route.abort();
  }, {times: 1});
  await lose('**/upload');
  await begin(page);
  const {videoId} = await ended(page);
  assert.equal((await backend.onlyVideo()).videoId, videoId);
  await backend.json('/videos');

  await page.setInputFiles('input', videos.large.path);
  await lose('**/complete?*');
  await begin(page);
  const large = await ended(page);
  await backend.assertStored(`videos/local/${large.videoId}.mp4`, videos.large);
  assert.equal((await backend.videos()).length, 2);
});

test('Retry-After is waited for, and a server that recovers is enough', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  const cors = {'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after'};
  const busy = {status: 503, headers: {...cors, 'retry-after': '1'}, json: {code: 'INTERNAL', detail: 'Busy.'}};
  await page.route('**/presign?*', (route) => route.fulfill(busy), {times: 1});
  const broken = {status: 500, headers: cors};
  await page.route((url) => url.pathname.startsWith('/uploads/'), (route) => route.fulfill(broken), {times: 1});
  const started = Date.now();
  await begin(page);
  const {videoId} = await ended(page);
  assert.ok(Date.now() - started >= 1000);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.medium);
  const waits = (await page.evaluate(() => told)).filter(({error}) => error).map(({error}) => error);
  assert.deepEqual(waits, ['INTERNAL', 'HTTP_500']);
});

test('what the server refuses is said in its words, before anything is sent', async (t) => {
  const {backend, page} = await start(t, videos.medium, '--max-upload-bytes', String(5 * MiB));
  const message = `A video has at most ${5 * MiB} bytes here.`;
  const tooLarge = {name: 'UpreelError', code: 'TOO_LARGE', status: 413, message};
  await begin(page);
  assert.deepEqual(await ended(page), tooLarge);
  await page.setInputFiles('input', videos.large.path);
  await begin(page);
  assert.deepEqual(await ended(page), tooLarge);
  await page.setInputFiles('input', {name: 'notes.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video')});
  await begin(page);
  assert.equal((await ended(page)).code, 'UNSUPPORTED_MEDIA');
  await begin(page, {'x-user': '../x'});
  assert.deepEqual([(await ended(page)).status, (await ended(page)).code], [401, 'UNAUTHORIZED']);
  assert.deepEqual(await backend.videos(), []);
  assert.ok(!page.requests.some((request) => request.url().startsWith(backend.s3)));
});

test('the same file in two tabs is two videos, and neither takes the other\'s parts', async (t) => {
  const {backend, page, site} = await start(t, videos.large);
  const go = await hold(page, [1]);
  await begin(page);
  await until('a part is there', async () => (await stored(backend, page).catch(() => []))?.length === 1);
  const other = await page.context().newPage();
  await other.goto(site);
  await choose(other, backend, videos.large);
  assert.deepEqual(await other.evaluate(() => interrupted({api})), [], 'it is not interrupted');
  await begin(other);
  const second = await ended(other);
  await go();
  const first = await ended(page);
  assert.notEqual(first.videoId, second.videoId);
  for (const {videoId} of [first, second]) await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.equal((await backend.videos()).length, 2);
});
