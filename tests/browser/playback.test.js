// Playback from the original in the page: hls.js plays segments that are made when they are requested. Each frame of the
// films shows its number, so that a missing, repeated or misplaced one is noticed.

import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, describe, test} from 'node:test';
import {promisify} from 'node:util';
import {accessibility, assertChoices, choose, folder, openPage, startBackend, until, waitForControls} from './harness.js';

const run = promisify(execFile);

const RATE = 10; // frames per second
const FRAMES = 90;
/** Distance of the keyframes. The film is cut at 2 and 6 seconds. */
const GROUP = 2 * RATE;
const CUTS = [2, 6].map((second) => second * RATE);
const WIDTH = 320, HEIGHT = 180;
/** The bits of a frame's number are white squares of this width, the lowest one first. */
const BITS = 10, BIT = WIDTH / BITS;

/** References of B-frames to B-frames, as most encoders make them. */
const H264 = `-c:v libx264 -preset fast -bf 3 -g ${GROUP} -sc_threshold 0 -pix_fmt yuv420p`.split(' ');
const FILMS = {
  'b-frames.mp4': [...H264, '-c:a', 'aac'],
  'fragmented.mp4': [...H264, ...'-c:a aac -movflags frag_keyframe+delay_moov+default_base_moof'.split(' ')],
  'silent.mov': [...H264, '-an'],
  'matroska.mkv': [...H264, '-c:a', 'libopus'],
  'vp9.webm': `-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g ${GROUP} -c:a libopus`.split(' '),
};
/** It begins within a group of pictures: its first frames must not be shown, but are needed to decode the others. */
const TRIMMED = 'trimmed.mp4';
const TYPES = {mp4: 'video/mp4', mov: 'video/quicktime', mkv: 'video/x-matroska', webm: 'video/webm'};

let backend;
const paths = {}, videos = {};

before(async (t) => {
  const dir = await folder(t);
  for (const [name, options] of Object.entries(FILMS)) await makeFilm(paths[name] = join(dir, name), options);
  paths[TRIMMED] = join(dir, TRIMMED);
  await run('ffmpeg', ['-v', 'error', '-ss', '3', '-i', paths['b-frames.mp4'], '-c', 'copy', paths[TRIMMED]]);
  backend = await startBackend(t);
  for (const name of Object.keys(paths)) videos[name] = await backend.video(await put(backend, name));
});

async function makeFilm(path, options, {width = WIDTH, height = HEIGHT, rate = RATE, seconds = FRAMES / RATE} = {}) {
  const bit = width / BITS;
  const bits = Array.from({length: BITS}, (_, i) => (
    `drawbox=x=${i * bit}:y=0:w=${bit}:h=40:color=white:t=fill:enable='mod(floor(n/${2 ** i}),2)'`));
  const source = `testsrc2=s=${width}x${height}:r=${rate}:d=${seconds},drawbox=x=0:y=0:w=${width}:h=40:color=black:t=fill,${bits}`;
  const audio = `sine=f=440:r=48000:d=${seconds}`;
  await run('ffmpeg', ['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', source, '-f', 'lavfi', '-i', audio, ...options, path]);
}

/** Uploads a film and returns the id of the video. */
async function put(backend, name, path = paths[name]) {
  const query = new URLSearchParams({name, type: TYPES[name.split('.').at(-1)]});
  const {uploadUrl, videoId, headers} = await backend.json(`/presign?${query}`);
  const response = await fetch(uploadUrl, {method: 'PUT', headers, body: await readFile(path)});
  assert.equal(response.status, 200);
  return videoId;
}

const element = (page) => page.locator('video');
const quality = (page) => page.getByRole('button', {name: 'quality'});
const isStream = (page) => element(page).evaluate((video) => video.src.startsWith('blob:'));
const requestsFor = (page, text) => page.requests.filter((request) => request.url().includes(text));

/**
 * Opens a page. In it, `hls` is the present instance of hls.js, with the configuration `configure(given, Hls)` if there is one.
 * There, `shown` collects `[number, time]` of each frame that is displayed, `number()` returns that of the present one, and
 * `problems` collects the errors of hls.js, also those that it recovers from, but without `bufferStalledError`: a busy
 * machine decodes too slowly.
 */
