// The page of the local backend with `--transcode`: the progress of transcoding, and playback of HLS.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {readFile, readdir, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {basename, dirname, join} from 'node:path';
import {before, test} from 'node:test';
import {
  accessibility, assertChoices, choose, folder, makeVideo, openPage, servePages, startBackend, startProxy, until, waitForControls,
} from './harness.js';
import {vendored} from './vendor.js';

/** Few frames, so that encoding is fast, but long enough for two chunks of 60 and 10 seconds. */
const VIDEO = {seconds: 70, rate: 5, resolution: '854x480'};
/** Where the second chunk starts, in seconds. */
const CHUNK_BOUNDARY = 60;

const root = join(import.meta.dirname, '../..');
const hls = dirname(createRequire(import.meta.url).resolve('hls.js'));
const videos = {};
/** The backend shared by the tests that need no special ffmpeg, and its videos. */
let backend;
const transcoded = {};

before(async (t) => {
  const dir = await folder(t);
  videos.film = await makeVideo(join(dir, 'film.mp4'), {...VIDEO, audio: true});
  videos.silent = await makeVideo(join(dir, 'silent.mp4'), VIDEO);
  videos.doomed = await makeVideo(join(dir, 'doomed.mp4'), {...VIDEO, audio: true});
  videos.quiet = await makeVideo(join(dir, 'quiet.mp4'), {...VIDEO, seconds: 40, audio: 8});
  videos.held = await makeVideo(join(dir, 'held.mp4'), {...VIDEO, seconds: 2, audio: 150});
  backend = await startBackend(t, '--transcode');
  for (const [name, video] of Object.entries(videos)) transcoded[name] = await put(video);
  for (const [name, id] of Object.entries(transcoded)) transcoded[name] = await waitForRenditions(id);
});

/** Uploads a file through the API, without the page. */
async function put({path}) {
  const query = new URLSearchParams({name: basename(path), type: 'video/mp4'});
  const {uploadUrl, videoId, headers} = await backend.json(`/presign?${query}`);
  const response = await fetch(uploadUrl, {method: 'PUT', headers, body: await readFile(path)});
  assert.equal(response.status, 200);
  return videoId;
}

/** Waits until a video is transcoded and returns it. */
async function waitForRenditions(id) {
  const finished = async () => {
    const video = await backend.json(`/videos/${id}`);
    return ['DONE', 'FAILED'].includes(video.transcode?.status) && video;
  };
  const video = await until('the video is transcoded', finished);
  assert.equal(video.transcode.status, 'DONE', JSON.stringify(video));
  return video;
}

/** Starts a backend whose ffmpeg is a script that runs a line of shell, in the folder `dir`, before the real ffmpeg. */
async function startWithScript(t, line) {
  const dir = await folder(t);
  const script = join(dir, 'ffmpeg');
  const real = process.env.FFMPEG_PATH;
  await writeFile(script, `#!/bin/sh\ncd ${dir}\n${line}\nexec ${real} "$@"\n`, {mode: 0o755});
  return {backend: await startBackend(t, '--transcode', '--ffmpeg', script), dir};
}

const card = (page, name) => page.locator('.card', {has: page.locator('h3', {hasText: name})});
const element = (page) => page.locator('video');
const current = (page) => element(page).evaluate((video) => video.currentTime);
const seekBar = (page) => page.getByRole('slider', {name: 'Seek'});
const isStream = (page) => element(page).evaluate((video) => video.src.startsWith('blob:'));
/** Returns the number of audio bytes decoded so far. */
const decodedAudio = (page) => element(page).evaluate((video) => video.webkitAudioDecodedByteCount);
const requestsFor = (page, text) => page.requests.filter((request) => request.url().includes(text));

