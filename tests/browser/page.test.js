// The page of the local backend, as somebody uses it.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {folder, makeVideo, network, openPage, startBackend, until} from './harness.js';

const MiB = 2 ** 20;
const videos = {};
let hevc;

before(async (t) => {
  const made = await folder(t);
  videos.small = await makeVideo(join(made, 'small.mp4'));
  videos.medium = await makeVideo(join(made, 'medium.mp4'), {size: 12 * MiB});
  videos.large = await makeVideo(join(made, 'large.mp4'), {size: 104 * MiB + 5});
  hevc = join(made, 'phone.mkv');
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25:duration=1'];
  const codec = ['-c:v', 'libx265', '-x265-params', 'log-level=error'];
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', ...source, ...codec, hevc]);
});

/** A backend and its page. */
async function start(t, {args = [], ...options} = {}) {
  const backend = await startBackend(t, ...args);
  const page = await openPage(t, backend.api, options);
  page.sent = [];
  page.on('response', (response) => {
    const number = new URL(response.url()).searchParams.get('partNumber');
    if (number && response.ok()) page.sent.push(Number(number));
  });
  // Leaving the page with an upload under way is asked for.
  page.on('dialog', (dialog) => dialog.accept());
  return {backend, page};
}

const choose = (page, ...files) => page.setInputFiles('#file', files.map((file) => file.path ?? file));
const card = (page, name) => page.locator('.card', {has: page.locator('h3', {hasText: name})});
const is = (page, name, state) => card(page, name).and(page.locator(`[data-state="${state}"]`)).waitFor();
const press = (page, name, button) => card(page, name).getByRole('button', {name: button}).click();
const text = (page, name, part) => card(page, name).locator(part).textContent();
const remembered = (page) => page.evaluate(() => Object.values(localStorage).map((one) => JSON.parse(one)));

/** Lets these parts through and holds the others, until it is let go. */
async function hold(page, through) {
  const match = (url) => url.searchParams.has('partNumber');
  const number = (route) => Number(new URL(route.request().url()).searchParams.get('partNumber'));
  const held = [];
  await page.route(match, (route) => (through.includes(number(route)) ? route.continue() : held.push(route)));
  await until('the parts are there', async () => {
    const [trace] = await remembered(page);
    return trace && through.length === page.sent.length && held.length > 0;
  });
}

test('a small file gets its poster, is looked through, played and deleted', async (t) => {
  const {backend, page} = await start(t, {reducedMotion: 'reduce'});
  await page.getByText('No videos yet').waitFor();
  await choose(page, videos.small);
  await is(page, 'small.mp4', 'done');
  const {videoId} = await backend.onlyVideo();
  const poster = card(page, 'small.mp4').locator('img');
  await until('the poster is shown', () => poster.evaluate((img) => img.naturalWidth > 0));
  assert.match(await text(page, 'small.mp4', '.facts'), /0:02.*640×360.*H\.264/);

  const scrub = card(page, 'small.mp4').getByRole('slider');
  await scrub.focus();
  await page.keyboard.press('End');
  await until('a tile is shown', () => scrub.evaluate((el) => el.classList.contains('shown')));

  await press(page, 'small.mp4', 'Play');
  const time = () => page.locator('video').evaluate((video) => video.currentTime);
  await until('it plays', async () => await time() > 0.3);
  const strip = page.getByRole('slider', {name: 'Look through the video'});
  await strip.focus();
  await page.keyboard.press('Home');
  await until('it plays on', async () => await time() > 0.1);
  const {width} = await strip.boundingBox();
  await strip.hover({position: {x: width / 2, y: 10}});
  assert.equal(await page.locator('.peek span').textContent(), '0:01');
  const download = await page.getByRole('link', {name: 'Download the original'}).getAttribute('href');
  const {headers} = await fetch(download);
  assert.equal(headers.get('content-disposition'), "attachment; filename*=UTF-8''small.mp4");
  await page.keyboard.press('Escape');
  await until('it stops', () => page.locator('video').evaluate((video) => !video.hasAttribute('src')));

  await press(page, 'small.mp4', 'Delete');
  await page.getByRole('button', {name: 'Keep it'}).click();
  await press(page, 'small.mp4', 'Delete');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await page.getByText('No videos yet').waitFor();
  assert.equal((await fetch(`${backend.api}/videos/${videoId}`)).status, 404);
  assert.deepEqual(page.errors, [], 'nothing was refused by the Content-Security-Policy, either');
});

