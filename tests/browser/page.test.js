// The page of the local backend: uploads, the list of videos and playback of originals.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {accessibility, folder, makeVideo, network, openPage, startBackend, until, waitForControls} from './harness.js';

const MiB = 2 ** 20;
/** A network on which the large video takes 17 seconds, so that a test can act during its upload. */
const SLOW = {up: 6 * MiB};
/** The numbers of the large video's parts. */
const PARTS = Array.from({length: 21}, (_, i) => i + 1);
const videos = {};
let hevc;

before(async (t) => {
  const dir = await folder(t);
  videos.small = await makeVideo(join(dir, 'small.mp4'));
  videos.medium = await makeVideo(join(dir, 'medium.mp4'), {size: 12 * MiB});
  videos.large = await makeVideo(join(dir, 'large.mp4'), {size: 104 * MiB + 5});
  hevc = join(dir, 'phone.mkv');
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25:duration=1'];
  const codec = ['-c:v', 'libx265', '-x265-params', 'log-level=error'];
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', ...source, ...codec, hevc]);
});

/** Starts a backend and opens its page. `page.sent` collects the numbers of the parts that S3 has stored. */
async function start(t, {args = [], ...options} = {}) {
  const backend = await startBackend(t, ...args);
  const page = await openPage(t, backend.api, options);
  page.sent = [];
  page.on('response', (response) => {
    const number = new URL(response.url()).searchParams.get('partNumber');
    if (number && response.ok()) page.sent.push(Number(number));
  });
  // Confirm the dialog that appears when the page is left during an upload.
  page.on('dialog', (dialog) => dialog.accept());
  return {backend, page};
}

const choose = (page, ...files) => page.setInputFiles('#file', files.map((file) => file.path ?? file));
const card = (page, name) => page.locator('.card', {has: page.locator('h3', {hasText: name})});
const waitForState = (page, name, state) => card(page, name).and(page.locator(`[data-state="${state}"]`)).waitFor();
const click = (page, name, button) => card(page, name).getByRole('button', {name: button}).click();
const text = (page, name, selector) => card(page, name).locator(selector).textContent();
const sessions = (page) => page.evaluate(() => Object.values(localStorage).map((text) => JSON.parse(text)));

/**
 * Chooses a file, lets requests for the given parts through and holds all others. Returns once those parts are stored.
 * The requests are held before the file is chosen, so that no other part is sent however slow the machine is.
 */
async function uploadParts(page, file, passing) {
  const match = (url) => url.searchParams.has('partNumber');
  const number = (route) => Number(new URL(route.request().url()).searchParams.get('partNumber'));
  const held = [];
  await page.route(match, (route) => (passing.includes(number(route)) ? route.continue() : held.push(route)));
  await choose(page, file);
  await until('the parts are stored', async () => {
    const [session] = await sessions(page);
    return session && passing.length === page.sent.length && held.length > 0;
  });
}

test('uploads a small file, scrubs its storyboard, plays and deletes it', async (t) => {
  const {backend, page} = await start(t, {reducedMotion: 'reduce'});
  await page.getByText('No videos yet').waitFor();
  await choose(page, videos.small);
  await waitForState(page, 'small.mp4', 'done');
  const {videoId} = await backend.onlyVideo();
  const poster = card(page, 'small.mp4').locator('img');
  await until('the poster is shown', () => poster.evaluate((img) => img.naturalWidth > 0));
  assert.match(await text(page, 'small.mp4', '.details'), /0:02.*640×360.*H\.264/);

  const scrub = card(page, 'small.mp4').getByRole('slider');
  await scrub.focus();
  await page.keyboard.press('End');
  await until('a storyboard tile is shown', () => scrub.evaluate((el) => el.classList.contains('shown')));

  await click(page, 'small.mp4', 'Play');
  const time = () => page.locator('video').evaluate((video) => video.currentTime);
  await until('the video plays', async () => await time() > 0.3);
  const seekBar = page.getByRole('slider', {name: 'Seek'});
  await seekBar.focus();
  await page.keyboard.press('Home');
  await until('the video plays after seeking', async () => await time() > 0.1);
  const {width} = await seekBar.boundingBox();
  await seekBar.hover({position: {x: width * 0.7, y: 10}});
  await until('the time is shown', async () => await page.locator('media-preview-time-display[slot] slot').textContent() === '0:01');
  const download = await page.getByRole('link', {name: 'Download the original'}).getAttribute('href');
  const {headers} = await fetch(download);
  assert.equal(headers.get('content-disposition'), `attachment; filename="small.mp4"; filename*=UTF-8''small.mp4`);
  await page.keyboard.press('Escape');
  await until('playback stops', () => page.locator('video').evaluate((video) => !video.hasAttribute('src')));

  await click(page, 'small.mp4', 'Delete');
  await page.getByRole('button', {name: 'Keep'}).click();
  await click(page, 'small.mp4', 'Delete');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await page.getByText('No videos yet').waitFor();
  assert.equal((await fetch(`${backend.api}/videos/${videoId}`)).status, 404);
  assert.deepEqual(page.errors, [], 'no errors, including Content-Security-Policy violations');
});

test('explains why a video cannot be played', async (t) => {
  const {page} = await start(t);
  await choose(page, hevc);
  await waitForState(page, 'phone.mkv', 'done');
  await click(page, 'phone.mkv', 'Play');
  await page.getByRole('alert').getByText('This browser cannot play HEVC in Matroska').waitFor();
  assert.ok(await page.getByRole('link', {name: 'Download the original'}).isVisible());
});