/** Opens a page and plays a video. In the page, `shown` collects the time of each frame that was displayed. */
async function play(t, name, {prepare, ...options} = {}) {
  const page = await openPage(t, backend.api, options);
  await prepare?.(page);
  await element(page).evaluate((video) => {
    window.shown = [];
    const record = (_, {mediaTime}) => (shown.push(mediaTime), video.requestVideoFrameCallback(record));
    video.requestVideoFrameCallback(record);
  });
  await waitForControls(page);
  await card(page, name).getByRole('button', {name: 'Play'}).click();
  return page;
}

const waitForPlayback = (page) => until('the video plays', async () => await current(page) > 0.5);

/** Waits until a frame within 2 seconds of a time has been displayed. */
async function waitForFrame(page, seconds) {
  const isShown = (wanted) => shown.some((time) => Math.abs(time - wanted) < 2);
  await until(`a frame at ${seconds} s is shown`, () => page.evaluate(isShown, seconds));
}

test('the vendored libraries are the versions in the lock file', async () => {
  const folder = join(root, 'web/page/vendor');
  const files = await vendored();
  assert.deepEqual((await readdir(folder)).sort(), Object.keys(files).sort());
  for (const [name, text] of Object.entries(files)) {
    assert.ok(await readFile(join(folder, name), 'utf8') === text, `${name} differs: run npm run vendor`);
  }
});

test('shows transcoding progress while the original can be played', async (t) => {
  // The second chunk is not encoded until the test writes to the pipe.
  const wait = 'case "$*" in *"]trim=start_pts=0:"*) ;; *libx264*) read go < pipe;; esac';
  const {backend, dir} = await startWithScript(t, wait);
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  const page = await openPage(t, backend.api);
  await page.setInputFiles('#file', videos.film.path);
  const progress = card(page, 'film.mp4').getByRole('progressbar', {name: 'Transcoding of film.mp4'});
  await card(page, 'film.mp4').getByText('Transcoding: 1 of 2 chunks').waitFor();
  assert.deepEqual(await progress.evaluate(({value, max}) => [value, max]), [1, 2]);

  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await waitForPlayback(page);
  await assertChoices(page, 'Quality', ['Original · 480p', 'Auto (Original · 480p)']);
  await page.keyboard.press('Escape');

  await writeFile(join(dir, 'pipe'), 'go\n');
  await progress.waitFor({state: 'hidden'});
  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await waitForPlayback(page);
  await assertChoices(page, 'Quality', ['480p', '360p', /^Auto/]);
  assert.deepEqual(page.errors, [], 'no errors, including Content-Security-Policy violations');
});

test('shows why transcoding failed, and plays the original', async (t) => {
  const {backend} = await startWithScript(t, 'case "$*" in *libx264*) exit 1;; esac');
  const page = await openPage(t, backend.api);
  await page.setInputFiles('#file', videos.film.path);
  const message = 'Transcoding failed. Only the original can be played. The file is damaged';
  await card(page, 'film.mp4').getByText(message).waitFor();
  await card(page, 'film.mp4').getByRole('button', {name: 'Play'}).click();
  await waitForPlayback(page);
  await assertChoices(page, 'Quality', ['Original · 480p', 'Auto (Original · 480p)']);
  assert.deepEqual(page.errors, []);
});

