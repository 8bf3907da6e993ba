// The client module, web/upreel/upreel.js, in a browser. package.test.js tests what needs none.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {folder, makeVideo, network, openPage, servePages, startBackend, startProxy, until} from './harness.js';

const MiB = 2 ** 20;
const source = readFileSync(new URL('../../web/upreel/upreel.js', import.meta.url), 'utf8');
const videos = {};
/** The numbers of the large video's parts. */
const PARTS = Array.from({length: 15}, (_, i) => i + 1);

before(async (t) => {
  const dir = await folder(t);
  videos.small = await makeVideo(join(dir, 'small.mp4'));
  videos.medium = await makeVideo(join(dir, 'medium.mp4'), {size: 6 * MiB});
  videos.large = await makeVideo(join(dir, 'large.mp4'), {size: 72 * MiB});
});

// The page's origin differs from the API's, as in a deployment.

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

test('uploads up to 16 MiB in one PUT and reports progress', async (t) => {
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
  assert.deepEqual(acceptedParts(page), PARTS);
  assert.deepEqual(await sessions(page), [], 'the session is deleted');
  assert.deepEqual(page.errors, []);
});

test('details arrive with an upload of each kind, and can be changed and found', async (t) => {
  const details = {title: 'Été & co', description: 'a\nb', tags: ['x', 'y z'], metadata: {album: '7', note: 'a=b,c'}};
  const detailsOf = ({title, description, tags, metadata}) => ({title, description, tags, metadata});
  const {backend, page} = await start(t, videos.small);
  for (const video of [videos.small, videos.medium, videos.large]) {
    await choose(page, backend, video);
    const {videoId} = await page.evaluate((details) => upload(document.querySelector('input').files[0], {api, details}), details);
    assert.deepEqual(detailsOf(await page.evaluate((id) => get(id, {api}), videoId)), details, video.path);
  }
  const [{videoId}] = await backend.videos();
  const changed = await page.evaluate((id) => update(id, {title: null, metadata: {album: null}}, {api}), videoId);
  assert.deepEqual(detailsOf(changed), {...details, title: undefined, metadata: {note: 'a=b,c'}});
  const find = (query) => page.evaluate(async (query) => (await list({api, ...query})).videos.length, query);
  assert.deepEqual(await Promise.all([{title: 'ÉTÉ'}, {tag: 'X'}, {tag: 'x', title: 'z'}, {}].map(find)), [2, 3, 0, 3]);
  const stale = await page.evaluate((id) => update(id, {title: 'b'}, {api, ifMatch: '"0.x"'}).catch(({code}) => code), videoId);
  assert.equal(stale, 'PRECONDITION_FAILED');
});

test('captions can be added and removed', async (t) => {
  const {backend, page} = await start(t, videos.small);
  await choose(page, backend, videos.small);
  const {videoId} = await page.evaluate(() => upload(document.querySelector('input').files[0], {api}));
  const put = (language, text, options) => page.evaluate(([id, language, text, options]) => (
    putCaptions(id, language, new File([text], 'a.srt'), {api, ...options}).catch(({code}) => code)
  ), [videoId, language, text, options]);
  const {captions: [{url, ...track}]} = await put('deu', '1\n00:00:01,000 --> 00:00:02,000\nGr\u00fc\u00dfe', {label: 'D&D', kind: 'captions'});
  assert.deepEqual(track, {language: 'de', label: 'D&D', kind: 'captions'});
  assert.match(await (await fetch(url)).text(), /\nGr\u00fc\u00dfe\n$/);
  assert.equal(await put('de', 'no captions'), 'INVALID_CAPTIONS');
  assert.equal(await put('de/..', 'WEBVTT'), 'INVALID_REQUEST');
  for (const _ of '12') await page.evaluate((id) => removeCaptions(id, 'de', {api}), videoId);
  assert.equal((await page.evaluate((id) => get(id, {api}), videoId)).captions, undefined);
});