test('renews an expired URL of the original', async (t) => {
  const {page} = await start(t);
  await choose(page, videos.small);
  await waitForState(page, 'small.mp4', 'done');
  // The API describes it as an original that cannot be played by HLS.
  await page.route((url) => /^\/videos\/[^/]+$/.test(url.pathname), async (route) => {
    const response = await route.fetch();
    const {hlsUrl: _, ...json} = await response.json();
    await route.fulfill({response, json});
  });
  let requests = 0;
  await page.route((url) => url.pathname.startsWith('/uploads/'), (route) => {
    requests += 1;
    return requests === 1 ? route.fulfill({status: 403}) : route.continue();
  });
  await click(page, 'small.mp4', 'Play');
  await until('the video plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
  assert.ok(requests > 1);
});

test('uploads a large file in parts, with pause and resume', async (t) => {
  const {backend, page} = await start(t);
  await network(page, SLOW);
  await choose(page, videos.large);
  await until('some parts are stored', async () => page.sent.length > 1);
  const isMeasured = async () => /of 104 MiB.*MiB\/s.*left/.test(await text(page, 'large.mp4', '.details'));
  await until('the card shows the speed', isMeasured);
  assert.match(await page.title(), /^\d+% · Upreel$/);
  await click(page, 'large.mp4', 'Pause');
  await waitForState(page, 'large.mp4', 'paused');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'large.mp4', 'the card keeps the focus');
  await network(page, {});
  await click(page, 'large.mp4', 'Resume');
  await waitForState(page, 'large.mp4', 'done');
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(page.sent.sort((a, b) => a - b), PARTS, 'each part once');
  assert.deepEqual(page.errors, []);
});