test('plays across a chunk boundary to the end', async (t) => {
  const page = await play(t, 'film.mp4');
  await waitForPlayback(page);
  await element(page).evaluate((video, from) => {
    video.currentTime = from;
    video.playbackRate = 4;
  }, CHUNK_BOUNDARY - 8);
  await until('the video has ended', () => element(page).evaluate((video) => video.ended));
  const {end, ranges, duration} = await element(page).evaluate((video) => ({
    end: video.currentTime,
    ranges: Array.from({length: video.buffered.length}, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
    duration: video.duration,
  }));
  assert.ok(Math.abs(duration - VIDEO.seconds) < 1 && end === duration, `${end} of ${duration}`);
  const range = ranges.find(([from, to]) => from < CHUNK_BOUNDARY && to > CHUNK_BOUNDARY);
  assert.ok(range?.[1] >= duration - 0.5, `no gap at the chunk boundary: ${JSON.stringify(ranges)}`);
  assert.ok(await decodedAudio(page) > 0);
  await page.getByRole('button', {name: 'play', exact: true}).click();
  await until('it restarts from the beginning', async () => await current(page) < 5);
  await element(page).evaluate((video) => video.pause());
  // A slow machine drops frames, so each of these is looked up while playback is paused.
  for (const seconds of [CHUNK_BOUNDARY - 0.1, CHUNK_BOUNDARY + 0.1, duration - 0.3]) {
    await element(page).evaluate((video, to) => {
      shown.length = 0;
      video.currentTime = to;
    }, seconds);
    const isShown = (wanted) => shown.some((time) => time <= wanted && wanted < time + 0.4);
    await until(`the frame at ${seconds} s is shown`, () => page.evaluate(isShown, seconds));
  }
  assert.deepEqual(page.errors, []);
});

test('the seek bar seeks with mouse and keyboard, and previews storyboard tiles', async (t) => {
  const page = await play(t, 'film.mp4', {viewport: {width: 900, height: 800}});
  await waitForPlayback(page);
  const {x, y, width, height} = await seekBar(page).boundingBox();
  // The middle of a second: its time is shown without the fraction.
  const positionOf = (at) => [x + ((at + 0.5) / VIDEO.seconds) * width, y + height / 2];
  const canvas = page.locator('canvas[slot="preview"]');
  const label = page.locator('media-preview-time-display[slot] slot');
  const tile = async () => (await canvas.screenshot()).toString('base64');
  const tiles = new Set();
  for (const at of [10, 30, 50]) {
    await page.mouse.move(...positionOf(at));
    await until('the tile is shown', async () => await canvas.isVisible() && await label.textContent() === `0:${at}`);
    tiles.add(await tile());
  }
  assert.equal(tiles.size, 3, 'each position has a different tile');
  await page.mouse.click(...positionOf(50));
  await waitForFrame(page, 50);
  await page.mouse.move(x, y - 200);
  await until('the preview is hidden', () => canvas.isHidden());

  await page.mouse.move(...positionOf(20));
  await page.mouse.down();
  await page.mouse.move(...positionOf(40), {steps: 5});
  await until('the time is shown', async () => await label.textContent() === '0:40');
  await page.mouse.up();
  await waitForFrame(page, 40);
  await page.mouse.move(x, y - 200);

  await page.keyboard.press('Space');
  await until('the video pauses', () => element(page).evaluate((video) => video.paused));
  const before = await current(page);
  await page.keyboard.press('ArrowRight');
  assert.ok(Math.abs(await current(page) - before - 5) < 0.01);
  await page.locator('canvas[slot="current"]').waitFor(); // the keyboard shows the preview too
  const valueText = () => seekBar(page).getAttribute('aria-valuetext');
  await until('aria-valuetext is updated', async () => /^4\d seconds of 1 minute, 10 seconds$/.test(await valueText()));
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  assert.equal(await current(page), 0);
  await page.keyboard.press('m');
  await page.getByRole('button', {name: 'Unmute'}).click();
  await page.getByRole('slider', {name: 'Volume'}).press('ArrowLeft');
  assert.equal(await element(page).evaluate((video) => video.volume), 0.95);
  await page.getByRole('button', {name: 'enter fullscreen mode'}).click();
  await until('the player is in full screen', () => page.evaluate(() => document.fullscreenElement?.matches('.film')));
  await page.keyboard.press('f');
  await until('the player has left full screen', () => page.evaluate(() => !document.fullscreenElement));
  assert.deepEqual(page.errors, []);
});

test('the usual keys of players work, and speed and captions can be chosen', async (t) => {
  const page = await play(t, 'film.mp4');
  await waitForPlayback(page);
  const video = element(page);
  const of = (property) => video.evaluate((el, name) => el[name], property);
  await page.keyboard.press('k');
  await until('the video pauses', () => of('paused'));
  // The keys of media-chrome start from what the controls show.
  const press = async (key, slider, text) => {
    await page.keyboard.press(key);
    const value = () => page.getByRole('slider', {name: slider}).getAttribute('aria-valuetext');
    await until(`${slider} is ${text} after ${key}`, async () => await value() === text);
  };
  await press('5', 'seek', '35 seconds of 1 minute, 10 seconds');
  assert.ok(Math.abs(await current(page) - VIDEO.seconds / 2) < 0.5, `${await current(page)}`);
  const before = await current(page);
  await press('l', 'seek', '45 seconds of 1 minute, 10 seconds');
  assert.ok(Math.abs(await current(page) - before - 10) < 0.1);
  await press('j', 'seek', '35 seconds of 1 minute, 10 seconds');
  assert.ok(Math.abs(await current(page) - before) < 0.1);
  await press('ArrowDown', 'volume', '95%');
  await press('ArrowDown', 'volume', '90%');
  await press('ArrowUp', 'volume', '95%');
  assert.ok(Math.abs(await of('volume') - 0.95) < 1e-6);
  await page.keyboard.press('Shift+>');
  assert.equal(await of('playbackRate'), 1.25);
  const speed = page.getByRole('button', {name: 'Playback rate 1.25'});
  await speed.click();
  await page.getByRole('menuitemradio', {name: '1.25x', checked: true}).waitFor();
  await until('the menu has the focus', () => page.evaluate(() => document.activeElement.matches('media-playback-rate-menu')));
  for (const key of ['End', 'ArrowUp', 'ArrowUp', 'ArrowDown']) await page.keyboard.press(key);
  assert.ok(Math.abs(await current(page) - before) < 0.1, 'a menu keeps its keys');
  assert.ok(Math.abs(await of('volume') - 0.95) < 1e-6);
  await page.keyboard.press('Enter');
  await until('the speed is changed', async () => await of('playbackRate') === 1.75);
  await page.getByRole('button', {name: 'Playback rate 1.75'}).click();
  await until('the menu has the focus', () => page.evaluate(() => document.activeElement.matches('media-playback-rate-menu')));
  await page.keyboard.press('Escape');
  await until('the menu is closed', () => page.getByRole('menu').isHidden());
  assert.ok(await page.getByRole('dialog').isVisible());

  const captions = page.getByRole('button', {name: 'closed captions'});
  assert.ok(await captions.isHidden(), 'the video has none');
  await video.evaluate((el) => el.addTextTrack('captions', 'English', 'en'));
  await captions.waitFor();
  await assertChoices(page, 'Captions', ['Off', 'English']);
  const mode = () => video.evaluate((el) => el.textTracks[0].mode);
  await choose(page, 'closed captions', 'English');
  await until('the captions are shown', async () => await mode() === 'showing');
  await seekBar(page).press('c');
  await until('the captions are hidden', async () => await mode() === 'disabled');
  assert.deepEqual(page.errors, []);
});

test('all controls of the player can be reached with the Tab key, show the focus, and menus are accessible', async (t) => {
  const page = await play(t, 'film.mp4');
  await waitForPlayback(page);
  await element(page).evaluate((el) => {
    el.pause();
    el.addTextTrack('captions', 'English', 'en');
  });
  await page.getByRole('button', {name: 'closed captions'}).waitFor();
  await page.getByRole('button', {name: 'Close the player'}).focus();
  const names = [];
  for (;;) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const host = document.activeElement;
      const inner = host.shadowRoot?.activeElement ?? host;
      const {outlineStyle, boxShadow} = getComputedStyle(host);
      return {name: inner.ariaLabel ?? inner.textContent, ring: outlineStyle !== 'none' || boxShadow !== 'none'};
    });
    assert.ok(focused.ring, `${focused.name} shows no focus`);
    names.push(focused.name);
    if (focused.name === 'Download the original') break;
    assert.ok(names.length < 20, `${names}`);
  }
  assert.deepEqual(names, [
    'video player', 'seek', 'play', 'mute', 'volume', 'closed captions', 'Playback rate 1', 'quality',
    'enter picture in picture mode', 'enter fullscreen mode', 'Use this frame as the poster', 'Download the original',
  ]);
  for (const name of ['closed captions', 'Playback rate 1', 'quality']) {
    await page.getByRole('button', {name}).click();
    await page.getByRole('menu').waitFor();
    await accessibility(page);
    await page.getByRole('button', {name}).click();
    await until('the menu is closed', () => page.getByRole('menu').isHidden());
  }
  assert.deepEqual(page.errors, []);
});

