// The page of the local backend with `--transcode`: how renditions come into being, and how they are played.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {basename, dirname, join} from 'node:path';
import {before, test} from 'node:test';
import {folder, makeVideo, openPage, servePages, startBackend, startLine, until} from './harness.js';

/** Few pictures, so that it is encoded soon; so long that there are two chunks, of 60 and 10 seconds. */
const FILM = {seconds: 70, rate: 5, picture: '854x480'};
const BORDER = 60;

const root = join(import.meta.dirname, '../..');
const hls = dirname(createRequire(import.meta.url).resolve('hls.js'));
const videos = {};
/** One for all tests that let it work undisturbed, and what it has made of the videos. */
let backend;
const made = {};

before(async (t) => {
  const place = await folder(t);
  videos.film = await makeVideo(join(place, 'film.mp4'), {...FILM, sound: true});
  videos.silent = await makeVideo(join(place, 'silent.mp4'), FILM);
  videos.doomed = await makeVideo(join(place, 'doomed.mp4'), {...FILM, sound: true});
  backend = await startBackend(t, '--transcode');
  for (const [name, video] of Object.entries(videos)) made[name] = await put(video);
  for (const [name, id] of Object.entries(made)) made[name] = await transcoded(id);
});

/** Uploads a file, past the page. */
async function put({path}) {
  const query = new URLSearchParams({name: basename(path), type: 'video/mp4'});
  const {uploadUrl, videoId, headers} = await backend.json(`/presign?${query}`);
  const answer = await fetch(uploadUrl, {method: 'PUT', headers, body: await readFile(path)});
  assert.equal(answer.status, 200);
  return videoId;
}

/** Waits for its renditions. */
async function transcoded(id) {
  const ended = async () => {
    const video = await backend.json(`/videos/${id}`);
    return ['DONE', 'FAILED'].includes(video.transcode?.status) && video;
  };
  const video = await until('it is transcoded', ended);
  assert.equal(video.transcode.status, 'DONE', JSON.stringify(video));
  return video;
}

/** A backend whose ffmpeg runs this line of shell before it encodes; with its folder. */
async function startOtherwise(t, before) {
  const place = await folder(t);
  const script = join(place, 'ffmpeg');
  const real = process.env.FFMPEG_PATH;
  await writeFile(script, `#!/bin/sh\ncd ${place}\n${before}\nexec ${real} "$@"\n`, {mode: 0o755});
  return {backend: await startBackend(t, '--transcode', '--ffmpeg', script), place};
}

const card = (page, name) => page.locator('.card', {has: page.locator('h3', {hasText: name})});
const element = (page) => page.locator('video');
const current = (page) => element(page).evaluate((video) => video.currentTime);
const bar = (page) => page.getByRole('slider', {name: 'Look through the video'});
const isStream = (page) => element(page).evaluate((video) => video.src.startsWith('blob:'));
/** Bytes of sound that were decoded. */
const heard = (page) => element(page).evaluate((video) => video.webkitAudioDecodedByteCount);
const asked = (page, part) => page.requests.filter((request) => request.url().includes(part));

/** Opens a page and plays one of the videos there; `shown` has the time of each picture that was shown. */
async function play(t, name, {prepare, ...options} = {}) {
  const page = await openPage(t, backend.api, options);
  await prepare?.(page);
  await element(page).evaluate((video) => {
    window.shown = [];
    const look = (_, {mediaTime}) => (shown.push(mediaTime), video.requestVideoFrameCallback(look));
    video.requestVideoFrameCallback(look);
  });
  await card(page, name).getByRole('button', {name: 'Play'}).click();
  return page;
}

const plays = (page) => until('it plays', async () => await current(page) > 0.5);

/** Waits until a picture of this moment has been shown. */
async function seen(page, moment) {
  const near = (wanted) => shown.some((time) => Math.abs(time - wanted) < 2);
  await until(`a picture of ${moment} s`, () => page.evaluate(near, moment));
}