test('after a reload, resumes an upload with the missing parts', async (t) => {
  const {backend, page} = await start(t);
  await uploadParts(page, videos.large, [1, 2, 3]);
  await page.reload();
  await page.unrouteAll();
  await waitForState(page, 'large.mp4', 'interrupted');
  assert.match(await text(page, 'large.mp4', '.details'), /15\.0 MiB of 104 MiB uploaded/);
  assert.equal(await page.locator('.card').count(), 1, 'the PENDING video has no second card');

  const chooser = page.waitForEvent('filechooser');
  await click(page, 'large.mp4', 'Choose the file');
  await (await chooser).setFiles(videos.medium.path);
  await until('the wrong file is rejected', async () => (
    /is a different file/.test(await text(page, 'large.mp4', '.error'))));
  page.sent.length = 0;
  await choose(page, videos.large);
  await waitForState(page, 'large.mp4', 'done');
  assert.deepEqual(page.sent.sort((a, b) => a - b), PARTS.slice(3));
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('discarding and cancelling an upload delete it from the server', async (t) => {
  const {backend, page} = await start(t);
  for (const [button, reload] of [['Discard', true], ['Cancel', false]]) {
    page.sent.length = 0;
    await uploadParts(page, videos.large, [1, 2]);
    const [{key, uploadId}] = await sessions(page);
    assert.equal((await backend.parts(key, uploadId)).length, 2);
    if (reload) {
      await page.reload();
      await page.unrouteAll();
      await waitForState(page, 'large.mp4', 'interrupted');
    }
    await click(page, 'large.mp4', button);
    await page.getByText('No videos yet').waitFor();
    await until('the parts are deleted', async () => (await backend.parts(key, uploadId)) === undefined);
    await until('the video is deleted', async () => (await backend.videos()).length === 0);
    await until('the session is deleted', async () => (await sessions(page)).length === 0);
  }
});

test('shows that the browser is offline, and resumes when it is online', async (t) => {
  const {backend, page} = await start(t);
  await network(page, SLOW);
  await choose(page, videos.large);
  await until('some parts are stored', async () => page.sent.length > 0);
  await network(page, {offline: true});
  await page.getByText('You are offline').waitFor();
  await until('the card shows it', async () => /offline/.test(await text(page, 'large.mp4', '.details')));
  await network(page, {});
  await waitForState(page, 'large.mp4', 'done');
  assert.ok(await page.getByText('You are offline').isHidden());
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('shows why files are rejected, and uploads the others', async (t) => {
  const {backend, page} = await start(t, {args: ['--max-upload-bytes', String(13 * MiB)]});
  const notes = {name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.alloc(5 * MiB, 'no video ')};
  const fake = {name: 'fake.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video')};
  await page.setInputFiles('#file', [notes, fake]);
  await choose(page, videos.large, videos.medium, videos.small);
  for (const [name, message] of [
    ['large.mp4', /^The video is too large\. The limit is 13\.0 MiB\. This file has 104 MiB\.$/],
    ['notes.txt', /^This file isn't a supported video/],
    ['fake.mp4', /^This file isn't a supported video/],
  ]) {
    await waitForState(page, name, 'refused');
    assert.match(await text(page, name, '.error'), message);
    await click(page, name, 'Dismiss');
  }
  for (const name of ['medium.mp4', 'small.mp4']) await waitForState(page, name, 'done');
  assert.deepEqual((await backend.videos()).map((video) => video.filename).sort(), ['medium.mp4', 'small.mp4']);
  assert.equal(page.sent.length, 0, 'nothing of the large file is sent');
});

test('retries a failed upload on request', async (t) => {
  const {backend, page} = await start(t);
  const fail = (route) => route.fulfill({status: 404, json: {code: 'NOT_FOUND', detail: 'There is no such upload.'}});
  await page.route('**/presign?*', fail);
  await choose(page, videos.medium);
  await waitForState(page, 'medium.mp4', 'broken');
  assert.equal(await text(page, 'medium.mp4', '.error'), 'There is no such upload.');
  await page.unroute('**/presign?*', fail);
  await click(page, 'medium.mp4', 'Try again');
  await waitForState(page, 'medium.mp4', 'done');
  await backend.onlyVideo();
});

test('a file that was changed has to be chosen again', async (t) => {
  const {backend, page} = await start(t);
  const changed = await makeVideo(join(await folder(t), 'changed.mp4'), {size: 6 * MiB});
  await page.route('**/presign?*', async (route) => {
    await writeFile(changed.path, 'another file');
    await route.continue();
  });
  await choose(page, changed);
  await waitForState(page, 'changed.mp4', 'refused');
  assert.match(await text(page, 'changed.mp4', '.error'), /^This file cannot be read\. It was moved or changed/);
  assert.ok(await card(page, 'changed.mp4').getByRole('button', {name: 'Try again'}).isHidden());
  await click(page, 'changed.mp4', 'Dismiss');
  await until('nothing is left', async () => (await backend.videos()).length === 0);
});

test('another tab shows an upload, but does not offer to resume it', async (t) => {
  const {backend, page} = await start(t);
  await uploadParts(page, videos.large, [1]);
  const other = await page.context().newPage();
  await other.goto(backend.api);
  await waitForState(other, 'large.mp4', 'pending');
  await page.reload();
  await page.unrouteAll();
  await waitForState(page, 'large.mp4', 'interrupted');
  const isOf = (request) => new URL(request.url()).pathname.startsWith('/videos');
  const polls = [];
  other.on('request', (request) => isOf(request) && polls.push(request.url()));
  await other.evaluate(() => window.dispatchEvent(new Event('focus')));
  await waitForState(other, 'large.mp4', 'interrupted');
  assert.ok(polls.length <= 1, `a row that nobody sends is not polled: ${polls}`);
  await choose(page, videos.large);
  await waitForState(page, 'large.mp4', 'done');
  await waitForState(other, 'large.mp4', 'done');
  await click(other, 'large.mp4', 'Delete');
  await other.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await until('the video is deleted', async () => (await backend.videos()).length === 0);
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await page.getByText('No videos yet').waitFor();
});

test('fits the screen of a phone', async (t) => {
  const {page} = await start(t, {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true});
  await choose(page, videos.small);
  await waitForState(page, 'small.mp4', 'done');
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await width(), 390);
  await card(page, 'small.mp4').getByRole('button', {name: 'Play'}).tap();
  await until('the video plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
  assert.equal(await width(), 390);
});

test('a tall video fits into the dialog and into the full screen', async (t) => {
  const {page} = await start(t);
  const tall = await makeVideo(join(await folder(t), 'tall.mp4'), {resolution: '180x320'});
  await choose(page, tall);
  await waitForState(page, 'tall.mp4', 'done');
  await click(page, 'tall.mp4', 'Play');
  await until('the video plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
  const fits = async () => {
    const {y, height} = await page.locator('video').boundingBox();
    return y >= 0 && y + height <= await page.evaluate(() => innerHeight);
  };
  assert.ok(await fits());
  await waitForControls(page);
  await page.keyboard.press('f');
  await until('it fills the screen', () => page.evaluate(() => Boolean(document.fullscreenElement)));
  await until('it fits', fits);
  assert.ok((await page.locator('video').boundingBox()).height > 600);
});

/** Saves a screenshot if $SCREENSHOTS is a folder. */
const screenshot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({path: join(process.env.SCREENSHOTS, `${name}.png`)});
};

/** Uploads the small video through the API under the given names, one after the other. */
async function put(backend, ...names) {
  const content = new Blob([await readFile(videos.small.path)]);
  for (const name of names) {
    const body = new FormData();
    body.append('file', content, name);
    await backend.json('/upload', {method: 'POST', body});
  }
}

const names = (page) => page.locator('.card:visible h3').allTextContents();

test('the poster plays from the beginning, the bar from the time under the pointer', async (t) => {
  const {backend, page} = await start(t);
  const long = await makeVideo(join(await folder(t), 'long.mp4'), {seconds: 20, resolution: '320x180'});
  await choose(page, long);
  await waitForState(page, 'long.mp4', 'done');
  const frame = card(page, 'long.mp4').locator('.frame');
  const {width, height} = await frame.boundingBox();
  const played = () => page.locator('video').evaluate((video) => video.currentTime);
  for (const [y, from, to] of [[height / 3, 0, 5], [height - 6, 13, 20]]) {
    await frame.hover({position: {x: width * 0.75, y}});
    if (from) await until('the tile is shown', () => frame.locator('.scrub').evaluate((el) => el.classList.contains('shown')));
    await frame.click({position: {x: width * 0.75, y}});
    await page.getByRole('button', {name: 'pause', exact: true}).waitFor();
    await until('it plays', async () => await played() > from);
    assert.ok(await played() < to, `${await played()}`);
    await page.keyboard.press('Escape');
  }
  // A link to a video opens the player.
  const [{videoId}] = await backend.videos();
  await until('the link has gone', () => new URL(page.url()).hash === '');
  const linked = await page.context().newPage();
  await linked.goto(`${backend.api}/#${videoId}`);
  await linked.getByRole('dialog', {name: 'long.mp4'}).waitFor();
  assert.deepEqual(page.errors, []);
});

test('the list has a count, a search, further pages when scrolled, and deletes what is selected', async (t) => {
  const {backend, page} = await start(t, {viewport: {width: 1000, height: 700}});
  await put(backend, ...Array.from({length: 60}, (_, i) => `clip-${String(i + 1).padStart(2, '0')}.mp4`));
  await until('all are processed', async () => (
    (await backend.json('/videos?limit=100')).videos.every(({status}) => status === 'PROCESSED')));
  await page.reload();
  await card(page, 'clip-60.mp4').waitFor();
  const count = page.locator('#count');
  assert.match(await count.textContent(), /^\d+\+$/);
  await until('the end is reached', async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    return await count.textContent() === '60';
  });
  const expected = Array.from({length: 60}, (_, i) => `clip-${String(60 - i).padStart(2, '0')}.mp4`);
  assert.deepEqual(await names(page), expected);

  await page.reload();
  const search = page.getByRole('searchbox');
  await search.fill('clip-0');
  await until('all pages are searched', async () => (await names(page)).length === 9);
  assert.equal(await count.textContent(), '9');
  await search.fill('none');
  await page.getByText('No video has this name or tag.').waitFor();
  await accessibility(page);
  await search.fill('clip-0');
  await page.getByRole('button', {name: 'Select', exact: true}).click();
  await page.getByRole('button', {name: 'Select all'}).click();
  await page.getByRole('checkbox', {name: 'Select clip-05.mp4'}).uncheck();
  await screenshot(page, 'selection');
  await accessibility(page);
  await page.getByRole('button', {name: 'Delete 8'}).click();
  await accessibility(page);
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await until('they are deleted', async () => (await names(page)).join() === 'clip-05.mp4');
  assert.equal((await backend.json('/videos?limit=100')).videos.length, 52);
  assert.deepEqual(page.errors, []);
});

for (const count of [24, 100]) {
  test(`${count} unfinished videos take at most 12 requests in 10 seconds`, async (t) => {
    const backend = await startBackend(t);
    const page = await openPage(t, 'about:blank');
    const hex = (i) => String(count - i).padStart(12, '0');
    const rows = Array.from({length: count}, (_, i) => (
      {videoId: `019ad2f4-5c3e-7b21-8f60-${hex(i)}`, userId: 'local', filename: `${i}.mp4`, contentType: 'video/mp4', status: 'PROCESSING', uploadTime: '2026-11-23T07:41:47.123Z'}));
    await page.route(/\/videos(\?|\/)/, (route) => {
      const {pathname, searchParams: query} = new URL(route.request().url());
      const one = rows.find(({videoId}) => pathname.endsWith(videoId));
      const [from, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit') ?? 20)];
      const next = from + limit < count ? {cursor: String(from + limit)} : {};
      return route.fulfill({json: one ?? {videos: rows.slice(from, from + limit), ...next}});
    });
    // The page's time passes only by `runFor`, so the speed of the machine does not matter.
    await page.clock.install();
    const pass = async (ms) => {
      for (let passed = 0; passed < ms; passed += 100) {
        await page.clock.runFor(100);
        await until('the requests are answered', () => page.pending.size === 0);
      }
    };
    await page.goto(backend.api);
    await until('all cards are shown', async () => {
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      return await page.locator('.card[data-state="processing"]').count() === count;
    });
    await pass(5_000);
    const before = page.requests.length;
    await pass(10_000);
    const paths = page.requests.slice(before).map((request) => request.url().slice(backend.api.length));
    assert.ok(paths.length <= 12 && paths.length >= 2, `${paths.length}: ${paths.join(' ')}`);
    assert.ok(paths.every((path) => path === '/videos?limit=100'), `${paths}`);
  });
}

test('retries the list after a 503, and processes a video again after a fault', async (t) => {
  const {backend, page} = await start(t);
  await put(backend, 'a.mp4');
  const {videoId} = await backend.onlyVideo();
  let failing = 2;
  await page.route('**/videos?*', (route) => {
    failing -= 1;
    return failing < 0 ? route.continue() : route.fulfill({status: 503, json: {code: 'INTERNAL', detail: 'Busy.'}});
  });
  await page.reload();
  await page.getByText('Could not load the list of videos. Busy. Retrying…').waitFor();
  await waitForState(page, 'a.mp4', 'done');
  assert.ok(await page.locator('#notice').isHidden());

  // The test fakes the record of the fault: a real one appears only after all attempts of the service.
  let replayed = false;
  await page.route(/\/videos(\?|\/)/, async (route) => {
    const json = await (await route.fetch()).json();
    const fail = (video) => (replayed ? video : {...video, status: 'FAILED', thumbnailUrl: undefined, error: {code: 'INTERNAL', message: 'A fault on our side.'}});
    return route.fulfill({json: json.videos ? {...json, videos: json.videos.map(fail)} : fail(json)});
  });
  await page.route('**/_local/dlq/replay', (route) => {
    replayed = true;
    return route.fulfill({json: {replayed: 1}});
  });
  await page.reload();
  await waitForState(page, 'a.mp4', 'failed');
  await accessibility(page);
  await click(page, 'a.mp4', 'Try again');
  await waitForState(page, 'a.mp4', 'done');
  assert.equal((await backend.videos())[0].videoId, videoId);
});

test('a video can be renamed, and is found by its title and tags', async (t) => {
  const {backend, page} = await start(t);
  await put(backend, 'a.mp4', 'b.mp4');
  await page.reload();
  await waitForState(page, 'a.mp4', 'done');
  await waitForState(page, 'b.mp4', 'done');
  await click(page, 'a.mp4', 'Rename');
  await accessibility(page);
  await screenshot(page, 'rename');
  await page.getByRole('textbox', {name: 'Title'}).fill(' <b>My holiday</b> ');
  await page.keyboard.press('Enter');
  await waitForState(page, 'My holiday', 'done');
  assert.deepEqual((await names(page)).sort(), ['<b>My holiday</b>', 'b.mp4']);
  const {videoId} = (await backend.videos()).find(({filename}) => filename === 'a.mp4');
  const tags = {method: 'PATCH', body: JSON.stringify({tags: ['Family', 'שלום']})};
  assert.equal((await backend.json(`/videos/${videoId}`, tags)).title, '<b>My holiday</b>');
  await page.reload();
  await waitForState(page, 'My holiday', 'done');
  await page.getByText('Family').waitFor();
  await accessibility(page);
  await screenshot(page, 'title and tags');
  for (const [text, found] of [['holi', '<b>My holiday</b>'], ['family', '<b>My holiday</b>'], ['b.mp', 'b.mp4']]) {
    await page.fill('#search', text);
    await until(`${text} is found`, async () => (await names(page)).join() === found);
    await until('the number is announced', async () => await page.locator('#live').textContent() === '1 video found.');
  }
  await page.fill('#search', '');
  // Escape keeps the title, and an empty title shows the file name again.
  await click(page, 'My holiday', 'Rename');
  await page.getByRole('textbox', {name: 'Title'}).fill('x');
  await page.keyboard.press('Escape');
  assert.ok((await names(page)).includes('<b>My holiday</b>'));
  await click(page, 'My holiday', 'Rename');
  await page.getByRole('textbox', {name: 'Title'}).fill('');
  await page.getByRole('button', {name: 'Save'}).click();
  await waitForState(page, 'a.mp4', 'done');
  assert.deepEqual(page.errors, []);
});

test('captions can be added, are shown at their time, and can be removed', async (t) => {
  const {backend, page} = await start(t);
  await put(backend, 'a.mp4', 'b.mp4');
  await page.reload();
  await waitForState(page, 'a.mp4', 'done');
  await waitForState(page, 'b.mp4', 'done');
  await click(page, 'a.mp4', 'Captions');
  const dialog = page.getByRole('dialog', {name: 'Captions'});
  const add = async (name, file) => {
    await dialog.getByLabel('WebVTT or SubRip file').setInputFiles({name, mimeType: 'text/plain', buffer: Buffer.from(file)});
    await dialog.getByRole('button', {name: 'Add captions'}).click();
  };
  await add('film.srt', '1\n00:00:01,000 -> 00:00:02,000\nNo');
  await dialog.getByRole('alert').getByText(/^Line 2: /).waitFor();
  await accessibility(page);
  assert.equal(await dialog.getByLabel('Language').inputValue(), 'en-US');
  await add('film.pt-br.srt', '1\n00:00:00,500 --> 00:00:01,500\nOl\u00e1 <i>voc\u00ea</i>\n');
  await dialog.getByRole('button', {name: 'Remove Brazilian Portuguese'}).waitFor();
  assert.ok(await dialog.getByRole('alert').isHidden());
  await dialog.getByLabel('Language').selectOption({label: 'German'});
  await add('film.vtt', 'WEBVTT\n\n00:00.000 --> 00:02.000\nHallo\n');
  await dialog.getByRole('button', {name: 'Remove German'}).waitFor();
  await accessibility(page);
  await screenshot(page, 'captions');
  await dialog.getByRole('button', {name: 'Close'}).click();

  const video = page.locator('video');
  const isHls = () => video.evaluate((el) => el.src.startsWith('blob:'));
  const tracks = () => video.evaluate((el) => [...el.textTracks].map(({kind, label, language, mode}) => [kind, label, language, mode].join()));
  const shown = () => video.evaluate((el) => (
    [...el.textTracks].filter(({mode}) => mode === 'showing').map(({cues, activeCues}) => cues && activeCues[0]?.getCueAsHTML().textContent)[0]));
  const seek = (at) => video.evaluate((el, to) => { el.pause(); el.currentTime = to; }, at);
  const watch = async (name) => {
    await click(page, name, 'Play');
    await until('the video plays', () => video.evaluate((el) => el.currentTime > 0));
  };
  const button = page.getByRole('button', {name: 'closed captions'});
  const showCaptions = async () => {
    await seek(1);
    await button.click();
    await page.getByRole('menuitemradio', {name: 'Brazilian Portuguese', exact: true}).click();
    await until('the cue is shown', async () => await shown() === 'Ol\u00e1 voc\u00ea');
  };
  await watch('a.mp4');
  assert.ok(await isHls());
  assert.deepEqual(await tracks(), ['subtitles,German,de,disabled', 'subtitles,Brazilian Portuguese,pt-BR,disabled']);
  await showCaptions();
  await accessibility(page);
  await screenshot(page, 'captions in the player');
  for (const [at, expected] of [[0.25, undefined], [1.25, 'Ol\u00e1 voc\u00ea'], [1.75, undefined]]) {
    await seek(at);
    await until(`${expected} is shown at ${at}`, async () => await shown() === expected);
  }
  await page.keyboard.press('Escape');

  // Another video has none, and the file has the same as the stream.
  await watch('b.mp4');
  assert.deepEqual(await tracks(), []);
  assert.ok(await button.isHidden());
  await page.keyboard.press('Escape');
  await page.route('**/*.m3u8', (route) => route.abort());
  await watch('a.mp4');
  await until('the file is played', async () => !(await isHls()));
  await showCaptions();
  await page.keyboard.press('Escape');

  await click(page, 'a.mp4', 'Captions');
  await dialog.getByRole('button', {name: 'Remove German'}).click();
  await dialog.getByRole('button', {name: 'Remove German'}).waitFor({state: 'detached'});
  const {captions} = (await backend.videos()).find(({filename}) => filename === 'a.mp4');
  assert.deepEqual(captions.map(({language, label}) => [language, label]), [['pt-BR', 'Brazilian Portuguese']]);
  assert.deepEqual(page.errors.filter((error) => !/status of 400|ERR_FAILED/.test(error)), []);
});

test('cancelling asks if much has been sent', async (t) => {
  const {backend, page} = await start(t);
  await uploadParts(page, videos.large, [1, 2, 3, 4]);
  await accessibility(page);
  await click(page, 'large.mp4', 'Cancel');
  await page.getByText('The 20.0 MiB that have been sent will be deleted.').waitFor();
  await accessibility(page);
  await page.getByRole('button', {name: 'Keep it'}).click();
  assert.equal(await page.locator('.card').count(), 1);
  await click(page, 'large.mp4', 'Cancel');
  await page.getByRole('button', {name: 'Cancel the upload'}).click();
  await page.getByText('No videos yet').waitFor();
  await until('the video is deleted', async () => (await backend.videos()).length === 0);
});

test('a reload leaves no card of an upload that nobody sends', async (t) => {
  const {backend, page} = await start(t);
  await page.route((url) => url.pathname.startsWith('/uploads/'), () => {});
  await choose(page, videos.medium);
  await until('a video is created', async () => (await backend.videos()).length === 1);
  await page.reload();
  await card(page, 'medium.mp4').getByText('Interrupted: choose the file again').waitFor();
  assert.equal(await page.locator('.card').count(), 1);
  await accessibility(page);
  await screenshot(page, 'interrupted');
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await page.getByText('No videos yet').waitFor();
  await accessibility(page);
});

test('all controls can be reached with the Tab key, in the order of the page, and show the focus', async (t) => {
  const {backend, page} = await start(t);
  await put(backend, 'a.mp4');
  await backend.onlyVideo();
  /** Presses Tab until the focus leaves the page, and returns the names of what has had it. */
  const walk = async () => {
    const names = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => {
        const el = document.activeElement;
        if (el === document.body) return undefined;
        // A hidden input is shown by its label, a slider by a pseudo-element.
        const visible = [el, el.closest('label')].filter(Boolean).flatMap((node) => [getComputedStyle(node), getComputedStyle(node, '::after')]);
        const ring = visible.some(({outlineStyle, borderStyle, content}) => outlineStyle !== 'none' || (content !== 'none' && borderStyle === 'solid'));
        const {textContent} = el.labels?.[0]?.querySelector('strong') ?? el;
        return {name: el.ariaLabel ?? (el.matches('pre') ? 'code' : textContent.trim()), ring};
      });
      if (!focused) return names;
      assert.ok(focused.ring, `${focused.name} shows no focus`);
      names.push(focused.name);
      assert.ok(names.length < 500, 'the focus goes round');
    }
  };
  await page.reload();
  await waitForState(page, 'a.mp4', 'done');
  await page.evaluate(() => document.activeElement.blur());
  assert.deepEqual(await walk(), [
    'Use it in your project', 'Upload videos', 'Search the videos by name or tag', 'Select', 'Play a.mp4', 'Storyboard of a.mp4',
    'JSON of a.mp4', 'Captions a.mp4', 'Rename a.mp4', 'Delete a.mp4', 'upreel.js', 'Copy the code for a web page', 'code', 'Copy the one-request command', 'code',
    'Copy the commands for S3', 'code', 'API reference',
  ]);
  await page.goto(`${backend.api}/docs`);
  await page.locator('#schema-VideoList').waitFor();
  const docs = await walk();
  for (const name of ['Search routes and schemas', 'GET /videos', 'VideoList', 'Try it: List the caller\'s videos, newest first']) {
    assert.ok(docs.includes(name), `${name} in ${docs}`);
  }
  assert.deepEqual(page.errors, []);
});

for (const [name, options] of Object.entries({
  desktop: {},
  phone: {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true},
  landscape: {viewport: {width: 844, height: 390}, isMobile: true, hasTouch: true},
  wide: {viewport: {width: 2560, height: 1300}},
  dark: {colorScheme: 'dark'},
  'forced colours': {forcedColors: 'active'},
  'right to left': {locale: 'he'},
})) {
  test(`no state violates accessibility rules or overflows: ${name}`, async (t) => {
    const {backend, page} = await start(t, options);
    await put(backend, 'harbour at dawn.mp4', 'שלום.mp4', 'a very long name of a file that does not fit into one line of a card, nor into two.mp4');
    const broken = {name: 'broken.mp4', mimeType: 'video/mp4', buffer: Buffer.from('\0\0\0\x18ftypisom\0\0\0\0isom')};
    const zip = {name: 'archive.mp4', mimeType: 'video/mp4', buffer: Buffer.from('PK\x03\x04')};
    await page.setInputFiles('#file', [broken, zip]);
    await waitForState(page, 'broken.mp4', 'failed');
    await waitForState(page, 'archive.mp4', 'refused');
    assert.equal(await page.getByRole('button', {name: 'Try again'}).count(), 0, 'a retry would not help');
    await page.evaluate(() => window.dispatchEvent(new Event('focus')));
    await waitForState(page, 'harbour at dawn.mp4', 'done');
    if (options.locale) await page.evaluate(() => { document.documentElement.dir = 'rtl'; });
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    await accessibility(page);
    await screenshot(page, name);
    assert.ok(await fits());
    await click(page, 'harbour at dawn.mp4', 'Play');
    await until('the video plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
    await accessibility(page);
    await page.locator('video').evaluate((video) => video.pause());
    await page.getByRole('button', {name: 'quality'}).click();
    await page.getByRole('menuitemradio', {name: 'Original · 360p', exact: true}).waitFor();
    await accessibility(page);
    await screenshot(page, `${name}, player`);
    const {y, height} = await page.locator('video').boundingBox();
    assert.ok(y >= 0 && y + height <= await page.evaluate(() => innerHeight), 'the whole frame is visible');
    assert.ok(await fits());
    await page.goto(`${backend.api}/docs`);
    await page.locator('#getMediaPlaylist').waitFor();
    if (options.locale) await page.evaluate(() => { document.documentElement.dir = 'rtl'; });
    await accessibility(page);
    await screenshot(page, `${name}, docs`);
    assert.ok(await fits());
    assert.deepEqual(page.errors, []);
  });
}

test('the documentation has commands to copy, links and readable limits', async (t) => {
  const {backend, page} = await start(t, {permissions: ['clipboard-read', 'clipboard-write']});
  await page.goto(`${backend.api}/docs#listVideos`);
  const route = page.locator('#listVideos');
  await route.getByRole('button', {name: 'Copy curl: List the caller'}).click();
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  assert.equal(await copied(), `curl '${backend.api}/videos?limit=20'`);
  await route.getByRole('button', {name: 'Copy JavaScript: List the caller'}).click();
  assert.match(await copied(), /^const response = await fetch\('http.*\/videos\?limit=20'\);\nconst result = await response\.json\(\);$/);
  assert.equal(await route.getByRole('link').first().getAttribute('href'), '#listVideos');
  assert.ok(await route.isVisible());
  assert.match(await page.locator('#presign').textContent(), /5,368,709,120 \(5 GiB\)/);
  assert.doesNotMatch(await page.locator('#main').textContent(), /127\.0\.0\.1:3000/);
});

test('the documentation sends requests: a GET when asked, what changes something by its button', async (t) => {
  const {backend, page} = await start(t);
  await put(backend, 'a.mp4');
  const [{videoId}] = await backend.videos();
  await backend.video(videoId);
  await page.goto(`${backend.api}/docs`);
  const open = async (id) => {
    await page.locator(`#${id} .try summary`).click();
    return page.locator(`#${id} .try`);
  };
  const sent = () => page.requests.map((request) => `${request.method()} ${new URL(request.url()).pathname}`);
  const shown = async (block, status) => {
    await block.locator('.status', {hasText: status}).waitFor();
    return block.locator('.output').textContent();
  };
  const list = await open('listVideos');
  const listed = await shown(list, '200 OK');
  assert.match(listed, /content-type: application\/json/);
  assert.match(listed, new RegExp(`"videoId": "${videoId}"`));
  // The ETag of the response makes the next one a 304.
  const [, etag] = /etag: (\S+)/.exec(listed);
  await list.getByLabel('If-None-Match').fill(etag);
  await list.getByLabel('If-None-Match').press('Enter');
  await shown(list, '304');
  await accessibility(page);

  // Values of earlier responses are filled in.
  assert.match(await shown(await open('getVideo'), '200 OK'), /"status": "PROCESSED"/);
  const before = sent().length;
  const presign = await open('presign');
  const remove = await open('deleteVideo');
  await open('uploadVideo');
  await open('sign');
  assert.equal(sent().length, before, 'nothing that creates or deletes is sent by itself');
  assert.equal((await backend.videos()).length, 1);
  await presign.getByRole('button', {name: 'Send'}).click();
  const signed = await shown(presign, '200 OK');
  const [, created] = /"videoId": "([^"]+)"/.exec(signed);
  assert.equal(await remove.getByLabel('videoId').inputValue(), created);
  await remove.getByRole('button', {name: 'Send'}).click();
  await shown(remove, '204');
  assert.equal((await fetch(`${backend.api}/videos/${created}`)).status, 404);
  const create = await open('createMultipartUpload');
  await create.getByRole('button', {name: 'Send'}).click();
  await shown(create, '200 OK');
  assert.match(await shown(await open('listParts'), '200 OK'), /\[\]/, 'the parts of the created upload');
  await page.locator('#uploadVideo input[type=file]').setInputFiles(videos.small.path);
  await page.locator('#uploadVideo').getByRole('button', {name: 'Send'}).click();
  await shown(page.locator('#uploadVideo .try'), '200 OK');
  await page.locator('#sign textarea').fill('{');
  await page.locator('#sign').getByRole('button', {name: 'Send'}).click();
  assert.match(await shown(page.locator('#sign .try'), '400'), /"code": "INVALID_REQUEST"|"code": "MALFORMED_BODY"/);
  await screenshot(page, 'docs, try it');
  await accessibility(page);
  assert.deepEqual(page.errors.filter((error) => !/status of 400/.test(error)), []);
});

test('the documentation can be searched', async (t) => {
  const {backend, page} = await start(t);
  await page.goto(`${backend.api}/docs`);
  await page.locator('#schema-VideoList').waitFor();
  const shown = () => page.locator('#contents a:visible').allTextContents();
  const all = (await shown()).length;
  assert.ok(all > 20, `${all}`);
  const search = page.getByRole('searchbox');
  await search.fill('blurhash');
  const found = ['GET /videos', 'GET /videos/{videoId}', 'PATCH /videos/{videoId}', 'PUT /videos/{videoId}/captions/{language}',
    'PUT /videos/{videoId}/poster', 'Video', 'VideoList'];
  assert.deepEqual(await shown(), found);
  assert.ok(await page.locator('#schema-Video').getByText('blurHash').first().isVisible());
  assert.ok(await page.locator('#presign').isHidden());
  await screenshot(page, 'docs, search');
  await accessibility(page);
  await search.fill('post multipart');
  assert.ok((await shown()).includes('POST /s3/multipart'));
  await search.fill('nonsense');
  await page.getByText('Nothing matches.').waitFor();
  await accessibility(page);
  await page.evaluate(() => { location.hash = 'getVideo'; });
  await page.locator('#getVideo').waitFor();
  assert.equal(await search.inputValue(), '', 'a link to what is hidden ends the search');
  assert.equal((await shown()).length, all);
  await page.getByRole('link', {name: 'VideoList', exact: true}).first().click();
  await until('the link is that of the schema', () => new URL(page.url()).hash === '#schema-VideoList');
  assert.deepEqual(page.errors, []);
});

test('a bar shows how much of the quotas is used', async (t) => {
  const {backend, page} = await start(t, {args: ['--quota-bytes', '10MiB', '--quota-videos', '2']});
  const bar = page.getByRole('progressbar', {name: 'of 10.0 MiB stored'});
  await bar.and(page.locator('[aria-labelledby]')).waitFor();
  assert.equal(await page.locator('#usage-text').textContent(), '0 B of 10.0 MiB stored, 0 of 2 videos');
  await choose(page, videos.small);
  await page.getByText('of 10.0 MiB stored, 1 of 2 videos').waitFor();
  assert.equal(await bar.evaluate((el) => el.value), 0.5);
  await accessibility(page);
  await choose(page, videos.medium);
  await card(page, 'medium.mp4').getByText('of your 10.0 MiB are left').waitFor();
  await waitForState(page, 'small.mp4', 'done');
  await click(page, 'small.mp4', 'Delete');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await page.getByText('0 B of 10.0 MiB stored, 0 of 2 videos').waitFor();
  assert.deepEqual((await backend.json('/usage')).bytes, {used: 0, limit: 10 * MiB, left: 10 * MiB});
});

test('a video is copied from a URL', async (t) => {
  const {backend, page} = await start(t, {args: ['--import-urls']});
  const field = page.getByLabel('Or from a URL');
  const add = page.getByRole('button', {name: 'Add'});
  await field.fill('http://media.example.com/clip.mp4');
  await add.click();
  assert.equal(await field.evaluate((el) => el.validity.patternMismatch), true, 'only https');
  await field.fill('https://127.0.0.1/clip.mp4');
  await add.click();
  await page.getByRole('alert').getByText('public').waitFor();
  assert.equal(await field.inputValue(), 'https://127.0.0.1/clip.mp4', 'to be corrected');
  await accessibility(page);

  // The progress of a copy. No name ends with `.invalid` (RFC 6761), so the copy waits for its next attempt.
  const progress = {bytesDone: 12 * MiB, bytesTotal: 48 * MiB};
  await page.route((url) => /^\/videos\/[^/]+$/.test(url.pathname), async (route) => {
    const response = await route.fetch();
    const video = response.status() === 200 ? await response.json() : undefined;
    return route.fulfill(video?.status === 'PENDING' ? {response, json: {...video, fetch: progress}} : {response});
  });
  await field.fill('https://media.invalid/folder/clip.mp4?signature=1');
  await field.press('Enter');
  await card(page, 'clip.mp4').getByText('Copying… 25%').waitFor();
  await card(page, 'clip.mp4').getByText('12.0 MiB of 48.0 MiB').waitFor();
  assert.equal(await field.inputValue(), '');
  assert.ok(await page.getByRole('alert').isHidden());
  await accessibility(page);
  await click(page, 'clip.mp4', 'Delete');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await until('the card is gone', async () => await page.locator('.card').count() === 0);
  assert.deepEqual(await backend.videos(), []);
});

test('a video is shown once it is checked, and an infected one never', async (t) => {
  // Nothing can be read before the moderator's verdict, which the test sends.
  const {backend, page} = await start(t, {args: ['--scan', '--moderation']});
  await choose(page, videos.small);
  await card(page, 'small.mp4').and(page.locator('[data-state="processing"]')).getByText('Being checked…').waitFor();
  await accessibility(page);
  const [held] = await backend.videos();
  assert.deepEqual([held.status, held.check, held.thumbnailUrl], ['UPLOADED', 'PENDING', undefined]);
  assert.ok(await card(page, 'small.mp4').getByRole('button', {name: 'Play'}).isHidden());
  const eTag = createHash('md5').update(await readFile(videos.small.path)).digest('hex');
  const object = {objectKey: `videos/local/${held.videoId}.mp4`, eTag};
  const verdict = {source: 'upreel.moderation', 'detail-type': 'Verdict', detail: {s3ObjectDetails: object, verdict: 'APPROVED'}};
  const sent = await fetch(`${backend.api}/_local/events`, {
    method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(verdict),
  });
  assert.equal(sent.status, 202);
  await waitForState(page, 'small.mp4', 'done');

  // The test file of EICAR in two parts, so that no scanner takes this file for it.
  const eicar = String.raw`X5O!P%@AP[4\PZX54(P^)7CC)7}$` + 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*';
  const buffer = Buffer.concat([await readFile(videos.small.path), Buffer.from(eicar)]);
  await choose(page, {name: 'infected.mp4', mimeType: 'video/mp4', buffer});
  await waitForState(page, 'infected.mp4', 'failed');
  assert.match(await text(page, 'infected.mp4', '.error'), /contains malware/);
  const infected = (await backend.videos()).find((video) => video.filename === 'infected.mp4');
  assert.deepEqual([infected.status, infected.error.code, infected.thumbnailUrl], ['FAILED', 'INFECTED', undefined]);
  await accessibility(page);
  assert.deepEqual(page.errors, []);
});