test('the frame that is shown becomes the poster, with the keyboard alone', async (t) => {
  const page = await play(t, 'silent.mp4');
  await waitForPlayback(page);
  await page.keyboard.press('Space');
  await until('the video pauses', () => element(page).evaluate((video) => video.paused));
  await page.keyboard.press('5');
  await waitForFrame(page, VIDEO.seconds / 2);
  await until('the seek ends', () => element(page).evaluate((video) => !video.seeking));
  const poster = card(page, 'silent.mp4').getByRole('img', {name: 'Poster of silent.mp4'});
  /** Returns the mean difference between the poster of the card and the frame in the player. */
  const difference = () => poster.evaluate(async (shown) => {
    const image = Object.assign(new Image(), {crossOrigin: 'anonymous', src: shown.src});
    await image.decode();
    const [a, b] = [image, document.querySelector('video')].map((source) => {
      const context = new OffscreenCanvas(64, 36).getContext('2d');
      context.drawImage(source, 0, 0, 64, 36);
      return context.getImageData(0, 0, 64, 36).data;
    });
    return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
  });
  const before = await difference();
  const button = page.getByRole('button', {name: 'Use this frame as the poster'});
  const status = page.getByRole('dialog').getByRole('status');
  await button.focus();
  await page.keyboard.press('Enter');
  await status.getByText('This frame is the poster.').waitFor();
  assert.ok(await button.evaluate((el) => el === document.activeElement), 'the button keeps the focus');
  const [request] = requestsFor(page, '/poster');
  assert.deepEqual([request.method(), request.postDataJSON()], ['PUT', {time: await current(page)}]);
  const after = await difference();
  assert.ok(after < before / 3, `the difference is ${after}, and was ${before}`);
  await until('the card shows the poster', () => poster.evaluate((img) => img.complete && img.naturalWidth > 0));
  await accessibility(page);

  await page.route('**/poster', (route) => route.fulfill({
    status: 422, contentType: 'application/problem+json', body: JSON.stringify({code: 'UNDECODABLE', message: 'No frame.'}),
  }));
  await button.click();
  await status.getByText('Could not change the poster. No frame.').waitFor();
  await page.keyboard.press('Escape');
  await card(page, 'silent.mp4').getByRole('button', {name: 'Play'}).click();
  await waitForPlayback(page);
  assert.equal(await status.textContent(), '');
  // The browser reports the response with status 422.
  assert.equal(page.errors.length, 1, page.errors.join());
});