test('what the browser cannot play it says in words', async (t) => {
  const {page} = await start(t);
  await choose(page, hevc);
  await is(page, 'phone.mkv', 'done');
  await press(page, 'phone.mkv', 'Play');
  await page.getByRole('alert').getByText('This browser cannot play HEVC in Matroska').waitFor();
  assert.ok(await page.getByRole('link', {name: 'Download the original'}).isVisible());
});

test('an address of the original that has expired is renewed', async (t) => {
  const {page} = await start(t);
  await choose(page, videos.small);
  await is(page, 'small.mp4', 'done');
  let asked = 0;
  await page.route((url) => url.pathname.startsWith('/uploads/'), (route) => {
    asked += 1;
    return asked === 1 ? route.fulfill({status: 403}) : route.continue();
  });
  await press(page, 'small.mp4', 'Play');
  await until('it plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
  assert.ok(asked > 1);
});

test('a large file goes up in parts; it pauses and goes on', async (t) => {
  const {backend, page} = await start(t);
  await network(page, {up: 40 * MiB});
  await choose(page, videos.large);
  await until('some of it is sent', async () => page.sent.length > 1);
  assert.match(await text(page, 'large.mp4', '.facts'), /of 104 MiB.*MiB\/s.*left/);
  assert.match(await page.title(), /^\d+% · Upreel$/);
  await press(page, 'large.mp4', 'Pause');
  await is(page, 'large.mp4', 'paused');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'large.mp4', 'the focus is not lost');
  await network(page, {});
  await press(page, 'large.mp4', 'Resume');
  await is(page, 'large.mp4', 'done');
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
  assert.deepEqual(page.sent.sort((a, b) => a - b), Array.from({length: 14}, (_, i) => i + 1), 'each part once');
  assert.deepEqual(page.errors, []);
});