async function open(t, url = backend.api, {prepare, ...options} = {}) {
  const page = await openPage(t, 'about:blank', options);
  await page.route('**/vendor/hls.min.mjs', (route) => route.fulfill({contentType: 'text/javascript', body: `
    import Hls from '/vendor/hls.min.mjs?original';
    export default class extends Hls {
      constructor(config) {
        super(window.configure?.(config, Hls) ?? config);
        window.hls = this;
        this.on(Hls.Events.ERROR, (_, {details, fatal}) => {
          if (details !== 'bufferStalledError' || fatal) problems.push(details);
        });
      }
    }`}));
  await prepare?.(page);
  await page.addInitScript(({BITS, BIT}) => {
    Object.assign(window, {shown: [], problems: []});
    window.number = () => {
      const video = document.querySelector('video');
      const picture = new OffscreenCanvas(BITS * BIT, 1).getContext('2d');
      picture.drawImage(video, 0, 20, video.videoWidth, 1, 0, 0, BITS * BIT, 1);
      const isWhite = (i) => picture.getImageData((i + 0.5) * BIT, 0, 1, 1).data[0] > 127;
      return Array.from({length: BITS}, (_, i) => isWhite(i) * 2 ** i).reduce((sum, bit) => sum + bit);
    };
    document.addEventListener('DOMContentLoaded', () => {
      const video = document.querySelector('video');
      const record = (_, {mediaTime}) => {
        // The file of the original comes from another origin, and its frames cannot be read.
        shown.push([video.src.startsWith('blob:') ? number() : undefined, mediaTime]);
        window.firstFrameAt ??= performance.now();
        video.requestVideoFrameCallback(record);
      };
      video.requestVideoFrameCallback(record);
    });
  }, {BITS, BIT});
  await page.goto(url);
  return page;
}

const play = (page, name) => page.getByRole('button', {name: `Play ${name}`}).click();

/** Returns what was played. */
const facts = (page) => element(page).evaluate((video) => ({
  shown,
  problems,
  ranges: Array.from({length: video.buffered.length}, (_, i) => [video.buffered.start(i), video.buffered.end(i)]),
  decoded: video.getVideoPlaybackQuality().totalVideoFrames,
  duration: video.duration,
}));

/** Seeks to a frame, and returns the number of the one that is shown. */
const seek = (page, number, rate) => element(page).evaluate(async (video, to) => {
  const displayed = new Promise((resolve) => { video.requestVideoFrameCallback(resolve); });
  video.currentTime = to;
  await new Promise((resolve) => { video.addEventListener('seeked', resolve, {once: true}); });
  await displayed;
  return window.number();
  // As far behind the start of the frame as the shortest ones last: the first ones of a segment, in the order of decoding.
}, (number + 0.25) / rate);

for (const name of Object.keys(FILMS)) describe(name, () => {
  test('plays from start to end, and shows each frame once', async (t) => {
    const {hlsUrl, playback} = videos[name];
    assert.deepEqual(playback, {mode: 'HLS'});
    const page = await open(t);
    await element(page).evaluate((video) => { video.defaultPlaybackRate = 2; });
    await play(page, name);
    await until('the video has ended', () => element(page).evaluate((video) => video.ended));
    assert.equal(await isStream(page), true);
    const {shown, problems, ranges, decoded, duration} = await facts(page);
    assert.deepEqual(problems, []);
    assert.equal(decoded, FRAMES);
    // A busy machine displays fewer frames than are decoded, and reads a number when the next frame is displayed already.
    const [, start] = shown[0];
    const frames = shown.map(([, time]) => Math.round((time - start) * RATE));
    assert.ok(frames.every((frame, i) => i === 0 || frame > frames[i - 1]), `${frames}`);
    for (const [i, [number, time]] of shown.entries()) {
      assert.ok(Math.abs(time - start - frames[i] / RATE) < 0.002, `${time}`);
      assert.ok(number >= frames[i], `${number} is shown at ${time}`);
    }
    assert.equal(await page.evaluate(() => number()), FRAMES - 1);
    assert.equal(ranges.length, 1, JSON.stringify(ranges));
    assert.ok(ranges[0][0] < 0.001 && ranges[0][1] >= duration - 0.001, `${JSON.stringify(ranges)} of ${duration}`);
    assert.ok(Math.abs(duration - FRAMES / RATE) < 0.05, `${duration}`);
    assert.deepEqual(page.errors, []);
    assert.ok((await (await fetch(hlsUrl)).text()).includes('source/index.m3u8'));
  });

  test('seeks show the wanted frame', async (t) => {
    const page = await open(t);
    await play(page, name);
    await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
    await element(page).evaluate((video) => video.pause());
    const around = CUTS.flatMap((cut) => [cut, cut - 2, cut + 1, cut + GROUP, cut + GROUP + 3]);
    const wanted = [...around, 1, 33, FRAMES - 2, 77, 5, 0].filter((number) => number < FRAMES);
    const found = [];
    for (const number of wanted) found.push(await seek(page, number, RATE));
    assert.deepEqual(found, wanted);
    assert.deepEqual([await page.evaluate(() => problems), page.errors], [[], []]);
  });
});