test('the seek bar can be dragged by touch', async (t) => {
  const page = await play(t, 'film.mp4', {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true});
  await waitForPlayback(page);
  const {x, y, width, height} = await seekBar(page).boundingBox();
  const touch = async (type, fraction) => {
    page.devtools ??= await page.context().newCDPSession(page);
    const points = fraction === undefined ? [] : [{x: x + fraction * width, y: y + height / 2}];
    await page.devtools.send('Input.dispatchTouchEvent', {type, touchPoints: points});
  };
  await touch('touchStart', 0.2);
  await touch('touchMove', 0.3);
  await touch('touchMove', 0.5);
  await page.locator('canvas[slot="preview"]').waitFor();
  await touch('touchEnd');
  await until('the preview is hidden', () => page.locator('canvas[slot="preview"]').isHidden());
  await waitForFrame(page, VIDEO.seconds / 2);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(page.errors, []);
});

test('the quality can be selected', async (t) => {
  const page = await play(t, 'film.mp4');
  await waitForPlayback(page);
  const height = () => element(page).evaluate((video) => video.videoHeight);
  await assertChoices(page, 'Quality', ['480p', '360p', /^Auto/]);
  for (const wanted of [360, 480]) {
    await choose(page, 'quality', `${wanted}p`);
    await until(`the video is ${wanted}p`, async () => await height() === wanted);
  }
  await assertChoices(page, 'Quality', ['480p', '360p', 'Auto']);
  await choose(page, 'quality', 'Auto');
  await assertChoices(page, 'Quality', ['480p', '360p', /^Auto \(\d+p\)$/]);
  assert.deepEqual(page.errors, []);
});