test('the copy of hls.js is the one that the lock file names', async () => {
  const vendor = join(root, 'web/page/vendor');
  for (const [ours, theirs] of [['hls.min.mjs', 'hls.min.mjs'], ['LICENSE', '../LICENSE']]) {
    assert.ok((await readFile(join(vendor, ours))).equals(await readFile(join(hls, theirs))), ours);
  }
});

test('a bar shows how far the renditions are, and the original plays meanwhile', async (t) => {
  // The second chunk waits until somebody writes into the pipe.
  const wait = 'case "$*" in *-ss*libx264*) read go < pipe;; esac';
  const {backend, place} = await startOtherwise(t, wait);
  execFileSync('mkfifo', [join(place, 'pipe')]);
  const page = await openPage(t, backend.api);
  await page.setInputFiles('#file', videos.film.path);
  const progress = card(page, 'film.mp4').getByRole('progressbar', {name: 'HLS of film.mp4'});
  await card(page, 'film.mp4').getByText('Making HLS: 1 of 2 parts').waitFor();
  assert.deepEqual(await progress.evaluate(({value, max}) => [value, max]), [1, 2]);

  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await plays(page);
  assert.equal(await isStream(page), false);
  await page.keyboard.press('Escape');

  await writeFile(join(place, 'pipe'), 'go\n');
  await card(page, 'film.mp4').locator('.facts', {hasText: 'HLS'}).waitFor();
  assert.ok(await progress.isHidden());
  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await plays(page);
  assert.equal(await isStream(page), true);
  assert.deepEqual(page.errors, [], 'nothing was refused by the Content-Security-Policy, either');
});

test('why there are no renditions it says in words, and the original plays', async (t) => {
  const {backend} = await startOtherwise(t, 'case "$*" in *libx264*) exit 1;; esac');
  const page = await openPage(t, backend.api);
  await page.setInputFiles('#file', videos.film.path);
  await card(page, 'film.mp4').getByText('No HLS, only the original. The file is damaged').waitFor();
  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await plays(page);
  assert.deepEqual([await isStream(page), asked(page, 'hls.min.mjs').length], [false, 0]);
  assert.deepEqual(page.errors, []);
});