test('after a reload the upload is offered, and goes on with what is missing', async (t) => {
  const {backend, page} = await start(t);
  await choose(page, videos.large);
  await hold(page, [1, 2, 4]);
  await page.reload();
  await page.unrouteAll();
  await is(page, 'large.mp4', 'interrupted');
  assert.match(await text(page, 'large.mp4', '.facts'), /24\.0 MiB of 104 MiB are there/);
  assert.equal(await page.locator('.card').count(), 1, 'the row of the list is the same');

  const chooser = page.waitForEvent('filechooser');
  await press(page, 'large.mp4', 'Choose the file');
  await (await chooser).setFiles(videos.medium.path);
  await until('it is told from another', async () => /is another file/.test(await text(page, 'large.mp4', '.trouble')));
  page.sent.length = 0;
  await choose(page, videos.large);
  await is(page, 'large.mp4', 'done');
  assert.deepEqual(page.sent.sort((a, b) => a - b), [3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('an interrupted upload is discarded, one under way cancelled, and nothing stays', async (t) => {
  const {backend, page} = await start(t);
  for (const [button, reload] of [['Discard', true], ['Cancel', false]]) {
    page.sent.length = 0;
    await choose(page, videos.large);
    await hold(page, [1, 2]);
    const [{key, uploadId}] = await remembered(page);
    assert.equal((await backend.parts(key, uploadId)).length, 2);
    if (reload) {
      await page.reload();
      await page.unrouteAll();
      await is(page, 'large.mp4', 'interrupted');
    }
    await press(page, 'large.mp4', button);
    await page.getByText('No videos yet').waitFor();
    await until('the parts are gone', async () => (await backend.parts(key, uploadId)) === undefined);
    await until('the row is gone', async () => (await backend.videos()).length === 0);
    await until('it is forgotten', async () => (await remembered(page)).length === 0);
  }
});

test('it says that there is no connection, and goes on when it is back', async (t) => {
  const {backend, page} = await start(t);
  await network(page, {up: 40 * MiB});
  await choose(page, videos.large);
  await until('some of it is sent', async () => page.sent.length > 0);
  await network(page, {offline: true});
  await page.getByText('You are offline').waitFor();
  await until('the card says so', async () => /offline/.test(await text(page, 'large.mp4', '.facts')));
  await network(page, {});
  await is(page, 'large.mp4', 'done');
  assert.ok(await page.getByText('You are offline').isHidden());
  const {videoId} = await backend.onlyVideo();
  await backend.assertStored(`videos/local/${videoId}.mp4`, videos.large);
});

test('a refusal is shown in words, and several files go on beside it', async (t) => {
  const {backend, page} = await start(t, {args: ['--max-upload-bytes', String(13 * MiB)]});
  const notes = {name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.alloc(5 * MiB, 'no video ')};
  const fake = {name: 'fake.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video')};
  await page.setInputFiles('#file', [notes, fake]);
  await choose(page, videos.large, videos.medium, videos.small);
  for (const [name, words] of [
    ['large.mp4', /^A video has at most 13\.0 MiB here\. This one has 104 MiB\.$/],
    ['notes.txt', /^This type is no video/],
    ['fake.mp4', /^These bytes are no video/],
  ]) {
    await is(page, name, 'refused');
    assert.match(await text(page, name, '.trouble'), words);
    await press(page, name, 'Dismiss');
  }
  for (const name of ['medium.mp4', 'small.mp4']) await is(page, name, 'done');
  assert.deepEqual((await backend.videos()).map((video) => video.filename).sort(), ['medium.mp4', 'small.mp4']);
  assert.equal(page.sent.length, 0, 'of the large one nothing was sent');
});

test('a file that fails is tried again', async (t) => {
  const {backend, page} = await start(t);
  const refuse = (route) => route.fulfill({status: 404, json: {code: 'NOT_FOUND', detail: 'There is no such upload.'}});
  await page.route('**/presign?*', refuse);
  await choose(page, videos.medium);
  await is(page, 'medium.mp4', 'broken');
  assert.equal(await text(page, 'medium.mp4', '.trouble'), 'There is no such upload.');
  await page.unroute('**/presign?*', refuse);
  await press(page, 'medium.mp4', 'Try again');
  await is(page, 'medium.mp4', 'done');
  await backend.onlyVideo();
});

test('what one tab uploads the other shows, and does not offer to resume', async (t) => {
  const {backend, page} = await start(t);
  await choose(page, videos.large);
  await hold(page, [1]);
  const other = await page.context().newPage();
  await other.goto(backend.api);
  await is(other, 'large.mp4', 'pending');
  await page.reload();
  await page.unrouteAll();
  await is(page, 'large.mp4', 'interrupted');
  await choose(page, videos.large);
  await is(page, 'large.mp4', 'done');
  await is(other, 'large.mp4', 'done');
  await press(other, 'large.mp4', 'Delete');
  await other.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await until('the row is gone', async () => (await backend.videos()).length === 0);
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await page.getByText('No videos yet').waitFor();
});

test('on a phone nothing is wider than the screen', async (t) => {
  const {page} = await start(t, {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true});
  await choose(page, videos.small);
  await is(page, 'small.mp4', 'done');
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await width(), 390);
  await card(page, 'small.mp4').getByRole('button', {name: 'Play'}).tap();
  await until('it plays', () => page.locator('video').evaluate((video) => video.currentTime > 0));
  assert.equal(await width(), 390);
});