test('captions are shown with their frames: those of the page, and those that hls.js finds in the playlist', async (t) => {
  const time = (frame) => `00:0${(frame / RATE).toFixed(3)}`;
  const cues = Array.from({length: FRAMES}, (_, i) => `${time(i)} --> ${time(i + 1)}\n${i}\n`);
  for (const name of ['b-frames.mp4', 'matroska.mkv', 'vp9.webm']) {
    const captions = `${backend.api}/videos/${videos[name].videoId}/captions/en`;
    const {status} = await fetch(captions, {method: 'PUT', body: ['WEBVTT\n', ...cues].join('\n')});
    assert.equal(status, 200);
    t.after(() => fetch(captions, {method: 'DELETE'}));
    // The page has no need of the captions of hls.js.
    const prepare = (page) => page.addInitScript(() => { window.configure = () => ({}); });
    const page = await open(t, backend.api, {prepare});
    await play(page, name);
    await until('both have a track', () => element(page).evaluate((video) => video.textTracks.length === 2));
    await element(page).evaluate((video) => {
      const own = video.querySelector('track').track;
      window.tracks = [own, [...video.textTracks].find((track) => track !== own)];
      for (const track of tracks) track.mode = track === own ? 'hidden' : 'showing';
    });
    await until('both are loaded', () => page.evaluate((count) => tracks.every(({cues}) => cues?.length === count), FRAMES));
    for (const frame of [5, 33, 77]) {
      await element(page).evaluate((video, at) => { video.pause(); video.currentTime = at; }, (frame + 0.25) / RATE);
      await until(`frame ${frame} is shown with its cues`, () => page.evaluate((frame) => (
        number() === frame && tracks.every(({activeCues}) => activeCues.length === 1 && activeCues[0].text === `${frame}`)), frame));
      // hls.js counts from the first frame, which can be some milliseconds later than the audio.
      const starts = await page.evaluate((i) => tracks.map(({cues}) => cues[i].startTime), frame);
      for (const start of starts) assert.ok(Math.abs(start - frame / RATE) < 0.03, `${name}: ${start}`);
    }
    assert.deepEqual(await page.evaluate(() => problems), []);
    // hls.js makes its tracks of `data:` URLs, for which the page has no need.
    assert.deepEqual(page.errors.filter((error) => !error.includes('data:,WEBVTT')), []);
  }
});