test('signs a new URL for a part whose URL has expired', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const rejected = [];
  page.on('response', (response) => {
    if (isPartUpload(response.request()) && !response.ok()) rejected.push(response.status());
  });
  // `times: 1` would remove the route during requests.
  let signings = 0;
  await page.route(/\/s3\/multipart\/[^/]+\/3\?/, async (route) => {
    signings += 1;
    if (signings > 1) return route.continue();
    const response = await (await route.fetch()).json();
    const url = await backend.expiredUrl('PUT', response.url);
    return route.fulfill({json: {...response, url}, headers: {'access-control-allow-origin': '*'}});
  });
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.deepEqual([rejected, signings], [[403], 2]);
  assert.deepEqual(acceptedParts(page), PARTS);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('a pause finishes the parts in progress, and nothing is sent twice', async (t) => {
  const {backend, page} = await start(t, videos.large);
  const release = await holdParts(page, [1, 2, 3]);
  await startUpload(page);
  await until('three parts are stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 3);
  const isFourth = (request) => isPartUpload(request) && partNumber(request) === 4;
  await until('the fourth part is being sent', () => [...page.pending].some(isFourth));
  await page.evaluate(() => job.pause());
  assert.equal(await state(page), 'pausing');
  await release();
  await waitForState(page, 'paused');
  assert.deepEqual(acceptedParts(page), [1, 2, 3, 4]);
  assert.equal(await page.evaluate(() => job.sent), 20 * MiB, 'the progress is kept');
  await page.evaluate(() => job.resume());
  const {videoId} = await outcome(page);
  assert.deepEqual(acceptedParts(page), PARTS);
  assert.equal(created(page), 1);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('a pause lets a file that is sent in one request finish', async (t) => {
  const {backend, page} = await start(t, videos.medium);
  await network(page, {up: 2 * MiB});
  await startUpload(page);
  await until('something is sent', () => page.evaluate(() => job.sent > 0));
  await page.evaluate(() => job.pause());
  await network(page, {});
  const {videoId} = await outcome(page);
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.medium);
  assert.deepEqual([await state(page), (await page.evaluate(() => reports)).some(({state}) => state === 'pausing')], ['stored', true]);
});

test('after a reload, uploads the missing parts of the same file', async (t) => {
  const {backend, page} = await start(t, videos.large);
  await holdParts(page, [1, 2, 3]);
  await startUpload(page);
  await until('three parts are stored', async () => (await storedParts(backend, page).catch(() => []))?.length === 3);
  await page.reload();
  await page.unrouteAll();
  page.requests.length = page.responses.length = 0;
  await choose(page, backend, videos.large);
  const [entry, ...others] = await page.evaluate(() => interrupted({api}));
  assert.deepEqual([entry.name, entry.size, entry.sent, others], ['large.mp4', videos.large.size, 15 * MiB, []]);
  await startUpload(page);
  const {videoId} = await outcome(page);
  assert.equal(videoId, entry.videoId);
  assert.deepEqual(acceptedParts(page), PARTS.slice(3));
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

  await page.setInputFiles('input', videos.small.path);
  await page.route('**/upload', (route) => route.fulfill({...busy, status: 429}), {times: 1});
  const again = Date.now();
  await startUpload(page);
  await outcome(page);
  assert.ok(Date.now() - again >= 1000, 'also of a form');
  assert.deepEqual(page.errors.filter((error) => !/status of (429|500|503)/.test(error)), [], 'S3 does not expose all headers');
});

test('a local page that is not allowed is told what to do', async (t) => {
  const {backend, page, site} = await start(t, videos.small, '--allow-origin', 'http://127.0.0.1:1');
  const hint = `The server cannot be reached. Start it so that it allows this page: make run ARGS="--allow-origin ${site}"`;
  const messages = await page.evaluate(async () => {
    const waiting = new Promise((resolve) => {
      const onProgress = ({error}) => { if (error) resolve(error.message); };
      new Upload(document.querySelector('input').files[0], {api, onProgress}).start();
    });
    return [await list({api}).catch(({message}) => message), await waiting];
  });
  assert.deepEqual(messages, [hint, hint]);
  assert.deepEqual(await backend.videos(), []);
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
  await page.setInputFiles('input', {name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('PK\x03\x04')});
  page.requests.length = 0;
  await startUpload(page);
  const {code, message: words} = await outcome(page);
  assert.equal(code, 'UNSUPPORTED_MEDIA');
  assert.match(words, /^ZIP is not supported\. Supported: MP4, /);
  assert.equal(page.requests.length, 0, 'nothing is sent');
  await page.setInputFiles('input', videos.small.path);
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

test('every interrupted upload is listed, and resumed or sent again as the same video', async (t) => {
  const {backend, page} = await start(t, videos.small);
  for (const [name, url, sent] of [['small', '**/upload', 0], ['medium', '**/uploads/**', 0], ['large', /partNumber=4/, 15 * MiB]]) {
    await page.setInputFiles('input', videos[name].path);
    await page.route(url, () => {});
    await startUpload(page);
    const isHeld = (request) => ['PUT', 'POST'].includes(request.method()) && !request.url().endsWith('/s3/multipart');
    await until('the file is being sent', () => [...page.pending].some(isHeld));
    if (sent) await until('parts are stored', async () => (await storedParts(backend, page)).length === 3);
    await page.reload();
    page.pending.clear();
    await page.unrouteAll();
    await choose(page, backend, videos[name]);
    const entries = await page.evaluate(() => interrupted({api}));
    assert.deepEqual(entries.map((entry) => [entry.name, entry.sent]), [[`${name}.mp4`, sent]]);
    await startUpload(page);
    const {videoId} = await outcome(page);
    await backend.assertStored(`videos/local/${videoId}.mp4`, videos[name]);
    assert.deepEqual((await backend.videos()).map((video) => video.videoId), [videoId], 'no second video');
    assert.deepEqual(await sessions(page), []);
    await fetch(`${backend.api}/videos/${videoId}`, {method: 'DELETE'});
  }
});

test('an upload whose response was lost in a reload is not interrupted', async (t) => {
  const {backend, page} = await start(t, videos.small);
  for (const name of ['small', 'medium', 'large']) {
    await page.setInputFiles('input', videos[name].path);
    // The responses arrive, but the page does not get to see the last one.
    await page.evaluate((isLarge) => {
      if (!isLarge) Object.defineProperty(XMLHttpRequest.prototype, 'onload', {set() {}});
      const {fetch} = window;
      window.fetch = async (request) => {
        const response = await fetch(request);
        return request.url.includes('/complete?') ? new Promise(() => {}) : response;
      };
    }, name === 'large');
    await startUpload(page);
    const isStored = ({filename, status}) => filename === `${name}.mp4` && status !== 'PENDING';
    await until('the video is stored', async () => (await backend.videos()).some(isStored));
    await page.reload();
    await choose(page, backend, videos[name]);
    assert.equal((await sessions(page)).length, 1);
    assert.deepEqual(await page.evaluate(() => interrupted({api})), []);
    assert.deepEqual(await sessions(page), []);
  }
  assert.equal((await backend.videos()).length, 3);
});

for (const size of [55, 150]) {
  test(`an interruption of ${size} MiB at one half costs at most a tenth of the file`, async (t) => {
    const video = await makeVideo(join(await folder(t), 'half.mp4'), {size: size * MiB});
    const backend = await startBackend(t);
    const proxy = await startProxy(t);
    const site = await servePages(t, {'/index.html': PAGE, '/upreel.js': source});
    const page = await openPage(t, site, proxy);
    /** Chooses the file and uploads it; `act` is done once half of it is sent. */
    const startHalf = async (act) => {
      await choose(page, backend, video);
      await page.evaluate(([act, half]) => {
        window.half = new Promise((resolve) => { window.arrived = resolve; });
        const onProgress = ({sent}) => {
          if (sent < half || !window.arrived) return;
          window.arrived();
          window.arrived = undefined;
          if (act === 'pause') job.pause();
          if (act === 'reload') location.reload();
        };
        window.job = new Upload(document.querySelector('input').files[0], {api, onProgress});
        window.outcome = job.start();
      }, [act, video.size / 2]);
    };
    const interruptions = {
      async pause() {
        await startHalf('pause');
        await waitForState(page, 'paused');
        await page.evaluate(() => job.resume());
      },
      async reload() {
        const loaded = page.waitForEvent('load');
        await startHalf('reload').catch(() => {});
        await loaded;
        await choose(page, backend, video);
        assert.equal((await page.evaluate(() => interrupted({api}))).length, 1);
        await startHalf('nothing');
      },
      async offline() {
        // Cuts the connections after a number of bytes, so that the test does not depend on the speed.
        proxy.cutAfter(video.size / 2);
        await startHalf('nothing');
        await waitForState(page, 'waiting');
        await network(page, {offline: true});
        await page.waitForFunction(() => !navigator.onLine);
        proxy.reconnect();
        await network(page, {});
      },
      async 'expired URL'() {
        let signed = 0;
        await page.route(/\/s3\/multipart\/[^/]+\/\d+\?/, async (route) => {
          const json = await (await fetch(route.request().url())).json();
          signed += 1;
          if (signed === 4) json.url = await backend.expiredUrl('PUT', json.url);
          await route.fulfill({json, headers: {'access-control-allow-origin': '*'}});
        });
        await startHalf('nothing');
        await outcome(page);
        await page.unrouteAll();
        assert.ok(signed > 4);
      },
    };
    for (const [name, interrupt] of Object.entries(interruptions)) {
      await page.goto(site);
      proxy.received = 0;
      await interrupt();
      const {videoId} = await outcome(page);
      await backend.assertStored(`videos/local/${videoId}.mp4`, video);
      const ratio = proxy.received / video.size;
      t.diagnostic(`${name}: ${ratio.toFixed(3)} x the file`);
      assert.ok(ratio >= 1 && ratio <= 1.1, `${name}: ${ratio} x the file`);
      await fetch(`${backend.api}/videos/${videoId}`, {method: 'DELETE'});
    }
  });
}