test('it plays over the border of two chunks to the end', async (t) => {
  const page = await play(t, 'film.mp4');
  await plays(page);
  await element(page).evaluate((video, from) => {
    video.currentTime = from;
    video.playbackRate = 4;
  }, BORDER - 8);
  await until('it has ended', () => element(page).evaluate((video) => video.ended));
  const {end, ranges, shown, duration} = await element(page).evaluate((video) => ({
    end: video.currentTime,
    ranges: Array.from({length: video.buffered.length}, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
    shown: window.shown,
    duration: video.duration,
  }));
  assert.ok(Math.abs(duration - FILM.seconds) < 1 && end === duration, `${end} of ${duration}`);
  const whole = ranges.find(([from, to]) => from < BORDER && to > BORDER);
  assert.ok(whole?.[1] >= duration - 0.5, `no gap at the border: ${JSON.stringify(ranges)}`);
  for (const [from, to] of [[BORDER - 3, BORDER], [BORDER, BORDER + 3], [duration - 2, duration]]) {
    assert.ok(shown.some((time) => time >= from && time < to), `a picture from ${from} to ${to}: ${shown}`);
  }
  assert.ok(await heard(page) > 0);
  await page.getByRole('button', {name: 'Play', exact: true}).click();
  await until('it begins again', async () => await current(page) < 5);
  assert.deepEqual(page.errors, []);
});

test('the bar seeks, with the tile of the moment above it', async (t) => {
  const page = await play(t, 'film.mp4', {viewport: {width: 900, height: 800}});
  await plays(page);
  const {x, y, width, height} = await bar(page).boundingBox();
  // Its ends are half a thumb inside.
  const place = (at) => [x + height / 2 + (at / FILM.seconds) * (width - height), y + height / 2];
  const peek = page.locator('.peek');
  const tile = async () => (await peek.locator('canvas').screenshot()).toString('base64');
  const tiles = new Set();
  for (const at of [10, 30, 50]) {
    await page.mouse.move(...place(at));
    await until('the tile is shown', () => peek.locator('canvas').isVisible());
    assert.match(await peek.textContent(), new RegExp(`^0:${at}$`));
    tiles.add(await tile());
  }
  assert.equal(tiles.size, 3, 'each moment has a tile of its own');
  await page.mouse.click(...place(50));
  await seen(page, 50);
  await page.mouse.move(x, y - 200);
  assert.ok(await peek.isHidden());

  await page.mouse.move(...place(20));
  await page.mouse.down();
  await page.mouse.move(...place(40), {steps: 5});
  assert.match(await peek.textContent(), /^0:40$/);
  await page.mouse.up();
  await seen(page, 40);
  await page.mouse.move(x, y - 200);

  await page.keyboard.press('Space');
  await until('it pauses', () => element(page).evaluate((video) => video.paused));
  const before = await current(page);
  await page.keyboard.press('ArrowRight');
  assert.ok(Math.abs(await current(page) - before - 5) < 0.01);
  assert.ok(await peek.isVisible(), 'also for the keyboard');
  await until('it is told', async () => /^0:4\d of 1:10$/.test(await bar(page).getAttribute('aria-valuetext')));
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  assert.equal(await current(page), 0);
  await page.keyboard.press('m');
  await page.getByRole('button', {name: 'Unmute'}).click();
  await page.getByRole('slider', {name: 'Volume'}).press('ArrowLeft');
  assert.equal(await element(page).evaluate((video) => video.volume), 0.95);
  await page.getByRole('button', {name: 'Full screen'}).click();
  await until('it is large', () => page.evaluate(() => document.fullscreenElement?.matches('.film')));
  await page.keyboard.press('f');
  await until('it is small', () => page.evaluate(() => !document.fullscreenElement));
  assert.deepEqual(page.errors, []);
});

test('a finger drags the bar', async (t) => {
  const page = await play(t, 'film.mp4', {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true});
  await plays(page);
  const {x, y, width, height} = await bar(page).boundingBox();
  const touch = async (type, part) => {
    page.devtools ??= await page.context().newCDPSession(page);
    const points = part === undefined ? [] : [{x: x + part * width, y: y + height / 2}];
    await page.devtools.send('Input.dispatchTouchEvent', {type, touchPoints: points});
  };
  await touch('touchStart', 0.2);
  await touch('touchMove', 0.3);
  await touch('touchMove', 0.5);
  await page.locator('.peek canvas').waitFor();
  await touch('touchEnd');
  await until('the tile goes', () => page.locator('.peek').isHidden());
  await seen(page, FILM.seconds / 2);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(page.errors, []);
});

test('the quality can be chosen', async (t) => {
  const page = await play(t, 'film.mp4');
  await plays(page);
  const quality = page.getByRole('combobox', {name: 'Quality'});
  const lines = () => element(page).evaluate((video) => video.videoHeight);
  assert.deepEqual((await quality.locator('option').allTextContents()).slice(1), ['480p', '360p']);
  for (const wanted of [360, 480]) {
    await quality.selectOption(`${wanted}p`);
    await until(`there are ${wanted} lines`, async () => await lines() === wanted);
  }
  assert.equal(await quality.locator('option').first().textContent(), 'Auto');
  await quality.selectOption('Auto');
  await until('it says which that is', async () => /^Auto \(\d+p\)/.test(await quality.textContent()));
  assert.deepEqual(page.errors, []);
});

test('a video without sound', async (t) => {
  const page = await play(t, 'silent.mp4');
  await plays(page);
  await element(page).evaluate((video) => Object.assign(video, {currentTime: 66, playbackRate: 4}));
  await until('it has ended', () => element(page).evaluate((video) => video.ended));
  assert.deepEqual([asked(page, '/audio/').length, await heard(page)], [0, 0]);
  assert.deepEqual(page.errors, []);
});

test('without Media Source Extensions the browser plays HLS itself, or the original', async (t) => {
  const page = await play(t, 'film.mp4', {prepare: (page) => page.evaluate(() => { delete window.MediaSource; })});
  await plays(page);
  const able = await element(page).evaluate((video) => video.canPlayType('application/vnd.apple.mpegurl'));
  assert.equal(asked(page, '.m4s').length > 0, able !== '');
  assert.equal(asked(page, '/uploads/').length > 0, able === '');
  assert.deepEqual([await isStream(page), asked(page, 'hls.min.mjs').length], [false, 0]);
  assert.deepEqual(page.errors, []);
});

test('addresses of segments that have expired are renewed', async (t) => {
  let expired = true;
  const prepare = async (page) => {
    await page.route(/\.m4s/, async (route) => {
      const url = route.request().url();
      if (expired) return route.continue({url: await backend.expired('GET', url)});
      return route.continue();
    });
    page.on('request', () => {
      // It is read a second time, for new addresses.
      if (asked(page, 'master.m3u8').length > 1) expired = false;
    });
  };
  const page = await play(t, 'film.mp4', {prepare});
  await plays(page);
  assert.equal(await isStream(page), true);
});

test('where the renditions cannot be loaded the original plays', async (t) => {
  const page = await play(t, 'film.mp4', {prepare: (page) => page.route(/\.m4s/, (route) => route.abort())});
  await plays(page);
  assert.equal(await isStream(page), false);
  assert.ok(await page.getByRole('combobox', {name: 'Quality'}).isHidden());
});

/** Plays a video into the second chunk, whose segments are held until they are let go. */
async function playHeld(t, name, options) {
  const held = [];
  let holds = true;
  const hold = (route) => (holds ? held.push(route) : route.continue());
  const page = await play(t, name, {...options, prepare: (page) => page.route(/0001-\d+\.m4s/, hold)});
  await plays(page);
  await element(page).evaluate((video, to) => { video.currentTime = to; }, BORDER + 4);
  await until('it asks for it', () => held.length > 0);
  const letGo = async () => {
    holds = false;
    for (const route of held) await route.continue();
  };
  return {page, letGo};
}

test('when the server is away it says so, and tries again', async (t) => {
  const line = await startLine(t);
  const {page, letGo} = await playHeld(t, 'film.mp4', {proxy: line.proxy});
  line.cut();
  await letGo();
  await page.getByRole('alert').getByText('The server cannot be reached.').waitFor();
  line.mend();
  await page.getByRole('dialog').getByRole('button', {name: 'Try again'}).click();
  await seen(page, BORDER + 4);
  assert.equal(await isStream(page), true);
});

test('what is deleted while it plays it says in words', async (t) => {
  const {page, letGo} = await playHeld(t, 'doomed.mp4');
  const {status} = await fetch(`${backend.api}/videos/${made.doomed.videoId}`, {method: 'DELETE'});
  assert.equal(status, 204);
  await letGo();
  await page.getByRole('alert').getByText('This video has been deleted.').waitFor();
  assert.ok(await page.getByRole('dialog').getByRole('button', {name: 'Try again'}).isHidden());
});

test('the words of the README play HLS on a page of another site', async (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, snippet] = readme.match(/```js\n(import Hls from 'hls\.js';\n[^]*?)```/);
  const script = snippet.replace("'hls.js'", "'/hls.js'");
  const page = await openPage(t, await servePages(t, {
    '/index.html': '<!doctype html><link rel=icon href=data:,><video muted autoplay></video>',
    '/snippet.js': `const {api, idToken, video} = window;\nconst element = document.querySelector('video');\n${script}`,
    '/hls.js': readFileSync(join(hls, 'hls.min.mjs'), 'utf8'),
  }));
  await page.evaluate((given) => Object.assign(window, given), {api: backend.api, idToken: 'token', video: made.film});
  await page.evaluate(() => import('/snippet.js'));
  await plays(page);
  const authorized = async (part) => {
    const sent = await Promise.all(asked(page, part).map((request) => request.headerValue('authorization')));
    assert.ok(sent.length > 0, part);
    return new Set(sent);
  };
  assert.deepEqual(await authorized('.m3u8'), new Set(['token']));
  assert.deepEqual(await authorized('.m4s'), new Set([null]));
  assert.deepEqual(page.errors, []);
});