test('shows that the original plays', async (t) => {
  for (const options of [{}, {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true}]) {
    const page = await open(t, backend.api, options);
    await play(page, 'b-frames.mp4');
    await quality(page).waitFor();
    await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
    await quality(page).click();
    await page.getByRole('menuitemradio', {name: `Auto (Original · ${HEIGHT}p)`, checked: true}).waitFor();
    await page.getByRole('menuitemradio', {name: `Original · ${HEIGHT}p`, exact: true}).waitFor();
    await accessibility(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  }
});

test('measures the first frame after the page is loaded', async (t) => {
  const {videoId} = videos['b-frames.mp4'];
  const page = await open(t, `${backend.api}/#${videoId}`);
  await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
  assert.equal(await isStream(page), true);
  t.diagnostic(`first frame after ${Math.round(await page.evaluate(() => firstFrameAt))} ms`);
});

test('plays the file if the segments cannot be loaded', async (t) => {
  const prepare = (page) => page.route(/\/segments\//, (route) => route.fulfill({status: 404}));
  const page = await open(t, backend.api, {prepare});
  await play(page, 'b-frames.mp4');
  await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
  assert.equal(await isStream(page), false);
  await waitForControls(page);
  assert.ok(await quality(page).isHidden());
});

test('plays the file at once if the browser cannot play the segments', async (t) => {
  const prepare = (page) => page.route(/master\.m3u8/, async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace(/CODECS="[^"]+"/, 'CODECS="unknown"');
    await route.fulfill({response, body});
  });
  const page = await open(t, backend.api, {prepare});
  await play(page, 'b-frames.mp4');
  await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
  assert.equal(await isStream(page), false);
  assert.equal(requestsFor(page, 'master.m3u8').length, 1, 'new URLs would not help');
});

test('plays the file of an original that has no segments', async (t) => {
  const {playback, hlsUrl} = videos[TRIMMED];
  assert.deepEqual([playback, hlsUrl], [{mode: 'ORIGINAL', reason: 'STARTS_WITHIN_GOP'}, undefined]);
  const page = await open(t);
  await play(page, TRIMMED);
  await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
  assert.deepEqual([await isStream(page), requestsFor(page, 'hls.min.mjs').length], [false, 0]);
  await waitForControls(page);
  assert.ok(await quality(page).isHidden());
  assert.deepEqual(page.errors, []);
});

test('plays a video before it is processed', async (t) => {
  const dir = await folder(t);
  const script = join(dir, 'ffmpeg'), go = join(dir, 'go');
  // The poster is not made before the test writes the file.
  const wait = `case "$*" in *-i*) while [ ! -e ${go} ]; do sleep 0.05; done;; esac`;
  await writeFile(script, `#!/bin/sh\n${wait}\nexec ${process.env.FFMPEG_PATH} "$@"\n`, {mode: 0o755});
  const backend = await startBackend(t, '--ffmpeg', script);
  const name = 'b-frames.mp4';
  const page = await open(t, backend.api);
  await page.setInputFiles('#file', paths[name]);
  await play(page, name);
  await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
  const [video] = await backend.videos();
  assert.deepEqual([video.status, await isStream(page)], ['PROCESSING', true]);
  await accessibility(page);
  await writeFile(go, '');
  await backend.video(video.videoId);
  assert.deepEqual(page.errors, []);
});

test('a rendition that is encoded when it is watched', async (t) => {
  const name = 'long.mp4', rate = 4, seconds = 122;
  /** Segments start at these frames. */
  const cuts = [0, ...Array.from({length: 30}, (_, i) => (4 * i + 2) * rate)];
  const rung = 'v360';

  const dir = await folder(t);
  const film = join(dir, name);
  const h264 = `-c:v libx264 -preset ultrafast -bf 2 -g ${2 * rate} -sc_threshold 0 -pix_fmt yuv420p -c:a aac`;
  await makeFilm(film, h264.split(' '), {width: 640, height: 368, rate, seconds});
  // The chunks that start from 50 to 80 seconds are encoded, and the others wait for the test.
  const script = join(dir, 'ffmpeg'), go = join(dir, 'go');
  const wait = `args="$*" start=\${args#*trim=start_pts=} start=\${start%%:*} scale=16384
    [ $start -ge $((50 * scale)) ] && [ $start -le $((80 * scale)) ] || while [ ! -e ${go} ]; do sleep 0.05; done`;
  await writeFile(script, `#!/bin/sh\ncase "$*" in *libx264*) ${wait};; esac\nexec ${process.env.FFMPEG_PATH} "$@"\n`, {mode: 0o755});
  const backend = await startBackend(t, '--transcode=watched', '--ffmpeg', script);
  const videoId = await put(backend, name, film);
  const url = `${backend.api}/#${videoId}`;
  const {playback, renditions} = await backend.video(videoId);
  assert.deepEqual([playback, renditions], [{mode: 'HLS'}, [{name: rung, status: 'OFFERED'}]]);
  const encoded = async () => (await backend.json(`/videos/${videoId}`)).renditions[0].status;
  const complete = async () => {
    await writeFile(go, '');
    await fetch(`${backend.api}/videos/${videoId}/hls/${rung}/index.m3u8`);
    await until('the rendition is complete', async () => await encoded() === 'DONE');
  };

  await t.test('plays from the present position on while the rest of it is encoded', async (t) => {
    const levelOf = (page) => page.evaluate(() => {
      const level = hls.levels[hls.currentLevel];
      return level && new URL(level.uri).pathname.split('/').at(-2);
    });
    const page = await open(t, url);
    await until('a frame is shown', () => page.evaluate(() => shown.length > 0));
    const sees = (...items) => assertChoices(page, 'Quality', items);
    await sees('Original · 368p', '360p · not encoded yet', 'Auto (Original · 368p)');
    await accessibility(page);
    // The video pauses, because the chunks that wait for the test must not be needed before, however slow the machine is.
    await element(page).evaluate((video) => {
      video.pause();
      Object.assign(video, {currentTime: 52, playbackRate: 1.25});
    });
    await choose(page, 'quality', '360p · not encoded yet');
    await sees('Original · 368p', '360p · being encoded', 'Auto (Original · 368p)');
    const position = () => element(page).evaluate((video) => video.currentTime);
    await until('the rendition is shown', async () => await levelOf(page) === rung);
    assert.equal(await encoded(), 'RUNNING');
    await sees('Original · 368p', '360p', 'Auto');
    const at = await position();
    assert.equal(Math.round(at), 52);
    assert.deepEqual(await element(page).evaluate(({playbackRate, paused}) => [playbackRate, paused]), [1.25, true]);
    await element(page).evaluate((video) => video.play());
    await until('it plays on', async () => await position() > at + 1);
    assert.equal(await isStream(page), true);
    const gap = await page.evaluate((at) => (
      hls.levels[hls.currentLevel].details.fragments.find(({gap, start}) => gap && start > at).start), at);
    await until('hls.js comes to a gap', () => page.evaluate(() => problems.includes('fragGap')));
    await complete();
    await until('the page knows it', () => page.evaluate(() => (
      hls.levels.every(({details}) => !details?.fragments.some(({gap}) => gap)))));
    // What follows is no longer buffered from the original.
    for (const choice of ['Original · 368p', '360p']) await choose(page, 'quality', choice);
    await element(page).evaluate((video, to) => { video.currentTime = to; }, gap + 1);
    await until('the rendition plays on', async () => await position() > gap + 1.5 && await levelOf(page) === rung);
    // The browser reports the answer NOT_READY, and hls.js what it no longer needs and where it looks for the next segment.
    const expected = ['fragGap', 'aborted', 'bufferSeekOverHole'];
    const problems = await page.evaluate((expected) => problems.filter((details) => !expected.includes(details)), expected);
    assert.deepEqual([problems, page.errors.filter((error) => !error.includes('404'))], [[], []]);
  });

  for (const first of ['source', rung]) await t.test(`is played after and before the original, from ${first} on`, async (t) => {
    await complete();
    const page = await open(t, url, {prepare: (page) => page.addInitScript(({first, rung}) => {
      window.loaded = [];
      // hls.js asks its controller of bit rates for the level of each segment, after the one before it is buffered.
      window.configure = (config, Hls) => ({
        ...config,
        abrController: class extends Hls.DefaultConfig.abrController {
          next = 0;
          onFragBuffered(_, {frag: {type, sn, level}}) {
            if (type !== 'main' || sn === 'initSegment') return;
            loaded.push(new URL(this.hls.levels[level].uri).pathname.split('/').at(-2));
            this.next = sn + 1;
          }
          get nextAutoLevel() { return (this.next + (first === rung ? 0 : 1)) % 2; } // the original is the higher level
          set nextAutoLevel(_) {}
          onFragLoading() {} // a slow request would be repeated with another level
        },
        maxBufferLength: Infinity,
        highBufferWatchdogPeriod: Infinity, // a busy machine decodes too slowly
      });
    }, {first, rung})});
    const isBuffered = () => element(page).evaluate(({buffered, duration}) => (
      buffered.length > 0 && buffered.end(buffered.length - 1) > duration - 0.1));
    await until('all segments are buffered', isBuffered);
    const other = first === rung ? 'source' : rung;
    assert.deepEqual(await page.evaluate(() => loaded), cuts.map((_, i) => (i % 2 ? other : first)));

    await element(page).evaluate((video) => { video.playbackRate = 16; });
    await until('the video has ended', () => element(page).evaluate((video) => video.ended));
    const {shown, problems, ranges, decoded, duration} = await facts(page);
    assert.deepEqual([problems, page.errors], [[], []]);
    assert.equal(decoded, rate * seconds);
    assert.equal(ranges.length, 1, JSON.stringify(ranges));
    assert.ok(ranges[0][0] < 0.001 && ranges[0][1] >= duration - 0.001, `${JSON.stringify(ranges)} of ${duration}`);
    const frames = shown.map(([, time]) => Math.round((time - shown[0][1]) * rate));
    assert.ok(frames.every((frame, i) => i === 0 || frame > frames[i - 1]), `${frames}`);
    for (const [i, [number, time]] of shown.entries()) assert.ok(number >= frames[i], `${number} is shown at ${time}`);

    // A seek to one of the last frames of a segment can show the one before, which is decoded later and lasts longer.
    const wanted = cuts.slice(1).flatMap((cut) => [cut, cut + 1]);
    const found = [];
    for (const number of wanted) found.push(await seek(page, number, rate));
    assert.deepEqual(found, wanted);
    assert.deepEqual(await page.evaluate(() => problems), []);
  });
});