test('plays a video without audio', async (t) => {
  const page = await play(t, 'silent.mp4');
  await waitForPlayback(page);
  await element(page).evaluate((video) => Object.assign(video, {currentTime: 66, playbackRate: 4}));
  await until('the video has ended', () => element(page).evaluate((video) => video.ended));
  assert.deepEqual([requestsFor(page, '/audio/').length, await decodedAudio(page)], [0, 0]);
  assert.deepEqual(page.errors, []);
});

/** Plays a video at four times the speed from a time to its end, and returns where it ended. */
async function playToTheEnd(page, from) {
  await waitForPlayback(page);
  await element(page).evaluate((video, from) => Object.assign(video, {currentTime: from, playbackRate: 4}), from);
  await until('the video has ended', () => element(page).evaluate((video) => video.ended));
  return element(page).evaluate((video) => ({
    end: video.currentTime,
    ranges: Array.from({length: video.buffered.length}, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
    first: window.shown[0],
    isStream: video.src.startsWith('blob:'),
  }));
}

test('plays to the end when the audio ends early', async (t) => {
  const page = await play(t, 'quiet.mp4');
  const {end, ranges, first, isStream} = await playToTheEnd(page, 6);
  assert.ok(Math.abs(end - 40) < 0.1 && isStream, `${end} ${JSON.stringify(ranges)}`);
  assert.equal(first, 0, 'the first frame is shown');
  assert.deepEqual(page.errors, []);
});

test('shows the last frame until the audio ends', async (t) => {
  const page = await play(t, 'held.mp4');
  const {end, ranges, first, isStream} = await playToTheEnd(page, 120);
  assert.ok(Math.abs(end - 150) < 0.1 && isStream, `${end} ${JSON.stringify(ranges)}`);
  assert.equal(first, 0);
  assert.equal(await element(page).evaluate((video) => video.videoHeight), 480);
  assert.deepEqual(page.errors, []);
});

test('without Media Source Extensions, plays HLS natively or the original', async (t) => {
  const page = await play(t, 'film.mp4', {prepare: (page) => page.evaluate(() => { delete window.MediaSource; })});
  await waitForPlayback(page);
  const supported = await element(page).evaluate((video) => video.canPlayType('application/vnd.apple.mpegurl'));
  assert.equal(requestsFor(page, '.m4s').length > 0, supported !== '');
  assert.equal(requestsFor(page, '/uploads/').length > 0, supported === '');
  assert.deepEqual([await isStream(page), requestsFor(page, 'hls.min.mjs').length], [false, 0]);
  assert.deepEqual(page.errors, []);
});

test('renews expired URLs of segments', async (t) => {
  let expired = true;
  const prepare = async (page) => {
    await page.route(/\.m4s/, async (route) => {
      const url = route.request().url();
      if (expired) return route.continue({url: await backend.expiredUrl('GET', url)});
      return route.continue();
    });
    page.on('request', () => {
      // The playlist is loaded a second time to get new URLs.
      if (requestsFor(page, 'master.m3u8').length > 1) expired = false;
    });
  };
  const page = await play(t, 'film.mp4', {prepare});
  await waitForPlayback(page);
  assert.equal(await isStream(page), true);
});

test('falls back to the original if the renditions cannot be loaded', async (t) => {
  const page = await play(t, 'film.mp4', {prepare: (page) => page.route(/\.m4s/, (route) => route.abort())});
  await waitForPlayback(page);
  assert.equal(await isStream(page), false);
  assert.ok(await page.getByRole('button', {name: 'quality'}).isHidden());
});

/** Plays a video and seeks to its second chunk. Requests for its segments are held until `release` is called. */
async function playHeld(t, name, options) {
  const held = [];
  let holding = true;
  const hold = (route) => (holding ? held.push(route) : route.continue());
  const page = await play(t, name, {...options, prepare: (page) => page.route(/0001-\d+\.m4s/, hold)});
  await waitForPlayback(page);
  await element(page).evaluate((video, to) => { video.currentTime = to; }, CHUNK_BOUNDARY + 4);
  await until('a segment of the second chunk is requested', () => held.length > 0);
  const release = async () => {
    holding = false;
    for (const route of held) await route.continue();
  };
  return {page, release};
}

test('shows that the server is unreachable, and retries on request', async (t) => {
  const {proxy, disconnect, reconnect} = await startProxy(t);
  const {page, release} = await playHeld(t, 'film.mp4', {proxy});
  disconnect();
  await release();
  await page.getByRole('alert').getByText('The server cannot be reached.').waitFor();
  reconnect();
  await accessibility(page);
  // The space bar is the button's, and not the player's.
  await page.getByRole('dialog').getByRole('button', {name: 'Try again'}).press('Space');
  await waitForFrame(page, CHUNK_BOUNDARY + 4);
  assert.equal(await isStream(page), true);
});

test('shows that the video was deleted during playback', async (t) => {
  const {page, release} = await playHeld(t, 'doomed.mp4');
  const {status} = await fetch(`${backend.api}/videos/${transcoded.doomed.videoId}`, {method: 'DELETE'});
  assert.equal(status, 204);
  await release();
  await page.getByRole('alert').getByText('This video has been deleted.').waitFor();
  assert.ok(await page.getByRole('dialog').getByRole('button', {name: 'Try again'}).isHidden());
});

test('the code in the README plays HLS on a cross-origin page', async (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, snippet] = readme.match(/```js\n(import Hls from 'hls\.js';\n[^]*?)```/);
  const script = snippet.replace("'hls.js'", "'/hls.js'");
  const page = await openPage(t, await servePages(t, {
    '/index.html': '<!doctype html><link rel=icon href=data:,><video muted autoplay></video>',
    '/snippet.js': `const {api, idToken, video} = window;\nconst element = document.querySelector('video');\n${script}`,
    '/hls.js': readFileSync(join(hls, 'hls.min.mjs'), 'utf8'),
  }));
  const globals = {api: backend.api, idToken: 'token', video: transcoded.film};
  await page.evaluate((globals) => Object.assign(window, globals), globals);
  await page.evaluate(() => import('/snippet.js'));
  await waitForPlayback(page);
  const authorizationOf = async (text) => {
    const sent = await Promise.all(requestsFor(page, text).map((request) => request.headerValue('authorization')));
    assert.ok(sent.length > 0, text);
    return new Set(sent);
  };
  assert.deepEqual(await authorizationOf('.m3u8'), new Set(['token']));
  assert.deepEqual(await authorizationOf('.m4s'), new Set([null]));
  assert.deepEqual(page.errors, []);
});
